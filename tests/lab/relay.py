"""relay.py SECONDS TAP TAP...: what comes in at one TAP of a pair goes out at the other, later."""

from __future__ import annotations

import collections
import contextlib
import os
import select
import sys
import time

ONE_TURN = 64  # frames from one TAP, before the others have theirs


def relay(seconds: float, taps: list[int]) -> None:
    """Hold each frame for as long. All wait alike, so the first to come is the first to go."""
    other: dict[int, int] = {}
    waiting: collections.deque[tuple[float, int, bytes]] = collections.deque()
    incoming = select.epoll()
    for first, second in zip(taps[::2], taps[1::2], strict=True):
        other[first], other[second] = second, first
        incoming.register(first, select.EPOLLIN)
        incoming.register(second, select.EPOLLIN)
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else -1
        for tap, _ in incoming.poll(patience):
            with contextlib.suppress(BlockingIOError):
                for _ in range(ONE_TURN):
                    frame = os.read(tap, 2048)
                    waiting.append((time.monotonic() + seconds, other[tap], frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, tap, frame = waiting.popleft()
            with contextlib.suppress(OSError):  # nobody is plugged in there: it is lost
                os.write(tap, frame)


if __name__ == "__main__":
    relay(float(sys.argv[1]), [int(tap) for tap in sys.argv[2:]])
