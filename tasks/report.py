"""How work on hosts is shown: a line that moves on a terminal, and a table at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

    from databoard.fleet.inventory import Host, Target
    from databoard.fleet.plan import Plan
    from databoard.fleet.runbook import Journey
    from databoard.fleet.status import HostStatus
    from databoard.fleet.survey import Facts


class Quiet:
    """Tells nothing: for what is no terminal."""

    def begins(self, step: str, says: str, n_hosts: int) -> None: ...
    def host_done(self, step: str, host: Host) -> None: ...
    def ends(self, step: str) -> None: ...


class Lively(Quiet):
    """A bar per step, which counts hosts."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.bars: dict[str, int] = {}

    def begins(self, step: str, says: str, n_hosts: int) -> None:
        self.bars[step] = self.progress.add_task(says, total=n_hosts)

    def host_done(self, step: str, host: Host) -> None:
        if step in self.bars:
            self.progress.advance(self.bars[step])

    def ends(self, step: str) -> None:
        self.progress.stop_task(self.bars[step])


@contextmanager
def reporting() -> Iterator[Quiet]:
    """Whom a runbook tells how it goes."""
    if not sys.stderr.isatty():
        yield Quiet()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    columns = text, BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Lively(progress)


def print_journeys(journeys: dict[Host, Journey]) -> None:
    """What happened on each host."""
    rows = [
        (
            host.name,
            "failed" if journey.failure else "ok",
            journey.failure.partition("\n")[0][:100] or ", ".join(journey.done),
            f"{journey.seconds:.1f}",
        )
        for host, journey in journeys.items()
    ]
    print_table("", ("host", "result", "steps", "time [s]"), rows)


def print_table(title: str, names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A plain table, as wide as it has to be where it is no terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout.isatty() else 10_000
    console = Console(markup=False, emoji=False, highlight=False, width=width)
    table = Table(title=title or None, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    with console.capture() as capture:
        console.print(table)
    print("\n".join(line.rstrip() for line in capture.get().strip("\n").splitlines()))


def print_status(target: Target, found: list[HostStatus]) -> None:
    """A row per host; under the table, what is wrong."""
    rows = []
    for each in found:
        facts = each.facts
        rows.append(
            (
                each.host.name,
                "wrong" if each.problems else "ok",
                *(
                    (
                        facts.current or "-",
                        facts.apache or "-",
                        facts.worker or "-",
                        f"{facts.disk_free / 2**30:.1f} GB",
                        str(facts.health.get("queue", "-")),
                        "-" if facts.backup_age is None else age(facts.backup_age),
                        notes(facts),
                    )
                    if facts
                    else ("-",) * 7
                ),
            )
        )
    names = ("host", "is", "release", "Apache", "worker", "free", "queue", "backup", "notes")
    print_table(target.name, names, rows)
    for each in found:
        for problem in each.problems:
            print(f"  {each.host.name}: {problem}")


def notes(facts: Facts) -> str:
    """What an operator ought to know though it is not wrong."""
    found = []
    if facts.is_locked and facts.owner:
        last = facts.audit[-1].get("step", "lock") if facts.audit else "lock"
        found.append(f"{facts.owner.what} by {facts.owner.who}, at {last}")
    if facts.in_maintenance:
        found.append("closed for maintenance")
    return "; ".join(found)


def print_status_json(target: Target, found: list[HostStatus]) -> None:
    import json

    hosts = []
    for each in found:
        facts = each.facts
        about = (
            {
                "release": facts.current or None,
                "apache": facts.apache or None,
                "worker": facts.worker or None,
                "disk_free_bytes": facts.disk_free,
                "queue": facts.health.get("queue"),
                "health": facts.health or None,
                "backup_age_seconds": facts.backup_age,
                "maintenance": facts.in_maintenance,
                "locked_by": facts.owner.who if facts.is_locked and facts.owner else None,
            }
            if facts
            else {}
        )
        hosts.append({"host": each.host.name, "problems": each.problems, **about})
    print(json.dumps({"target": target.name, "hosts": hosts}, indent=1))


def age(seconds: int) -> str:
    """`4 min`, `7 h`, `3 d`."""
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds // 60} min"


def print_releases(found: list[HostStatus]) -> None:
    """The releases, newest first, with the hosts that have and that serve them; then actions."""
    records = releases_of(found)
    rows = [
        (
            each["id"],
            each["revision"][:12] + " (dirty)" * each["dirty"],
            each["by"],
            ", ".join(each["serving"]) or "-",
            ", ".join(each["hosts"]),
        )
        for each in records
    ]
    print_table("releases", ("release", "revision", "by", "serves on", "is on"), rows)
    actions = actions_of(found)[:10]
    rows = [
        (each["at"], each["what"], each["who"], each["step"], each["result"], each["hosts"])
        for each in actions
    ]
    print()
    print_table("what was done", ("at", "what", "who", "last step", "result", "hosts"), rows)


def print_releases_json(found: list[HostStatus]) -> None:
    import json

    about = {"releases": releases_of(found), "actions": actions_of(found)}
    print(json.dumps(about, indent=1))


def releases_of(found: list[HostStatus]) -> list[dict[str, Any]]:
    """What release.json says, with the hosts; the newest first."""
    records: dict[str, dict[str, Any]] = {}
    for each in found:
        for release in each.facts.releases if each.facts else ():
            record = records.setdefault(release["id"], {**release, "hosts": [], "serving": []})
            record.pop("settings", None)  # a digest over secrets
            record["hosts"].append(each.host.name)
            if each.facts and each.facts.current == release["id"]:
                record["serving"].append(each.host.name)
    return [records[name] for name in sorted(records, reverse=True)]


def actions_of(found: list[HostStatus]) -> list[dict[str, str]]:
    """The actions in the audit logs, the newest first: how far each came."""
    actions: dict[str, dict[str, Any]] = {}
    for each in found:
        for line in each.facts.audit if each.facts else ():
            action = actions.setdefault(str(line.get("id")), {"hosts": set(), "codes": []})
            action |= {name: str(line.get(name)) for name in ("at", "what", "who", "step")}
            action["hosts"].add(each.host.name)
            action["codes"].append(line.get("code", 0))
    return [
        {
            **action,
            "result": "failed" if any(action.pop("codes")) else "ok",
            "hosts": ", ".join(sorted(action["hosts"])),
        }
        for _, action in sorted(actions.items(), reverse=True)
    ]


def print_plan(plan: Plan) -> None:
    """What a rollout or a rollback would do: steps, migrations, files, settings."""
    rows = [(name, says, ", ".join(hosts)) for name, says, hosts in plan.steps]
    print_table(f"would change to {plan.release}", ("step", "what it does", "hosts"), rows)
    if plan.sent:
        print("\nMigrations:", ", ".join(plan.pending) or "none")
    for title, by_host in (("Files that rsync would send", plan.sent), ("Settings", plan.diffs)):
        for text, hosts in grouped(by_host).items():
            print(f"\n{title}, {', '.join(hosts)}:")
            print_coloured(text or "  nothing differs")


def grouped(by_host: dict[Host, list[str]]) -> dict[str, list[str]]:
    """The hosts on which the same differs."""
    groups: dict[str, list[str]] = {}
    for host, texts in by_host.items():
        groups.setdefault("\n".join(text.rstrip("\n") for text in texts), []).append(host.name)
    return groups


def print_coloured(diff: str) -> None:
    """A diff, in colours on a terminal."""
    colours = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"} if sys.stdout.isatty() else {}
    for line in diff.splitlines():
        colour = colours.get(line[:1], "")
        print(f"{colour}{line}\x1b[0m" if colour else line)
