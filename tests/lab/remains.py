"""Labs that are there: the kernel's own lists say so, whatever became of who started them."""

from __future__ import annotations

import contextlib
import os
import select
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import network
from tests.lab.shell import run

SOURCE = "databoard-lab"  # the name under which the disks of a lab are mounted


@dataclass(frozen=True)
class Remains:
    """A lab's disks, as mounted: their name tells the rest."""

    tag: str
    network: str
    owner: int  # the process that takes it down at its end; 0: nobody
    disks: Path
    born: int = field(default_factory=time.monotonic_ns)  # so that each lab is another one

    @property
    def name(self) -> str:
        return f"{SOURCE}:{self.tag}:{self.network}:{self.owner}:{self.born}"

    @property
    def cgroup(self) -> Path:
        """Where its processes are listed."""
        return cgroups(self.disks) / f"{SOURCE}-{self.tag}"

    def is_owned(self) -> bool:
        """Whether who started it is alive, and not this process."""
        return self.owner not in (0, os.getpid()) and Path(f"/proc/{self.owner}").exists()

    def is_left_alone(self) -> bool:
        """Whether who started it has died and could not take it down."""
        return self.owner != 0 and not Path(f"/proc/{self.owner}").exists()

    def clear(self) -> None:
        """End its processes, wait until they are gone, remove its network and disks."""
        end_all(self.cgroup)
        network.remove(self.tag, self.network)
        run("umount", "--recursive", "--lazy", self.disks)
        self.disks.rmdir()


def labs() -> list[Remains]:
    """All labs of this machine."""
    found = []
    for _, place, source in mounts("tmpfs"):
        if source.startswith(f"{SOURCE}:"):
            tag, net, owner, *born = source.split(":")[1:]
            found.append(Remains(tag, net, int(owner), Path(place), *map(int, born)))
    return found


def mounts(kind: str) -> list[tuple[str, str, str]]:
    """Of this kind of file system: what part of it is mounted, where, and its source."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] == kind:
            part, place = left.split()[3:5]
            found.append((part, place, right.split()[1]))
    return found


def cgroups(disks: Path) -> Path:
    """The cgroups of version 2, as the machine has mounted them: a mount changes all of them."""
    for part, place, _ in mounts("cgroup2"):
        if part == "/":
            return Path(place)
    own = disks / "cgroup"
    own.mkdir()
    run("mount", "-t", "cgroup2", "none", own)
    return own


def end_all(cgroup: Path) -> None:
    """Kill all processes in a cgroup and those below it, wait for them, remove it."""
    if not cgroup.exists():
        return
    with contextlib.ExitStack() as stack:
        gone = select.poll()
        waiting = set()
        for pid in processes(cgroup):
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                stack.callback(os.close, descriptor)
                gone.register(descriptor, select.POLLIN)
                waiting.add(descriptor)
        (cgroup / "cgroup.kill").write_text("1")
        while waiting:
            for descriptor, _ in gone.poll():
                gone.unregister(descriptor)
                waiting.discard(descriptor)
    for folder, _, _ in os.walk(cgroup, topdown=False):
        os.rmdir(folder)


def processes(cgroup: Path) -> list[int]:
    """The processes in a cgroup and in those below it."""
    found = []
    for folder, _, _ in os.walk(cgroup):
        with contextlib.suppress(OSError):  # one that has gone meanwhile has none
            found += [int(pid) for pid in Path(folder, "cgroup.procs").read_text().split()]
    return found
