"""One connection to a real sshd, without root: what rides on it, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from databoard.fleet.connect import Unreachable, opened
from databoard.fleet.inventory import Host, Target
from databoard.fleet.lock import Locked, Locks, Owner
from databoard.fleet.machine import ConnectionLost
from databoard.fleet.ssh import SshMachine
from tests.lab.loopback import Loopback, loopback


@pytest.fixture(scope="module")
def sshd(
    need: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loopback]:
    need("sshd")
    need("rsync")
    with loopback(tmp_path_factory.mktemp("sshd")) as host:
        yield host


@pytest.fixture
def target(sshd: Loopback, tmp_path: Path) -> Target:
    host = Host(
        "here",
        sshd.address,
        port=sshd.port,
        user=sshd.user,
        key=sshd.key,
        roles=("web",),
        path=PurePosixPath(tmp_path / "it's here"),
    )
    file = tmp_path / "x.yml"
    return Target("x", file, hosts=(host,), known_hosts=sshd.known_hosts, connect_timeout=5)


@pytest.fixture
def machine(target: Target) -> Iterator[SshMachine]:
    with opened(target) as machines:
        (machine,) = machines.values()
        assert isinstance(machine, SshMachine)
        machine.is_root = True  # nothing here needs it
        yield machine


def test_scripts_have_output_input_and_exit_code(machine: SshMachine) -> None:
    output = machine.run("cat; echo ' to you' >&2; exit 7", stdin="héllo".encode())
    assert (output.code, output.text) == (7, "héllo to you\n")
    chunks: list[bytes] = []
    assert machine.run("printf 'a\\033b'", sink=chunks.append).text == ""
    assert b"".join(chunks) == b"a\x1bb"
    assert machine.run("printf 'a\\033b'").text == "a\N{REPLACEMENT CHARACTER}b"
    large = machine.run("head -c 5000000 /dev/zero | tr '\\0' x; echo y >&2")
    assert len(large.text) == 5_000_002


NAMES = ["plain", "a b", "it's", '"', "$(touch hit)", "`touch hit`", "-e", "a\nb", "*", "é", "a:b"]


def test_a_push_carries_any_name(machine: SshMachine, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in NAMES:
        (source / name).mkdir(parents=True)
        (source / name / name).write_bytes(os.urandom(1000))
    (source / "link").symlink_to("plain")
    for name in set(NAMES) - {"*"}:  # rsync expands it in what it writes to; no path of ours has it
        there = tmp_path / "there" / name
        there.parent.mkdir(exist_ok=True)
        output = machine.push(source, str(there), before="echo before >&2")
        assert output.code == 0, output.text
        assert {path.name for path in there.iterdir()} == {*NAMES, "link"}
        for path in source.rglob("*"):
            copy = there / path.relative_to(source)
            assert copy.is_dir() if path.is_dir() else copy.read_bytes() == path.read_bytes()
    assert not list(tmp_path.rglob("hit"))


def test_what_has_not_changed_is_not_sent(machine: SshMachine, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(100_000))
    options = ("--itemize-changes",)
    first = machine.push(source, str(tmp_path / "there"), options)
    assert "<f+++++++++ file" in first.text
    assert machine.push(source, str(tmp_path / "there"), options).text == ""


def test_a_push_that_fails_says_why(machine: SshMachine, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    nowhere = machine.push(source, "/proc/nowhere/at/all")
    assert nowhere.code != 0 and "mkdir" in nowhere.text
    stopped = machine.push(source, str(tmp_path / "there"), before="echo no; exit 5")
    assert stopped.code != 0
    assert not (tmp_path / "there").exists()
    assert machine.run("echo still here").text == "still here\n"


def test_a_lock_ends_with_its_connection(target: Target, machine: SshMachine) -> None:
    host = machine.host
    with opened(target) as machines:
        (other,) = machines.values()
        assert isinstance(other, SshMachine)
        other.is_root = True
        mine = Locks({host: other}, Owner.me("first"), 4, is_rollout=True)
        assert mine.before == {host: ""}
        with pytest.raises(Locked, match=r"here is locked by \S+@\S+ since .* UTC: first\."):
            Locks({host: machine}, Owner.me("second"), 4)
    second = Locks({host: machine}, Owner.me("second"), 4)
    second.release(is_done=False)
    assert (tmp := Path(host.home)) and (tmp / "rollout.before").exists()  # the first was cut off
    third = Locks({host: machine}, Owner.me("third"), 4, is_rollout=True)
    third.release(is_done=True)
    assert sorted(path.name for path in tmp.iterdir()) == ["busy", "lock", "log"]


KILL_SSHD = """
pid=$PPID
while [ "$(cat /proc/$pid/comm)" != sshd ]; do
    pid=$(awk '/^PPid/ { print $2 }' /proc/$pid/status)
done
kill -9 "$pid"; sleep 60
"""


def test_a_lost_connection_is_told(machine: SshMachine) -> None:
    with pytest.raises(ConnectionLost, match=r"The connection to here \(127.0.0.1\) was lost"):
        machine.run(KILL_SSHD)
    with pytest.raises(ConnectionLost):
        machine.run("true")
    with pytest.raises(ConnectionLost):
        machine.push(Path("/etc/ssl"), "/nowhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "here (127.0.0.1, port 1) cannot be reached: "),
        ({"address": "no.such.host.invalid"}, "here (no.such.host.invalid, port "),
    ],
)
def test_what_cannot_be_reached_says_so(
    target: Target, change: dict[str, object], said: str
) -> None:
    (host,) = target.hosts
    other = replace(target, hosts=(replace(host, **change),))  # type: ignore[arg-type]
    with opened(other) as machines:
        (refused,) = machines.values()
    assert isinstance(refused, Unreachable) and refused.message.startswith(said)
    assert refused.hint == "Check its address, and that sshd runs there."


def test_a_talkative_login_shell_disturbs_nothing(machine: SshMachine) -> None:
    held = machine.hold("echo welcome; echo '@ready yes'; cat >/dev/null")
    assert held.first_line == "@ready yes"
    held.close()
    assert machine.hold("echo only this").first_line == "only this"
