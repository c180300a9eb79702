"""How the hosts of a target are, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from databoard.errors import DataboardError
from databoard.fleet.connect import Unreachable, opened, side_by_side
from databoard.fleet.inventory import Host, Target
from databoard.fleet.survey import Facts, Wish, survey

LEAST_FREE = 0.05  # of the disk
OLDEST_BACKUP = 26 * 3600  # seconds


@dataclass
class HostStatus:
    """A host; `facts` is None when it cannot be looked at."""

    host: Host
    facts: Facts | None = None
    problems: list[str] = field(default_factory=list)


def look(target: Target, wants: Sequence[Wish] = ("health",)) -> list[HostStatus]:
    """Look at all hosts; never raises for what is wrong with one."""
    with opened(target) as machines:

        def on(host: Host) -> HostStatus:
            machine = machines[host]
            if isinstance(machine, Unreachable):
                return HostStatus(host, None, [machine.message])
            try:
                return HostStatus(host, survey(target, machine, wants))
            except DataboardError as error:
                return HostStatus(host, None, [error.message])

        return side_by_side(on, target.hosts)


def status(target: Target) -> list[HostStatus]:
    """How the hosts are, with what is wrong."""
    found = look(target)
    newest = max((each.facts.stable for each in found if each.facts), default="")
    for each in found:
        if each.facts:
            each.problems += problems(target, each.host, each.facts, newest)
    return found


def problems(target: Target, host: Host, facts: Facts, newest: str) -> list[str]:
    """What is wrong with a host, a sentence each."""
    wrong = []
    if facts.before is not None and not facts.is_locked:
        wrong.append(cut_off(facts))
    if not facts.current:
        return [*wrong, "Nothing was rolled out to it yet."]
    if facts.stable != newest:
        wrong.append(f"It serves {facts.stable}, others serve {newest}.")
    if "web" in host.roles:
        if facts.apache != "active":
            wrong.append("Apache does not run." if target.connection == "ssh" else "It is stopped.")
        elif facts.health.get("database") != "up":
            wrong.append(f"The site is not healthy: {facts.health_text[:200]}")
        elif facts.health.get("release") != facts.current:
            wrong.append(f"The site is still {facts.health.get('release')}.")
    if "worker" in host.roles and facts.worker != "active":
        wrong.append("The worker does not run.")
    if facts.disk_free < LEAST_FREE * facts.disk_size:
        wrong.append(f"Its disk is full but for {facts.disk_free >> 20} MB.")
    if (facts.backup_age or 0) > OLDEST_BACKUP:
        wrong.append(f"Its last backup is {(facts.backup_age or 0) // 3600} h old.")
    return wrong


def cut_off(facts: Facts) -> str:
    """What is known of a rollout that did not come to its end."""
    last = facts.audit[-1] if facts.audit else {}
    done = "was done" if "code" in last else "had begun"
    return (
        f"{last.get('what', 'A rollout')} by {last.get('who', 'somebody')} was cut off when its "
        f"step {last.get('step', 'lock')} {done}; publish again, or: inv rollback"
    )
