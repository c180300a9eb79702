"""What hosts have of a problem: read, and nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from databoard.errors import DataboardError
from databoard.fleet import problem_scripts as scripts
from databoard.fleet import shell
from databoard.fleet.inventory import Target
from databoard.fleet.machine import Machine, Output
from databoard.fleet.render import WORKER_USER


@dataclass(frozen=True)
class Seen:
    """What a host has of a problem."""

    version: str = ""  # that is served
    digest: str = ""  # of what scores depend on
    is_foreign: bool = False  # it was put there by hand


def events_of(target: Target, machine: Machine, name: str) -> list[str]:
    """The events of a problem, in the database that the host uses. Raises DataboardError."""
    values = {"home": machine.host.home, "code": scripts.EVENTS}
    text = scripts.AS_WORKER + scripts.ASK
    output = machine.run(shell.assign(values) + script(target, {"name": name}, text))
    if output.code:
        raise DataboardError(
            f"{machine.host.name} cannot tell the events of {name}: {output.last}",
            f"Look at it: inv status --target={target.name}",
        )
    return told(output, "event")


def see(target: Target, machine: Machine, name: str, wants_digest: bool) -> Seen:
    """What a host has of a problem. Raises DataboardError."""
    values = {"home": machine.host.home, "wants_digest": int(wants_digest)}
    output = machine.run(shell.assign(values) + script(target, {"name": name}, scripts.SEE))
    if output.code:
        raise DataboardError(f"{machine.host.name} cannot be looked at: {output.last}.")
    version, digest = ("".join(told(output, fact)[:1]) for fact in ("version", "digest"))
    return Seen(version, digest, bool(told(output, "foreign")))


def told(output: Output, fact: str) -> list[str]:
    """What a script has printed after `@fact`."""
    lines = output.text.splitlines()
    return [line.removeprefix(f"@{fact}").strip() for line in lines if line.startswith(f"@{fact} ")]


def script(target: Target, values: Mapping[str, str], text: str) -> str:
    """A script about a problem, for a host of the target."""
    worker_user = WORKER_USER if target.connection == "ssh" else ""
    known = {"id": "", "was": "", "worker_user": worker_user, **values}
    return shell.assign(known) + scripts.NAMES + text
