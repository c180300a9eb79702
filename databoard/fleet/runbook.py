"""A list of steps, and the one executor of such lists.

A step is a value: what it does on a host, how that is undone, and its sentence. The executor takes
the hosts side by side, a step at a time. When a host fails, everything that was begun is undone in
reverse order, on every host.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Protocol

from databoard.config import ROOT
from databoard.errors import DataboardError
from databoard.fleet.connect import side_by_side
from databoard.fleet.inventory import Hook, Host, Target
from databoard.fleet.lock import GUARD, Owner
from databoard.fleet.machine import Machine, Output
from databoard.fleet.shell import assign, json_line


@dataclass(frozen=True)
class Run:
    """A shell script, run as root."""

    script: str
    stdin: bytes = b""


@dataclass(frozen=True)
class Push:
    """The content of a folder here, sent to a folder there."""

    source: Path
    destination: str
    options: tuple[str, ...] = ()
    before: str = ""  # a script that is run there first


Action = Run | Push


def nothing(host: Host) -> Action | None:
    """For a step that does nothing on a host, or whose doing needs no undoing."""
    return None


@dataclass(frozen=True)
class Step:
    """What is done on each host, and undone."""

    name: str
    says: str
    do: Callable[[Host], Action | None]
    undo: Callable[[Host], Action | None] = nothing
    in_batches: bool = False  # with its neighbours: all of them on some hosts, then on others


class Failed(DataboardError):
    """A runbook that did not come to its end; `failures` says where."""

    def __init__(self, step: Step | str, failures: Mapping[str, str], undone: str) -> None:
        self.failures = failures
        name = step if isinstance(step, str) else step.name
        where = "\n".join(f"  {host}: {reason}" for host, reason in failures.items())
        super().__init__(f"The step {name} failed:\n{where}", undone)


class Reporter(Protocol):
    """Who is told how it goes."""

    def begins(self, step: str, says: str, n_hosts: int) -> None: ...
    def host_done(self, step: str, host: Host) -> None: ...
    def ends(self, step: str) -> None: ...


@dataclass
class Journey:
    """What happened on one host."""

    done: list[str] = field(default_factory=list)
    failure: str = ""
    seconds: float = 0.0
    is_stuck: bool = False  # it could not be undone


class Executor:
    """Runs steps on machines under a lock."""

    def __init__(
        self,
        target: Target,
        machines: Mapping[Host, Machine],
        owner: Owner,
        reporter: Reporter,
        serial: int | None = None,
        max_fail: int = 0,
        left_out: Mapping[Host, str] | None = None,
    ) -> None:
        self.target, self.machines, self.owner = target, dict(machines), owner
        self.reporter, self.serial, self.max_fail = reporter, serial, max_fail
        left_out = left_out or {}
        self.journeys = {host: Journey() for host in machines} | {
            host: Journey(failure=f"preflight: {reason}") for host, reason in left_out.items()
        }
        self._begun: list[tuple[Step, list[Host]]] = []
        self._is_committed = False

    @property
    def alive(self) -> list[Host]:
        """The hosts that no step has failed on."""
        return [host for host, journey in self.journeys.items() if not journey.failure]

    def run(self, steps: Sequence[Step]) -> None:
        """Run them all.

        Raises Failed when more hosts failed than may, or at Ctrl-C; all is undone then.
        """
        for in_batches, group in groupby(steps, key=lambda step: step.in_batches):
            several = list(group)
            for hosts in self._batches(in_batches):
                for step in several:
                    self._take(step, [host for host in hosts if host in self.alive])

    def commit(self) -> None:
        """From now on, what was done stays."""
        self._begun.clear()
        self._is_committed = True

    def _batches(self, in_batches: bool) -> Iterable[list[Host]]:
        hosts = self.alive
        size = self.serial if in_batches and self.serial else len(hosts)
        return [hosts[start : start + size] for start in range(0, len(hosts), size)]

    def _take(self, step: Step, hosts: list[Host]) -> None:
        actions = {host: action for host in hosts if (action := step.do(host)) is not None}
        if not actions:
            return
        self.reporter.begins(step.name, step.says, len(actions))
        self._begun.append((step, list(actions)))
        try:
            run_hooks(self.target, self.owner, f"before-{step.name}")
            reasons = self._perform(step.name, actions)
            run_hooks(self.target, self.owner, f"after-{step.name}")
        except HookFailed as error:
            reasons = dict.fromkeys(actions, error.message)
        except KeyboardInterrupt:
            self.reporter.ends(step.name)
            told = {host.name: "interrupted" for host in actions}
            raise Failed(step, told, self.undo(list(self.journeys))) from None
        finally:
            self.reporter.ends(step.name)
        for host, reason in reasons.items():
            self.journeys[host].failure = f"{step.name}: {reason}"
        failed = [host for host, journey in self.journeys.items() if journey.failure]
        if len(failed) > self.max_fail or not self.alive:
            told = {host.name: self.journeys[host].failure.partition(": ")[2] for host in failed}
            raise Failed(step, told, self.undo(list(self.journeys)))
        if reasons:
            self.undo(list(reasons))

    def _perform(self, name: str, actions: Mapping[Host, Action]) -> dict[Host, str]:
        """Why it failed, for each host on which it did."""

        def on(host: Host) -> str:
            began = time.monotonic()
            try:
                output = perform(
                    self.machines[host], guarded(self.owner, name, host, actions[host])
                )
                reason = "" if output.code == 0 else explain(output)
            except DataboardError as error:
                reason = error.message
            self.journeys[host].seconds += time.monotonic() - began
            if not reason:
                self.journeys[host].done.append(name)
            self.reporter.host_done(name, host)
            return reason

        hosts = list(actions)
        return {
            host: reason
            for host, reason in zip(hosts, side_by_side(on, hosts), strict=True)
            if reason
        }

    def undo(self, hosts: Sequence[Host]) -> str:
        """Undo what was begun on these hosts, in reverse. Returns a sentence that says so."""
        stuck: dict[Host, str] = {}
        is_undone = False
        for step, begun in reversed(self._begun):
            actions = {
                host: action
                for host in begun
                if host in hosts and host not in stuck and (action := step.undo(host)) is not None
            }
            if actions:
                is_undone = True
                self.reporter.begins(f"undo {step.name}", f"Undo: {step.says}", len(actions))
                stuck |= self._perform(f"undo-{step.name}", actions)
                self.reporter.ends(f"undo {step.name}")
        for host in stuck:
            self.journeys[host].is_stuck = True
        if self._is_committed:
            return "The release serves; only this was left undone."
        if not is_undone:
            return "What was done stays. Mend this, and repeat the command."
        if not stuck:
            return "Everything was undone; each host serves what it served before."
        where = "; ".join(f"{host.name}: {reason}" for host, reason in stuck.items())
        return f"It could not be undone everywhere ({where}). The next command does that first."


def perform(machine: Machine, action: Action) -> Output:
    """Do it. Raises ConnectionLost."""
    if isinstance(action, Run):
        return machine.run(action.script, action.stdin)
    return machine.push(action.source, action.destination, action.options, action.before)


def guarded(owner: Owner, step: str, host: Host, action: Action) -> Action:
    """The action under the lock's protection, with lines in the audit log."""
    line = json_line({"id": owner.id, "what": owner.what, "who": owner.who, "step": step})
    guard = assign({"home": host.home, "id": owner.id, "line": line}) + GUARD
    if isinstance(action, Push):
        # a failed push says so here; the next step's line tells that it went well
        return Push(action.source, action.destination, action.options, guard + action.before)
    body = f"set +e; (set -e\n{action.script}\n) 8>&-; code=$?"
    return Run(f'{guard}{body}\naudit "\\"code\\": $code"; exit $code', action.stdin)


def explain(output: Output) -> str:
    """The last lines of what failed."""
    lines = [line.rstrip() for line in output.text.splitlines() if line.strip()]
    return "\n    ".join(lines[-6:]) or f"exit code {output.code}"


class HookFailed(DataboardError):
    """A hook of the inventory that did not end with 0."""


def run_hooks(target: Target, owner: Owner, point: str) -> None:
    """Run the inventory's hooks for a point. Raises HookFailed."""
    for hook in target.hooks.get(point, ()):
        run_hook(hook, point, target, owner)


def run_hook(hook: Hook, point: str, target: Target, owner: Owner) -> None:
    """Run it on this machine, with what it may want to know in its environment."""
    command = (
        ["sh", "-c", hook.text]
        if hook.kind == "command"
        else [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *shlex.split(hook.text)]
    )
    done = subprocess.run(
        command,
        env={
            **os.environ,
            "DATABOARD_TARGET": target.name,
            "DATABOARD_ROLLOUT": owner.id,
            "DATABOARD_HOOK": point,
            "DATABOARD_HOSTS": ",".join(host.name for host in target.hosts),
            "DATABOARD_PID": str(os.getpid()),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        said = explain(Output(done.returncode, done.stdout.decode(errors="replace")))
        raise HookFailed(f"The hook {point} ({hook.text}) failed: {said}")
