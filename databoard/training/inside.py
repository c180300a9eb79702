"""The box around one fold, made from within the box of its kit: Linux namespaces of its own.

The fold server lets its child be the first process of a new PID namespace: when it ends, the kernel
kills all that it has started, wherever that hides.

| the fold sees | |
| --- | --- |
| `/submission` | its own files, read-only |
| `/scratch/work`, `/dev/shm`, `/tmp` | one new, empty file system in memory, of limited size |
| `/kit` | the code and the features of the kit, read-only, without the other submissions |
| `/proc` | its own processes |
| a network | none, not even one with other folds |
| the kernel | without the calls that `seccomp` refuses |
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from databoard.training import seccomp

SUBMISSION, WORK = Path("/submission"), Path("/scratch/work")
SCRATCH_SIZE, SCRATCH_FILES = 1024**3, 100_000
MAX_PROCESSES, MAX_OPEN_FILES = 256, 1024
FIRST_USER = 1_900_000_000  # of root's folds: ids that nobody has
# A first process ignores signals that it sends to itself; aborting would look like a bad access.
ABORTED = int(signal.SIGABRT)  # the exit code

NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = (1 << bit for bit in (17, 26, 27, 29, 30))
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = (1 << bit for bit in range(4))
MS_BIND, MS_REC, MS_PRIVATE = (1 << bit for bit in (12, 14, 18))
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION = 0x20080522
_LIBC = ctypes.CDLL(None, use_errno=True)


def fork() -> int:
    """As `os.fork`; the child is the first process of a PID namespace. Raises OSError."""
    ours, pid = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC), -1
    try:
        _call("unshare", NEWPID)
        pid = os.fork()
        return pid
    finally:
        if pid != 0:  # what comes next is not to be in the same one
            _call("setns", ours, NEWPID)
        os.close(ours)


def enter(files: Path, runs: Path) -> None:
    """Go on in a new box with the submitted `files`, and without the folder `runs` that they are
    in. For a process that comes from `fork`. Raises OSError where the kernel forbids it.
    """
    user = group = FIRST_USER + int.from_bytes(os.urandom(3), "little")
    _call("unshare", NEWNS | NEWUTS | NEWIPC | NEWNET)
    _mount(files, runs)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    _call("capset", (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    _call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # it may look at itself
    _LIBC.signal(signal.SIGABRT, ctypes.cast(_LIBC._exit, ctypes.c_void_p))
    resource.setrlimit(resource.RLIMIT_NPROC, (MAX_PROCESSES, MAX_PROCESSES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    seccomp.apply()


def _mount(files: Path, runs: Path) -> None:
    """What the fold sees, from what the box of its kit has."""
    scratch, harmless = WORK.parent, MS_NOSUID | MS_NODEV
    _mount_one(None, "/", None, MS_REC | MS_PRIVATE)
    _mount_one(files, SUBMISSION, None, MS_BIND)
    _mount_one("none", runs, "tmpfs", MS_RDONLY | harmless, "size=4k")
    _mount_one("proc", "/proc", "proc", MS_NOEXEC | harmless)
    options = f"size={SCRATCH_SIZE},nr_inodes={SCRATCH_FILES}"
    _mount_one("none", scratch, "tmpfs", harmless, options)
    for name in ("work", "tmp", "shm"):
        (scratch / name).mkdir()
        (scratch / name).chmod(0o1777)
    _mount_one(scratch / "shm", "/dev/shm", None, MS_BIND)  # noqa: S108
    if not os.listdir("/tmp"):  # noqa: S108 - or an environment is in it
        _mount_one(scratch / "tmp", "/tmp", None, MS_BIND)  # noqa: S108


def _mount_one(
    source: Path | str | None,
    target: Path | str,
    kind: str | None,
    flags: int,
    options: str | None = None,
) -> None:
    texts = [None if each is None else str(each).encode() for each in (source, target, kind)]
    more = None if options is None else options.encode()
    _call("mount", *texts, ctypes.c_ulong(flags), more)


def _call(name: str, *arguments: object) -> None:
    """A function of the C library. Raises OSError."""
    if getattr(_LIBC, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


if __name__ == "__main__":  # in the box of a kit: whether there can be one for a fold
    child = fork()
    if child == 0:
        enter(Path("/kit"), Path("/kit"))
        for folder in sys.path:  # which a box of root reads as nobody in particular
            if folder.endswith("site-packages"):
                os.listdir(folder)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
