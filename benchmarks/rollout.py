"""Rollouts to real hosts of this machine: ours, OpenSSH's floor, and what others use."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from measure import INV, PYTHON, ROOT, Row, arguments, interleave, peer, report, run, seconds

from tests.fleet.site import Site, ill_when_served
from tests.lab.hosts import Lab

HERE = ROOT / "benchmarks" / "rollout"
MANY = 10
RTT = 50  # ms
DEPLOY = "from pyinfra.operations import files, server\n"
DEPLOY += "files.rsync(src={source!r}, dest={destination!r}, flags=['-a'])\n"
DEPLOY += "server.shell(commands=['true'])\n"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - command: rsync -a -e "{ssh}" {source}/ root@{{{{ inventory_hostname }}}}:{destination}/
      delegate_to: localhost
    - command: "true"
"""


Side = Callable[[int, str], float]  # pushes to so many hosts, to that folder; returns seconds
Times = list[tuple[float, float]]  # per side: first time, nothing changed


class Bench:
    """A lab of ten hosts, a folder to push, and the sides that push it."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.source = folder / "source"
        self._numbers = itertools.count()
        make_files(self.source)

    def environment(self, count: int) -> dict[str, str]:
        """An inventory of so many hosts, reached as root as all sides reach them."""
        inventories = self.folder / f"inventories{count}"
        if not inventories.exists():
            inventories.mkdir()
            lines = self.lab.inventory().replace("user: deploy", "user: root").splitlines()
            hosts = lines.index("hosts:") + 1
            text = "\n".join(lines[: hosts + count]) + "\n"
            (inventories / "lab.yml").write_text(text)
        return {"DATABOARD_INVENTORIES": str(inventories), "DATABOARD_TARGET": "lab"}

    def addresses(self, count: int) -> list[str]:
        return [host.address for host in self.lab.hosts[:count]]

    # each of the following gives the wall time of a whole process

    def ours(self, count: int, destination: str) -> float:
        where = self.environment(count)
        return run(PYTHON, HERE / "ours.py", self.source, destination, **where)

    def floor(self, count: int, destination: str, command: str = "true") -> float:
        source = str(self.source) if destination else ""
        words = [self.lab.key, self.lab.known_hosts, source, destination, command]
        return run("bash", HERE / "floor.sh", *words, *self.addresses(count))

    def fabric(self, count: int, destination: str) -> float:
        program = peer("fabric", "fabric", is_pinned=False) / "python"
        words = [self.lab.key, self.lab.known_hosts, self.source, destination]
        return run(program, HERE / "with_fabric.py", *words, *self.addresses(count))

    def pyinfra(self, count: int, destination: str) -> float:
        program = peer("pyinfra", "pyinfra>=3", is_pinned=False) / "pyinfra"
        known = f"'ssh_known_hosts_file': {str(self.lab.known_hosts)!r}"
        data = f"{{'ssh_user': 'root', 'ssh_key': {str(self.lab.key)!r}, {known}}}"
        (self.folder / "hosts.py").write_text(f"all = ({self.addresses(count)!r}, {data})\n")
        deploy = DEPLOY.format(source=f"{self.source}/", destination=f"{destination}/")
        (self.folder / "deploy.py").write_text(deploy)
        return run(program, "-y", "hosts.py", "deploy.py", cwd=self.folder, **self.trusting())

    def ansible(self, count: int, destination: str) -> float:
        program = peer("ansible", "ansible-core", is_pinned=False) / "ansible-playbook"
        ssh = f"ssh -F none -i {self.lab.key} -o BatchMode=yes"
        ssh += f" -o UserKnownHostsFile={self.lab.known_hosts}"
        play = PLAYBOOK.format(ssh=ssh, source=self.source, destination=destination)
        (self.folder / "play.yml").write_text(play)
        hosts = ",".join(self.addresses(count)) + ","
        options = ["-i", hosts, "-u", "root", "--private-key", str(self.lab.key), "-f", str(count)]
        known = f"-o UserKnownHostsFile={self.lab.known_hosts}"
        return run(
            program,
            *options,
            f"--ssh-extra-args={known}",
            "play.yml",
            cwd=self.folder,
            ANSIBLE_PIPELINING="1",
            ANSIBLE_LOCALHOST_WARNING="0",
            ANSIBLE_HOME=str(self.folder / "ansible"),
            ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3",
            **self.trusting(),
        )

    def trusting(self) -> dict[str, str]:
        """A home in which ssh knows the hosts, for what reads ~/.ssh alone."""
        home = self.folder / "home"
        (home / ".ssh").mkdir(parents=True, exist_ok=True)
        shutil.copy(self.lab.known_hosts, home / ".ssh" / "known_hosts")
        config = f"Host *\n  IdentityFile {self.lab.key}\n  UserKnownHostsFile "
        config += f"{self.lab.known_hosts}\n"
        (home / ".ssh" / "config").write_text(config)
        return {"HOME": str(home)}

    def compare(self, rounds: int, count: int, *sides: Side) -> Times:
        """Medians of each side: to a new folder, and again when nothing has changed."""
        first, again = [], []
        for side in sides:
            folders: list[str] = []

            first.append(partial(self._push_new, side, count, folders))
            again.append(partial(self._push_again, side, count, folders))
        medians = interleave(rounds, *itertools.chain(*zip(first, again, strict=True)))
        return list(zip(medians[::2], medians[1::2], strict=True))

    def _push_new(self, side: Side, count: int, folders: list[str]) -> float:
        folders.append(f"/srv/push{next(self._numbers)}")
        return side(count, folders[-1])

    def _push_again(self, side: Side, count: int, folders: list[str]) -> float:
        took = side(count, folders[-1])
        for host in self.lab.hosts[:count]:  # or the disks fill
            shutil.rmtree(host.root / folders[-1].lstrip("/"))
        return took


def make_files(folder: Path, count: int = 300, size: int = 35_000) -> None:
    """300 files, 10 MB."""
    generator = random.Random(1)  # noqa: S311 - no secret
    for number in range(count):
        path = folder / f"part{number % 20}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(size))


def pushes(bench: Bench, rounds: int, is_quick: bool) -> list[Row]:
    """Pushing and one command, against the floor and against the peers."""
    rows = []
    medians: dict[int, Times] = {}
    for count, goal in ((1, 2.0), (MANY, 1.3)):
        times = medians[count] = bench.compare(rounds, count, bench.ours, bench.floor)
        hosts = f"{count} host{'s' * (count > 1)}"
        rows += rows_of(f"push to {hosts}", times, goal)
    growth = [medians[MANY][side][1] / medians[1][side][1] for side in (0, 1)]
    rows.append(Row("growth from 1 to 10 hosts, nothing changed / the floor's", *growth, 1.0))
    if not is_quick:
        with bench.lab.delay(RTT):
            times = bench.compare(rounds, MANY, bench.ours, bench.floor)
        rows += rows_of(f"push to {MANY} hosts, {RTT} ms round trip", times, 1.3)
    others = [("Fabric + rsync", bench.fabric, 1.2)]
    if not is_quick:
        others += [("pyinfra", bench.pyinfra, 1.6), ("Ansible", bench.ansible, 4.0)]
    for name, side, factor in others:
        times = bench.compare(rounds, MANY, bench.ours, side)
        rows += rows_of(f"push to {MANY} hosts / {name}", times, 1 / factor)
    return rows


def rows_of(what: str, times: Times, goal: float) -> list[Row]:
    (ours, theirs), (ours_again, theirs_again) = zip(*times, strict=True)
    return [
        Row(f"{what}, first time", ours, theirs, goal),
        Row(f"{what}, nothing changed", ours_again, theirs_again, goal),
    ]


class Rollouts(Site):
    """A site on hosts of the lab; its environment is built once, and copied."""

    def start(self) -> None:
        """Set up and rolled out to."""
        self.set_up()
        everywhere = (self.folder / "lab.yml").read_text()
        lines = everywhere.splitlines(keepends=True)
        (self.folder / "lab.yml").write_text("".join(lines[: lines.index("hosts:\n") + 2]))
        self.publish()
        for host in self.hosts[1:]:
            there = host.root / "srv/datacamp/databoard"
            shutil.rmtree(there / "venvs", ignore_errors=True)
            copy = ["cp", "-a", str(self.hosts[0].root / "srv/datacamp/databoard/venvs"), there]
            subprocess.run(copy, check=True)
        (self.folder / "lab.yml").write_text(everywhere)
        outcome = self.publish()
        assert outcome.error is None, outcome.error


def rollouts(bench: Bench, rounds: int) -> list[Row]:
    """Whole commands: publish-software, status; and the requests that fail meanwhile."""
    site = Rollouts(bench.lab, bench.folder)
    site.start()
    where = {"DATABOARD_INVENTORIES": str(site.folder), "DATABOARD_TARGET": "lab"}
    destination = "/srv/graceful"
    bench.floor(MANY, destination)

    def graceful() -> float:
        took = bench.floor(MANY, destination, "apachectl graceful")
        site.check_healthy()  # what Apache does after that would slow ours down
        return took

    ours, floor = interleave(
        rounds, lambda: run(INV, "publish-software", "--dirty", **where), graceful
    )
    rows = [Row(f"publish-software to {MANY} hosts, nothing changed / floor", ours, floor, 2.0)]
    newer = seconds(lambda: site.publish(site.newer()))
    rows.append(Row(f"the same, one file changed: {MANY} sites restart", newer, None))
    ours, floor = interleave(
        rounds, lambda: run(INV, "status", **where), lambda: bench.floor(MANY, "", "true")
    )
    rows.append(Row(f"status of {MANY} hosts / ssh", ours, floor, 1.4))
    bad = site.variant({"databoard/web/health.py": ill_when_served(site)})
    for what, roll_out in (
        ("a rollout", lambda: site.publish(site.newer())),
        ("one that fails", lambda: site.publish(bad)),
    ):
        sent, failed = 0, 0
        while sent < 2000:
            with site.load(0, 1, 2) as load:
                roll_out()
            sent, failed = sent + load.count, failed + len(load.failed)
        rows.append(Row(f"failed of {sent} requests during {what}", failed, None, 0, is_count=True))
    return rows


@contextmanager
def lab_of(count: int) -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="databoard-") as folder,
        Lab.up(count, folder=Path(folder, "lab"), tag="bench") as lab,
    ):
        yield Bench(lab, Path(folder))


def main() -> None:
    is_quick = arguments(__doc__ or "").quick
    if os.geteuid() != 0:
        sys.exit("The hosts of the lab need root: sudo .venv/bin/python benchmarks/rollout.py")
    rounds = 2 if is_quick else 5
    with lab_of(MANY) as bench:
        rows = pushes(bench, rounds, is_quick)
        if not is_quick:
            rows += rollouts(bench, rounds)
    report(rows)


if __name__ == "__main__":
    main()
