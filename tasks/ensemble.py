"""Commands of admins and of the backend: the ensemble, and what each submission contributes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from tasks.command import command, explain, opened

Answer = TypeVar("Answer")


@command(
    help={
        "event": "Name of the event.",
        "min-improvement": "What each step must improve the score by; by default as last time.",
        "from-scratch": "Blend again what has not changed, as when the kit has.",
        "json": "Print JSON, not rounded.",
    }
)
def compute_contributivity(ctx, event, min_improvement=None, from_scratch=False, json=False):
    """Blend submissions; what each contributes."""
    from databoard import contributivity
    from databoard.database import reading
    from databoard.leaderboard import load_event
    from databoard.names import as_number
    from tasks.table import print_board, print_json

    least = None
    if min_improvement is not None:
        least = as_number("The minimum improvement", min_improvement)
    with opened() as (settings, engine):
        told = blend(settings, engine, event, least, from_scratch)
        with reading(engine) as session:
            found = load_event(session, event)
            board = contributivity.board(session, found)
    if json:
        print(told, file=sys.stderr)
        print_json(board)
    else:
        print_board(board)
        print(told)
        if board.rows:
            print(contributivity.summary(found, with_test=True))


def blend(settings, engine, event, min_improvement=None, from_scratch=False) -> str:
    """Blend, with a progress bar. Returns what to tell: how many, and who was left out and why."""
    from databoard import ensemble
    from databoard.names import counted
    from tasks.progress import showing_folds

    with showing_folds(f"{event}: blending") as report:
        found = ensemble.compute(engine, settings, event, min_improvement, from_scratch, report)
    many = counted(found.n_submissions, "submission")
    told = f"Blended {many} of {event}" if found.is_new else f"Nothing changed in {event}: {many}"
    lines = [f"Left out {name}: {reason}" for name, reason in found.left_out]
    return "\n".join([f"{told}.", *lines])


@contextmanager
def blending_beside(settings, engine, event=None) -> Iterator[Callable[[], None]]:
    """Blend all events (or one) that have changed, now and whenever the given function is called.

    This goes on in a thread of its own; several calls meanwhile are one.
    """
    wanted, is_over = threading.Event(), threading.Event()

    def work() -> None:
        while wanted.wait() and not is_over.is_set():
            wanted.clear()
            for name in telling(lambda: changed(settings, engine, event)) or ():
                if told := telling(partial(blend, settings, engine, name)):
                    print(told, flush=True)

    wanted.set()
    threading.Thread(target=work, daemon=True).start()
    try:
        yield wanted.set
    finally:
        is_over.set()
        wanted.set()


def telling(do: Callable[[], Answer]) -> Answer | None:
    """Do it; when it fails say so, and go on."""
    try:
        return do()
    except Exception as error:
        print(explain(error) or repr(error), file=sys.stderr, flush=True)
        return None


def changed(settings, engine, event=None) -> list[str]:
    """The events whose submissions have changed since they were blended."""
    from sqlalchemy import select

    from databoard import ensemble
    from databoard.database import reading
    from databoard.leaderboard import load_event
    from databoard.model.event import Event

    with reading(engine) as session:
        names = [event] if event else session.scalars(select(Event.name).order_by(Event.id)).all()
        events = [load_event(session, name) for name in names]
        return [one.name for one in events if not ensemble.is_current(session, settings, one)]
