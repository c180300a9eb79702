"""Commands of admins: the environments that kits run in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.command import command, opened


@command(
    help={
        "make": "Make those which events name and which are not there.",
        "prune": "Remove those that no event names.",
        "json": "Print JSON.",
    }
)
def environments(ctx, make=False, prune=False, json=False):
    """List the environments of events."""
    from databoard import environments as rooms
    from databoard.database import reading
    from databoard.leaderboard import Board, Column
    from tasks.table import print_board, print_json

    with opened() as (settings, engine):
        with reading(engine) as session:
            named = rooms.named_by_events(session)
        if make:
            for requirements in named:
                with showing("make") as report:
                    rooms.ensure(settings, requirements, report)
        removed = rooms.prune(settings, named) if prune else []
    users = {rooms.key(requirements): events for requirements, events in named.items()}
    there = {each.key: each for each in rooms.list_environments(settings)}
    rows = [
        (key, ", ".join(users.get(key, ())), "; ".join(each.requirements), each.size / 1e6)
        for key, each in there.items()
    ]
    rows += [
        (rooms.key(wanted), ", ".join(events), "; ".join(rooms.packages(wanted)), None)
        for wanted, events in named.items()
        if rooms.key(wanted) not in there
    ]
    columns = (
        Column("key", "key"),
        Column("events", "events"),
        Column("requirements", "requirements"),
        Column("megabytes", "MB", precision=0),
    )
    (print_json if json else print_board)(Board("environments", columns, rows))
    for key in () if json else removed:
        print(f"Removed {key}.")


def read_requirements(path):
    """The requirements in a file; None when there is none, and none of '' for no environment."""
    from pathlib import Path

    from databoard import environments as rooms

    return rooms.read(Path(path).expanduser()) if path else path


@contextmanager
def showing(what: str) -> Iterator[Callable[[str], None]]:
    """What goes on, on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda line: None
        return
    with console.status(escape(what)) as status:
        yield lambda line: status.update(escape(f"{what}: {line}"[: console.width - 4]))
