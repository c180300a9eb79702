"""Databoard's commands run on a target: on the host that has the database, over one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from databoard.fleet import shell
from databoard.fleet.connect import Unreachable, opened
from databoard.fleet.inventory import Host, Target
from databoard.fleet.machine import Sink
from databoard.fleet.rollout import migrating_host

THERE = """
cd "$home" 2>/dev/null && [ -x bin/inv ] || {
    echo "Nothing was rolled out to this host yet."
    echo "First: inv set-up-host and inv publish-software"
    exit 1
}
"""


def inv(
    target: Target, words: Sequence[str], sink: Sink, variables: Mapping[str, str] | None = None
) -> int:
    """Run a command there; what it prints goes to `sink` as it comes. Returns its exit code.

    Raises Unreachable, ConnectionLost.
    """
    host = migrating_host(target)
    with opened(target.only([host.name])) as machines:
        machine = machines[host]
        if isinstance(machine, Unreachable):
            raise machine
        return machine.run(script(host, words, variables), sink=sink).code


def script(host: Host, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
    """The command line on that host; settings and secrets are read there."""
    exported = "".join(
        f"export {shell.assign({name: value})}" for name, value in (variables or {}).items()
    )
    return (
        f"{shell.assign({'home': host.home})}{exported}{THERE}exec bin/inv {shell.words(*words)}\n"
    )
