"""A slow network, also where the kernel has no netem: frames are held for a while on their way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.lab import network
from tests.lab.remains import Remains, end_all
from tests.lab.shell import JOIN

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


@contextlib.contextmanager
def delayed(lab: Remains, cables: Collection[str], rtt_ms: float) -> Iterator[None]:
    """Put a relay between the lab's bridge and each of these cables.

    A cable CABLE gets a bridge of its own, CABLEb; what the relay takes in at the port CABLEy there
    it gives out at the port CABLEx of the lab's bridge, and the other way round.
    """
    there = network.cables(lab.tag)
    lines = []
    with contextlib.ExitStack() as stack:
        taps = []
        for cable in cables:
            for end in ("x", "y"):
                taps.append(open_tap(f"{cable}{end}"))
                stack.callback(os.close, taps[-1])
            lines += [
                f"link add {cable}b type bridge",
                f"link set {cable}x master {lab.tag}-0 up",
                f"link set {cable}y master {cable}b up",
                # This machine must not answer there, on a way round the relay.
                f"link set {cable}b arp off up",
                *([f"link set {cable} master {cable}b"] if cable in there else []),
            ]
        group = lab.cgroup / "relay"
        group.mkdir()
        stack.callback(end_all, group)
        program = str(Path(__file__).with_name("relay.py"))
        relay = [sys.executable, "-I", program, str(rtt_ms / 2000)]
        process = subprocess.Popen(
            ["sh", "-c", JOIN, group, *relay, *map(str, taps)],
            stdin=subprocess.DEVNULL,
            pass_fds=taps,
            start_new_session=True,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.callback(unplug, lab, cables)
        network.ip(*lines)
        yield


def unplug(lab: Remains, cables: Collection[str]) -> None:
    """Lead the cables back to the lab's bridge."""
    there = network.cables(lab.tag)
    network.ip(
        *(f"link set {cable} master {lab.tag}-0" for cable in cables if cable in there),
        *(f"link delete {cable}b" for cable in cables),
        force=True,
    )


def open_tap(name: str) -> int:
    """A network interface whose frames this process carries."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI)
    fcntl.ioctl(descriptor, TUNSETIFF, request)
    return descriptor
