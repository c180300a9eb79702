"""The executor, on folders of this machine in place of hosts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from databoard.fleet.inventory import Hook, Host, Target
from databoard.fleet.local import ThisMachine
from databoard.fleet.lock import Locks, Owner
from databoard.fleet.runbook import Executor, Failed, HookFailed, Run, Step, run_hooks
from tests.fleet.site import Listener

OWNER = Owner.me("a test")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    hosts = tuple(
        Host(name, "local", user="me", roles=("web",), path=PurePosixPath(tmp_path / name))
        for name in ("one", "two", "three")
    )
    return Target("x", tmp_path / "x.yml", connection="local", hosts=hosts)


@pytest.fixture
def execute(target: Target) -> Iterator[Callable[..., Executor]]:
    """execute(steps, **options) runs them, and returns the executor."""
    machines = {host: ThisMachine(host) for host in target.hosts}
    locks = Locks(machines, OWNER, 4)

    def run(steps: list[Step], at: Target = target, **options: int) -> Executor:
        executor = Executor(at, machines, OWNER, Listener(), **options)
        executor.run(steps)
        return executor

    yield run
    locks.release(is_done=True)


def step(name: str, fails_on: str = "", in_batches: bool = False) -> Step:
    """Writes its name to ../../../order and, undone, to ../../../undone; fails on one host."""

    def do(host: Host) -> Run:
        failing = f"echo no, says {host.name} >&2; exit 9" if host.name == fails_on else ":"
        return Run(f"echo {name} {host.name} >>../../../order\n{failing}")

    def undo(host: Host) -> Run:
        return Run(f"echo {name} {host.name} >>../../../undone")

    return Step(name, f"Do {name}", do, undo, in_batches=in_batches)


def lines(target: Target, name: str) -> list[str]:
    path = target.file.parent / name
    return path.read_text().splitlines() if path.exists() else []


def test_a_step_at_a_time_on_all_hosts(target: Target, execute: Callable[..., Executor]) -> None:
    executor = execute([step("first"), step("second")])
    order = lines(target, "order")
    assert [line.split()[0] for line in order] == ["first"] * 3 + ["second"] * 3
    assert all(journey.done == ["first", "second"] for journey in executor.journeys.values())
    for host in target.hosts:
        log = Path(host.home, "log/audit.jsonl").read_text().splitlines()
        told = [(each["step"], each.get("code", each.get("is"))) for each in map(json.loads, log)]
        assert told == [("first", "begun"), ("first", 0), ("second", "begun"), ("second", 0)]


def test_a_failure_undoes_what_was_begun_in_reverse(
    target: Target, execute: Callable[..., Executor]
) -> None:
    with pytest.raises(Failed) as error:
        execute([step("first"), step("second", fails_on="two"), step("third")])
    assert error.value.message == "The step second failed:\n  two: no, says two"
    assert error.value.hint == "Everything was undone; each host serves what it served before."
    undone = [line.split()[0] for line in lines(target, "undone")]
    assert undone == ["second"] * 3 + ["first"] * 3
    assert "third" not in " ".join(lines(target, "order"))


def test_who_may_fail_is_left_behind(target: Target, execute: Callable[..., Executor]) -> None:
    executor = execute([step("first"), step("second", fails_on="two"), step("third")], max_fail=1)
    assert sorted(lines(target, "undone")) == ["first two", "second two"]
    assert [line for line in lines(target, "order") if "third" in line and "two" in line] == []
    failures = [journey.failure for journey in executor.journeys.values()]
    assert failures == ["", "second: no, says two", ""]


def test_batches_take_all_their_steps_together(
    target: Target, execute: Callable[..., Executor]
) -> None:
    execute([step("a"), step("b", in_batches=True), step("c", in_batches=True)], serial=2)
    order = lines(target, "order")
    assert [line.split()[0] for line in order] == ["a"] * 3 + ["b"] * 2 + ["c"] * 2 + ["b", "c"]
    assert order[-1] == "c three"


def test_whose_lock_is_lost_does_nothing(target: Target, execute: Callable[..., Executor]) -> None:
    Path(target.hosts[1].home, "lock.owner").write_text('{"id": "somebody else"}')
    with pytest.raises(Failed, match=r"two: The lock was lost\."):
        execute([step("first")])
    assert "first two" not in lines(target, "order")


def test_a_hook_is_a_command_or_a_task(target: Target) -> None:
    told = target.file.parent / "told"
    hooks = {
        "before-a": (
            Hook("command", f"echo $DATABOARD_TARGET $DATABOARD_HOSTS $DATABOARD_HOOK >{told}"),
            Hook("task", "inventory --target=production"),
        ),
        "after-a": (Hook("task", "inventory --target=nowhere"),),
    }
    with_hooks = replace(target, hooks=hooks)
    run_hooks(with_hooks, OWNER, "before-a")
    assert told.read_text() == "x one,two,three before-a\n"
    with pytest.raises(HookFailed, match="There is no inventory 'nowhere'"):
        run_hooks(with_hooks, OWNER, "after-a")
