"""A lab leaves nothing on the machine, however it ends, and harms nobody there."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from databoard.errors import DataboardError
from tasks.development import PARTS, Part

if TYPE_CHECKING:
    from tests.lab.hosts import Lab

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OWNER = """
import sys
from pathlib import Path
from tests.lab.hosts import Lab

lab = Lab.up(1, folder=Path(sys.argv[1]), tag=sys.argv[2], network="10.79")
print(lab.hosts[0].pid, lab.network, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tags(make_lab: Callable[..., Lab]) -> Iterator[Callable[[], str]]:
    """tags() is a tag that no lab has; what has it afterwards is removed."""
    from tests.lab.hosts import clear

    numbers, given = count(), []

    def tag() -> str:
        given.append(f"r{os.getpid()}{'abcdefgh'[next(numbers)]}")
        return given[-1]

    yield tag
    for name in given:
        clear(name)


def traces(tag: str, network: str) -> list[str]:
    """What the machine has of a lab."""
    from tests.lab.remains import mounts, processes

    commands = ("ip link", "ip route show table all", "ip netns", "findmnt --raw")
    said = [
        line
        for command in commands
        for line in subprocess.check_output(command.split(), text=True).split("\n")
    ]
    found = [line for line in said if f"{tag}-" in line or f":{tag}:" in line or network in line]
    for _, place, _ in mounts("cgroup2"):
        group = Path(place, f"databoard-lab-{tag}")
        found += [str(group)] * group.exists() + [str(pid) for pid in processes(group)]
    return found


def test_down_leaves_nothing_and_may_be_called_twice(
    tags: Callable[[], str], tmp_path: Path
) -> None:
    from tests.lab.hosts import Lab
    from tests.lab.remains import processes

    tag = tags()
    lab = Lab.up(2, folder=tmp_path, tag=tag)
    lab.hosts[0].blackhole(True)
    running = processes(lab.record.cgroup)
    assert len(running) > 10 and traces(tag, f"{lab.network}.")
    with lab.delay(20):
        lab.down()
    lab.down()
    assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]
    assert traces(tag, f"{lab.network}.") == []
    assert list(tmp_path.iterdir()) == []


def test_a_lab_that_is_over_does_not_end_the_next_in_its_place(
    tags: Callable[[], str], tmp_path: Path
) -> None:
    from tests.lab.hosts import Lab

    tag = tags()
    first = Lab.up(1, folder=tmp_path, tag=tag)
    with Lab.up(1, folder=tmp_path, tag=tag) as second:
        first.down()
        assert second.hosts[0].run("hostname").stdout == "lab1\n"


@pytest.mark.parametrize("tag_is_the_same", [True, False])
def test_a_lab_whose_process_was_killed_is_removed_by_the_next(
    tags: Callable[[], str], tmp_path: Path, tag_is_the_same: bool
) -> None:
    from tests.lab.hosts import Lab

    tag = tags()
    command = [sys.executable, "-c", OWNER, str(tmp_path / "first"), tag]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, network = owner.stdout.readline().split()
        with pytest.raises(DataboardError, match=f"Process {owner.pid} has a lab named {tag}."):
            Lab.up(1, folder=tmp_path / "second", tag=tag)
        owner.send_signal(signal.SIGKILL)
    assert Path(f"/proc/{pid}").exists()  # nobody has told the host
    again = tag if tag_is_the_same else tags()
    with Lab.up(1, folder=tmp_path / "second", tag=again) as lab:
        assert not Path(f"/proc/{pid}/root/run").exists()
        assert traces(tag, f"{network}.") == [] or tag_is_the_same
        assert lab.hosts[0].run("hostname").stdout == "lab1\n"
        assert not any((tmp_path / "first/disks").glob("*"))


def test_two_labs_are_up_at_once(tags: Callable[[], str], tmp_path: Path, lab3: Lab) -> None:
    from tests.lab.hosts import Lab

    with Lab.up(1, folder=tmp_path, tag=tags()) as other:
        assert other.network != lab3.network
        socket.create_connection((other.hosts[0].address, 22), timeout=5).close()
        socket.create_connection((lab3.hosts[0].address, 22), timeout=5).close()
        with pytest.raises(DataboardError, match=f"The network {lab3.network} is in use"):
            Lab.up(1, folder=tmp_path / "third", tag=tags(), network=lab3.network)


def test_without_its_bridge_nothing_for_a_lab_leaves_the_machine(
    tags: Callable[[], str], tmp_path: Path
) -> None:
    from tests.lab.hosts import Lab

    tag = tags()
    with Lab.up(1, folder=tmp_path, tag=tag) as lab:
        subprocess.run(["ip", "link", "delete", f"{tag}-0"], check=True)
        with pytest.raises(OSError) as caught:
            socket.create_connection((lab.hosts[0].address, 22), timeout=5)
        assert caught.value.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
    assert traces(tag, f"{lab.network}.") == []


def test_who_is_not_root_or_lacks_a_package_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.lab.hosts import Lab

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DataboardError, match=r"Only root can start a lab\.\nCall it with sudo\."):
        Lab.up(1, folder=tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setitem(PARTS, "cron", Part("cron", "tests", ("/nowhere/cron",)))
    with pytest.raises(DataboardError, match=r"A lab needs Debian packages .* missing: .*cron"):
        Lab.up(1, folder=tmp_path)


@pytest.mark.parametrize(("number", "tag"), [(0, "lab"), (201, "lab"), (1, "Lab"), (1, "a-b")])
def test_a_lab_has_a_number_of_hosts_and_a_short_tag(
    tags: Callable[[], str], tmp_path: Path, number: int, tag: str
) -> None:
    from tests.lab.hosts import Lab

    with pytest.raises(DataboardError, match=r"A lab has 1 to 200 hosts|is no tag"):
        Lab.up(number, folder=tmp_path, tag=tag)
