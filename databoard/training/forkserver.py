"""The process that imports the libraries once, and forks a scorer for each kit.

It never reads a kit's data nor a submission.
"""

import contextlib
import gc
import os
import signal
import socket
import sys

from databoard.training import scorer
from databoard.training.channel import Channel, ChannelClosed


def serve(channel: Channel) -> None:
    """Fork a scorer for each request that comes with the socket to serve on."""
    # Who stops a worker may signal all that it started: it is the worker that ends the others,
    # after it has given back what it holds.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    import rampwf  # noqa: F401 - what takes a second, paid here once

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the scorers
    gc.collect()
    gc.freeze()  # or the collector of each child would copy every page
    while True:
        request, files = channel.receive()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel.socket.close()
            try:
                scorer.serve(Channel(socket.socket(fileno=files[0])))
            except ChannelClosed:
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        for file in files:
            os.close(file)
        channel.send({"id": request["id"], "pid": pid})


if __name__ == "__main__":
    with contextlib.suppress(ChannelClosed):  # the worker is gone
        serve(Channel(socket.socket(fileno=int(sys.argv[1]))))
