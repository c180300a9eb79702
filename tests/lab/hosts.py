"""Real SSH hosts on this one machine: systemd, sshd, Apache, PostgreSQL in namespaces of their own.

with Lab.up(3, folder=folder) as lab: lab.hosts[0].run("systemctl start postgresql")
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import weakref
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from databoard.errors import DataboardError
from tests.lab import archive, client, layers, network, remains
from tests.lab.delay import delayed
from tests.lab.host import LabHost
from tests.lab.keys import new_key, write_secret
from tests.lab.machine import check_machine, check_names
from tests.lab.remains import Remains
from tests.lab.shell import run


class Lab:
    """Hosts on a bridge, and the key that opens them. `Lab.up()` makes one."""

    def __init__(self, record: Remains, folder: Path) -> None:
        self.tag, self.network, self.folder = record.tag, record.network, folder
        self.key, self.known_hosts = folder / "key", folder / "known_hosts"
        self.password = folder / "database-password"  # for a database of the tests
        self.hosts: list[LabHost] = []
        self.record = record

    @classmethod
    def up(
        cls,
        count: int = 3,
        *,
        folder: Path,
        network: str = "10.78",
        tag: str = "lab",
        bare: Collection[int] = (),
        lasting: bool = False,
    ) -> Lab:
        """Start hosts 1 to `count`. Those in `bare` know root alone and lack our packages.

        `network` is three numbers, or two: then a free one is chosen. What is left of a lab with
        this tag is removed first, so is any lab whose process has died. A lasting one outlives
        this process. Raises DataboardError.
        """
        check_machine()
        check_names(count, tag)
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with open("/run/databoard-lab.lock", "w") as turn:  # two must not choose one network
            fcntl.flock(turn, fcntl.LOCK_EX)
            clear(tag)
            record = prepare(folder, network, tag, 0 if lasting else os.getpid())
        lab = cls(record, folder)
        if not lasting:
            weakref.finalize(lab, take_down, record, folder, os.getpid())
        try:
            lab._start(count, bare)
        except BaseException:
            lab.down()
            raise
        return lab

    def _start(self, count: int, bare: Collection[int]) -> None:
        public_key = new_key(self.key)
        write_secret(self.password, secrets.token_urlsafe(24))
        disks = self.record.disks
        base = layers.base(disks / "base", public_key)
        numbers = range(1, count + 1)
        with ThreadPoolExecutor(8) as pool:
            building = {}
            if not set(numbers) <= set(bare):
                words = ["ready.sh", public_key, f"{self.network}.0/24"]
                building["ready"] = pool.submit(layers.over, base, disks / "ready", *words)
            if set(numbers) & set(bare):
                building["bare"] = pool.submit(archive.bare, base, disks / "bare")
            for number in numbers:
                below = building["bare" if number in bare else "ready"].result().stack
                disk = layers.Layer(disks / f"host{number}", below)
                user = "root" if number in bare else "deploy"
                self.hosts.append(LabHost(number, self.record, disk, user))
            names = "".join(f"{host.address} {host.name}\n" for host in self.hosts)
            list(pool.map(lambda host: host.install(names), self.hosts))
        self.trust()

    def trust(self) -> None:
        """Write the keys that the hosts have now to `known_hosts`."""
        lines = [f"{host.address} {host.host_key()}\n" for host in self.hosts]
        self.known_hosts.write_text("".join(lines))

    def ssh(self, host: LabHost, user: str = "") -> list[str]:
        """The words of ssh(1) before the command that is to be run there."""
        who = f"{user or host.user}@{host.address}"
        return client.ssh(self.key, self.known_hosts, host.port, who)

    def mend(self) -> None:
        """Let all hosts be on, reachable and known again. What was written to them stays."""
        for host in self.hosts:
            host.boot()
            host.calm()
            host.start_sshd()
        self.trust()

    def inventory(self) -> str:
        """Text for inventories/lab.yml."""
        first = self.hosts[0]
        password = f"!file {self.password}"
        database = f"host: {first.address}, name: databoard, user: databoard, password: {password}"
        # one worker: they do not share the folder of the submissions
        roles = ["[web, database, worker]"] + ["[web]"] * len(self.hosts)
        lines = [
            *("path: /srv", "user: deploy", f"key: {self.key}", f"known_hosts: {self.known_hosts}"),
            *("connect_timeout: 5", "web: {name: lab.example.org, port: 80}"),
            f"database: {{{database}}}",
            "hosts:",
        ]
        for host, role in zip(self.hosts, roles, strict=False):
            user = "" if host.user == "deploy" else f"user: {host.user}, "
            lines.append(f"  {host.name}: {{address: {host.address}, {user}roles: {role}}}")
        return "\n".join(lines) + "\n"

    @contextlib.contextmanager
    def delay(self, rtt_ms: float) -> Iterator[None]:
        """Hold each frame to and from each host, so that a round trip takes as long."""
        with delayed(self.record, [host.cable for host in self.hosts], rtt_ms):
            yield

    def down(self) -> None:
        """End all processes of the lab and remove its network and files. Again does nothing."""
        for host in self.hosts:
            host.kill()
        take_down(self.record, self.folder, os.getpid())
        for host in self.hosts:
            host.forget()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()


def clear(tag: str) -> bool:
    """Remove the lab with this tag, and those whose process has died; whether there was one.

    Raises DataboardError when another process has it.
    """
    found = remains.labs()
    for lab in found:
        if lab.tag == tag and lab.is_owned():
            raise DataboardError(
                f"Process {lab.owner} has a lab named {tag}.", "Wait for its end, or end it."
            )
    old = [lab for lab in found if lab.tag == tag]
    for lab in [*old, *(lab for lab in found if lab.tag != tag and lab.is_left_alone())]:
        lab.clear()
    return bool(old)


def prepare(folder: Path, wanted: str, tag: str, owner: int) -> Remains:
    """The disks and the network, empty."""
    disks = folder / "disks"
    disks.mkdir(exist_ok=True)
    record = Remains(tag, network.choose(wanted), owner, disks)
    # In memory: it is quick, and an overlay (of a container) cannot be written to by another one.
    run("mount", "-t", "tmpfs", "-o", "mode=700,size=8g", record.name, disks)
    try:
        record.cgroup.mkdir()
        network.add_bridge(tag, record.network)
    except BaseException:
        record.clear()
        raise
    return record


def take_down(record: Remains, folder: Path, process: int) -> None:
    """Clear a lab of this very process: a fork of it must not."""
    if process == os.getpid() and record in remains.labs():
        record.clear()
        for name in ("key", "key.pub", "known_hosts", "database-password"):
            (folder / name).unlink(missing_ok=True)
