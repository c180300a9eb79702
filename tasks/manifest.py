"""Commands of admins: events from their manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.command import LEFT_OUT, command, opened

if TYPE_CHECKING:
    from databoard.convergence import Difference


@command(
    help={
        "name": "Name of the manifest, which is that of its event; without one all are listed.",
        "prune": "Sign-ups that the manifest does not name would end.",
        "json": "Print JSON.",
    }
)
def plan(ctx, name=LEFT_OUT, prune=False, json=False):
    """Show what a manifest would change."""
    from invoke import Exit

    from databoard import convergence, manifest

    with opened() as (settings, engine):
        if not name:
            print_manifests(engine, settings)
            return
        difference = convergence.plan(engine, settings, manifest.load(name), prune)
    if json:
        print_json(difference)
    else:
        print_difference(difference)
        for hint in dict.fromkeys(error.hint for error in difference.wanting if error.hint):
            print(hint)
        if not difference.changes and not difference.wanting:
            print(f"{name} is as its manifest says.")
    if difference.changes or difference.wanting:
        raise Exit(code=2)


@command(
    help={
        "name": "Name of the manifest, which is that of its event.",
        "prune": "End sign-ups that the manifest does not name.",
        "force": "Even if scores or ranks of submissions change.",
    }
)
def apply(ctx, name, prune=False, force=False):
    """Bring the database to a manifest."""
    from databoard import convergence, manifest
    from databoard.errors import DataboardError
    from databoard.names import counted
    from tasks.environments import showing

    wanted = manifest.load(name)
    with opened() as (settings, engine), showing(f"apply {name}") as report:
        difference = convergence.apply(engine, settings, wanted, prune, force, report)
    print_difference(difference)
    if difference.wanting:
        wanting = "\n".join(str(error) for error in difference.wanting)
        raise DataboardError(wanting, f"Then once more: inv apply {name}")
    changed = len(difference.changes)
    print(f"Applied {name}: {counted(changed, 'change') if changed else 'no changes'}.")


def print_difference(difference: Difference) -> None:
    """As a diff, coloured on a terminal."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    for change in difference.changes:
        for sign, style, value in (("-", "red", change.before), ("+", "green", change.after)):
            if value is not None:
                console.print(f"{sign} {change.what}: {value}", style=style)
    for error in difference.wanting:
        console.print(f"! {error.message}", style="yellow")


def print_json(difference: Difference) -> None:
    from dataclasses import asdict
    from json import dumps

    changes = [asdict(change) for change in difference.changes]
    wanting = [{"message": error.message, "hint": error.hint} for error in difference.wanting]
    print(dumps({"changes": changes, "wanting": wanting}, indent=2))


def print_manifests(engine, settings) -> None:
    """All there are, and whether their event is; and each manifest or plug-in that is broken."""
    from databoard import kits, manifest, plugins
    from databoard.database import reading
    from databoard.errors import DataboardError, KitError
    from databoard.leaderboard import Board, Column
    from databoard.lookup import present
    from databoard.model.event import Event
    from tasks.table import print_board

    rows, broken = [], plugins.broken()
    with reading(engine) as session:
        for name in manifest.names():
            event = "open" if present(session, Event, name) else None
            try:
                problem = manifest.load(name).problem
                kits.find_kit(problem, settings.kits_path)
                rows.append((name, "there", event, problem))
            except KitError:
                rows.append((name, None, event, problem))
            except DataboardError as error:
                rows.append((name, None, event, None))
                broken.append(error)
    columns = ("manifest", "kit", "event", "problem")
    print_board(Board("Manifests", tuple(Column(name, name) for name in columns), rows))
    if broken:
        raise DataboardError("\n".join(str(error) for error in broken))
