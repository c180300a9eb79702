"""Commands of admins: kits on disk, and the environments that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.command import command, opened

KIT = {"name": "Name of the kit, a folder in ramp-kits or one shipped with Databoard."}
IN = {
    "requirements": "File with the packages of the environment to run it in.",
    "event": "Run it in the environment of this event.",
}


@command(
    help={
        "name": "Name of the kit, and of its folder in ramp-kits.",
        "url": "Its repository: a git URL or a local path (https://github.com/ramp-kits/NAME).",
        "revision": "Branch, tag or commit to take; by default the newest.",
    }
)
def fetch_problem(ctx, name, url=None, revision=None):
    """Clone a kit, or update it, and render its notebook."""
    from databoard import config, fetching

    kits_path = config.load().kits_path
    with showing(f"fetch {name}"):
        fetched = fetching.fetch(name, kits_path, url, revision)
    if fetched.revision == fetched.before:
        print(f"{fetched.path} is at {fetched.revision} already.")
    elif fetched.before:
        print(f"Updated {fetched.path} from {fetched.before[:12]} to {fetched.revision}.")
    else:
        print(f"Fetched {fetched.path} at {fetched.revision}.")
    if fetched.note:
        print(f"{name}: {fetched.note}")


@command(help=KIT)
def bundle_problem(ctx, name):
    """Make the starting_kit.zip of a kit, of what is there now."""
    from databoard.bundle import bundle
    from databoard.kittree import BUNDLE

    kit = placed(name)
    with showing(f"bundle {name}"):
        is_new = bundle(kit)
    print(f"{kit / BUNDLE} is {'made' if is_new else 'as it was'}.")


@command(help=KIT | IN)
def prepare_data(ctx, name, requirements=None, event=None):
    """Make the data of a kit that is not there yet, with what the kit has for that."""
    from databoard import config
    from databoard.errors import KitError
    from databoard.kitdata import has_data, make_data

    kit, data_path = placed(name), config.load().data_path
    with showing(f"prepare {name}") as report:
        made = make_data(kit, data_path, python_for(requirements, event, report))
    if made:
        print(f"Made the data of {name} with {' and '.join(made)}.")
    elif has_data(kit, data_path):
        print(f"The data of {name} is there.")
    else:
        raise KitError(
            f"The kit {name} has no data, and nothing to make it with.",
            f"Put it into {kit / 'data'}.",
        )


@command(help=KIT | IN | {"json": "Print JSON."})
def check_problem(ctx, name, requirements=None, event=None, json=False):
    """Say all that is wrong with a kit, or what it is."""
    from databoard import config, kitcheck, kits
    from databoard.errors import KitError
    from databoard.names import check_name

    settings = config.load()
    kit = kits.find_kit(check_name("kit", name), settings.kits_path)
    with showing(f"check {name}") as report:
        python = python_for(requirements, event, report)
        found = kitcheck.check(kit, settings.data_path, python)
    if json:
        print_as_json(found)
    else:
        print_check(name, found)
    if found.faults:
        count = "1 fault" if len(found.faults) == 1 else f"{len(found.faults)} faults"
        raise KitError(f"The kit {name} has {count}.", f"Mend it in {kit}.")


@command(help={"event": "Name of the event."})
def submit_deposited(ctx, event):
    """Sign up the teams in the kit's deposited_submissions/, and submit what they have there."""
    from databoard import deposited
    from databoard.database import session_scope

    with opened() as (settings, engine), session_scope(engine) as session:
        done = deposited.submit_deposited(session, settings, event)
    for team, name, is_new in done:
        print(f"{team}/{name}: {'submitted' if is_new else 'was there already'}")


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


def python_for(requirements, event, report):
    """The Python of the environment that was asked for, made now if need be."""
    from databoard import config
    from databoard import environments as rooms

    wanted = read_requirements(requirements)
    if wanted is None and event is not None:
        from databoard.database import reading
        from databoard.lookup import find
        from databoard.model.event import Event

        with opened() as (_, engine), reading(engine) as session:
            wanted = find(session, Event, event).requirements
    return rooms.ensure(config.load(), wanted or None, report)


def read_requirements(path):
    """The requirements in a file; None when there is none, and none of '' for no environment."""
    from pathlib import Path

    from databoard import environments as rooms

    return rooms.read(Path(path).expanduser()) if path else path


def placed(name):
    """The kit in the deployment; a shipped one is copied there first."""
    from databoard import config, kits
    from databoard.names import check_name

    kits_path = config.load().kits_path
    return kits.place_kit(kits.find_kit(check_name("kit", name), kits_path), kits_path)


def print_as_json(found):
    """What the check found, on standard output."""
    import json
    import sys
    from dataclasses import asdict
    from math import isfinite

    answer = asdict(found)
    for score in (answer["summary"] or {}).get("score_types", ()):
        for bound in ("minimum", "maximum"):
            score[bound] = score[bound] if isfinite(score[bound]) else None
    json.dump(answer, sys.stdout, indent=1)
    print()


def print_check(name, found):
    """The faults, or else the summary."""
    from databoard.leaderboard import Board, Column
    from tasks.table import print_board

    for fault in found.faults:
        print(f"- {fault}")
    if found.summary:
        kit = found.summary
        rows = [
            ("title", kit.title),
            ("workflow", kit.workflow),
            ("elements", ", ".join(f"{each.file_name} ({each.kind})" for each in kit.elements)),
            *(
                (
                    "official score" if place == 0 else "score",
                    f"{score.name}, {'lower' if score.is_lower_the_better else 'higher'} the "
                    f"better in [{score.minimum:g}, {score.maximum:g}]",
                )
                for place, score in enumerate(kit.score_types)
            ),
            ("folds", str(kit.n_folds)),
            ("training rows", str(found.n_train)),
            ("test rows", str(found.n_test)),
        ]
        print_board(Board(name, (Column("what", ""), Column("value", "")), rows))
    for note in found.notes:
        print(f"Note: {note}")


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
