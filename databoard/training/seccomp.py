"""A filter of system calls: those that no submission needs, and that kernels were broken with.

Namespaces, mounts, tracing, keyrings, io_uring, BPF and the like are refused with EPERM; `clone3`,
whose flags no filter can read, is not there, for which C libraries use `clone`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping
from typing import Any

# By machine: the architecture as the kernel calls it, and the numbers of the calls.
CALLS: Mapping[str, Mapping[str, Any]] = {
    "x86_64": {
        "arch": 0xC000003E,
        "seccomp": 317,
        "clone": 56,
        "socket": 41,
        "refused": (
            *(101, 103, 153, 154, 155, 161, 163, 165, 166, 167, 169, 172, 173, 175, 176, 179),
            *(212, 246, 248, 249, 250, 272, 298, 303, 304, 308, 310, 311, 312, 313, 321, 323),
        ),
    },
    "aarch64": {
        "arch": 0xC00000B7,
        "seccomp": 277,
        "clone": 220,
        "socket": 198,
        "refused": (
            *(18, 39, 40, 41, 51, 58, 60, 89, 97, 104, 105, 106, 116, 117, 142, 217, 218, 219, 224),
            *(241, 264, 265, 268, 270, 271, 272, 273, 280, 282),
        ),
    },
}
# From 424 on all machines have the same: io_uring, and mounting in many steps.
REFUSED = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442)
CLONE3, FOREIGN = 435, 0x40000000  # x32 begins there
NEW_NAMESPACES = 0x7E020000  # flags of clone
FAMILIES = (1, 2, 10, 16)  # of sockets: local, IP, IPv6, netlink; others may lead out of the box
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCH_AT, FIRST_AT = 0, 4, 16  # in what a filter reads
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
NOT_THERE = 0x00050000 | errno.ENOSYS
SET_FILTER, KEEPS_SPECULATION = 1, 4


def apply() -> None:
    """Filter the calls of this process, for good. Raises OSError; on other machines does nothing.

    Wants no_new_privs.
    """
    calls = CALLS.get(platform.machine())
    if calls is None:
        return
    program = _program(calls)
    filters = ctypes.create_string_buffer(program)
    about = struct.pack("HP", len(program) // 8, ctypes.addressof(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(calls["seccomp"], SET_FILTER, KEEPS_SPECULATION, about):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "seccomp")


def _program(calls: Mapping[str, Any]) -> bytes:
    """The filter in the kernel's code: 8 bytes for each step."""
    steps: list[tuple[int, str, str, int]] = [  # what, where to go if so, if not, with what
        (LOAD, "", "", ARCH_AT),
        (EQUAL, "", "refuse", calls["arch"]),
        (LOAD, "", "", NUMBER_AT),
        (AT_LEAST, "refuse", "", FOREIGN),
        (EQUAL, "gone", "", CLONE3),
        *((EQUAL, "refuse", "", number) for number in (*calls["refused"], *REFUSED)),
        (EQUAL, "socket", "", calls["socket"]),
        (EQUAL, "", "allow", calls["clone"]),
        (LOAD, "", "", FIRST_AT),
        (ANY_BIT, "refuse", "allow", NEW_NAMESPACES),
        (LOAD, "", "", FIRST_AT),
        *((EQUAL, "allow", "", family) for family in FAMILIES),
        (RETURN, "", "", REFUSE),
        (RETURN, "", "", NOT_THERE),
        (RETURN, "", "", ALLOW),
    ]
    end = len(steps)
    places = {"allow": end - 1, "gone": end - 2, "refuse": end - 3}
    places["socket"] = end - 4 - len(FAMILIES)

    def away(label: str, here: int) -> int:
        return places[label] - here - 1 if label else 0

    return b"".join(
        struct.pack("HBBI", what, away(yes, here), away(no, here), value)
        for here, (what, yes, no, value) in enumerate(steps)
    )
