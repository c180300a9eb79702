"""The progress of training and blending: bars on a terminal; of training, lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from databoard.model.states import FAILED, SCORED
from databoard.training.assignment import Progress as News
from databoard.training.outcome import Work


@contextmanager
def showing_progress() -> Iterator[tuple[Callable[[News], None], list[str]]]:
    """What to report to, and the states that submissions have ended in."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    ended: list[str] = []
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    bars: dict[str, int] = {}
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:

        def report(news: News) -> None:
            work, what = news.work, news.what
            if what == "claimed":
                bars[work.label] = progress.add_task(work.label, total=work.n_folds)
            elif what == "done":
                progress.advance(bars[work.label])
                if progress.disable:
                    console.print(f"{work.label}: fold {news.fold + 1}/{work.n_folds}")
            elif what == SCORED or what in FAILED or what in ("lost", "released"):
                progress.remove_task(bars.pop(work.label))
                last = news.message.strip().rpartition("\n")[2]
                console.print(f"{work.label}: {what}" + (f" ({last})" if last else ""))
                ended.append(what)

        yield report, ended


@contextmanager
def counting() -> Iterator[Callable[[Work, int, int], None]]:
    """What to tell each submission that is through, its number and how many there are."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("scoring", total=None)

        def report(work: Work, number: int, total: int) -> None:
            progress.update(bar, completed=number, total=total)
            console.print(f"{work.label}: scored")

        yield report


@contextmanager
def showing_folds(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; what to report to: how many folds are done, of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    is_shown = console.is_terminal and threading.current_thread() is threading.main_thread()
    with Progress(*columns, console=console, disable=not is_shown, transient=True) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)
