"""What a rollout would do: looked up on the hosts, where nothing is changed by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff

from databoard.errors import DataboardError
from databoard.fleet.connect import side_by_side
from databoard.fleet.inventory import Host
from databoard.fleet.machine import Machine
from databoard.fleet.render import File
from databoard.fleet.rollout import Rollout
from databoard.fleet.runbook import Push, Step
from databoard.fleet.survey import Facts


@dataclass
class Plan:
    """The steps with the hosts that take part, and what would differ on each host."""

    release: str
    steps: list[tuple[str, str, list[str]]]  # name, sentence, hosts
    pending: list[str] = field(default_factory=list)  # migrations
    diffs: dict[Host, list[str]] = field(default_factory=dict)  # of rendered files, unified
    sent: dict[Host, list[str]] = field(default_factory=dict)  # as rsync itemises


def steps_of(steps: Sequence[Step], hosts: Sequence[Host]) -> list[tuple[str, str, list[str]]]:
    """The steps that do something, and where."""
    taken = [(step, [host.name for host in hosts if step.do(host) is not None]) for step in steps]
    return [(step.name, step.says, names) for step, names in taken if names]


def plan(change: Rollout, machines: Mapping[Host, Machine]) -> Plan:
    """The plan of a rollout. Raises DataboardError when rsync fails."""
    steps = [*change.steps(), *change.last_steps()]
    result = Plan(
        change.id,
        steps_of(steps, list(machines)),
        [f"{each.id} ({each.title})" for each in change.pending],
    )
    for host in machines:
        result.diffs[host] = diffs(host, change.files[host], change.facts[host])
    sent = side_by_side(lambda host: itemised(change, host, machines[host]), list(machines))
    result.sent = dict(zip(machines, sent, strict=True))
    return result


def place(host: Host, file: File) -> str:
    """Where a rendered file lies on the host today."""
    return str(file.destination or host.home / "current" / "etc" / file.name)


def diffs(host: Host, files: Sequence[File], facts: Facts) -> list[str]:
    """A unified diff of each file that would change. Secrets are named, never shown."""
    found = []
    for file in files:
        path = place(host, file)
        here = facts.files.get(path)
        if here == file.content:
            continue
        if file.is_secret:
            found.append(f"{path} {'would change' if here else 'is new'}; it holds secrets")
            continue
        found.append(diff_of(path, here, file.content))
    return found


def diff_of(path: str, here: str | None, content: str) -> str:
    """A unified diff from what a file holds (None: there is none) to what it will hold."""
    before = (here or "").splitlines(keepends=True)
    name = path if here is not None else "/dev/null"
    return "".join(unified_diff(before, content.splitlines(keepends=True), name, path))


def itemised(change: Rollout, host: Host, machine: Machine) -> list[str]:
    """What rsync would send, against the release that serves."""
    action = change.upload(host)
    assert isinstance(action, Push)
    current = change.facts[host].current
    if not current:
        files = [path for path in change.source.folder.rglob("*") if path.is_file()]
        return [f"everything: {len(files)} files"]
    options = (*action.options, "--dry-run", "--itemize-changes")
    output = machine.push(action.source, f"{host.home}/releases/{current}", options)
    if output.code:
        raise DataboardError(f"rsync to {host.name} failed: {output.last}.")
    return [line for line in output.text.splitlines() if line.strip()]
