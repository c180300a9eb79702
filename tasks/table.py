"""Boards on a terminal, as JSON and as CSV."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from io import StringIO
from typing import Any

from databoard.export import plain, write_csv, write_json
from databoard.leaderboard import Board, Column

WRAPPED = 20  # no column is made narrower, however short its words


def print_board(board: Board) -> None:
    """A table, without columns that are empty; on a terminal, without those that do not fit."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    width = console.width if console.is_terminal else 10_000
    columns = board.shown()
    cells = [[cell(row, index, board.columns) for index in columns] for row in board.rows]
    titles = [board.columns[index].title for index in columns]
    wrapping = [place for place, index in enumerate(columns) if board.columns[index].wraps]
    widths, is_tight = fit(titles, cells, width, wrapping)
    table = Table(title=board.title, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    for index, least in zip(columns, widths, strict=False):
        column = board.columns[index]
        side = "left" if column.precision is None else "right"
        table.add_column(column.title, justify=side, width=least if is_tight else None)
    for row in cells:
        table.add_row(*row[: len(widths)])
    if console.is_terminal:
        console.print(table)
    else:
        wide = Console(file=StringIO(), width=width, markup=False, emoji=False, highlight=False)
        wide.print(table)
        print("\n".join(line.rstrip() for line in wide.file.getvalue().splitlines()))
    if not board.rows:
        print("  nothing yet")
    if left_out := titles[len(widths) :]:
        print(f"  Not shown, as this terminal is too narrow: {', '.join(left_out)}.")


def fit(
    titles: list[str], cells: list[list[str]], width: int, wrapping: Sequence[int] = ()
) -> tuple[list[int], bool]:
    """The widths of the columns that fit side by side, and whether lines must be broken for it.

    Titles may be, and the cells of `wrapping` columns, which share what room there is.
    """
    columns = [[row[number] for row in cells] for number in range(len(titles))]
    wide = [max(map(len, [title, *of])) for title, of in zip(titles, columns, strict=True)]
    tight = [
        max(map(len, [*title.split(), *of])) for title, of in zip(titles, columns, strict=True)
    ]
    if used(wide) <= width:
        return wide, False
    for number in wrapping:
        words = [word for text in (titles[number], *columns[number]) for word in text.split()]
        longest = max(map(len, words), default=1)
        tight[number] = min(tight[number], max(longest, WRAPPED))
    fitting = [number for number in range(1, len(tight) + 1) if used(tight[:number]) <= width]
    widths = tight[: max(fitting, default=1)]
    for number in wrapping:
        if number < len(widths):
            widths[number] += max(0, min(wide[number] - widths[number], width - used(widths)))
    return widths, True


def used(widths: list[int]) -> int:
    """The width of a table with such columns."""
    return sum(widths) + 3 * len(widths) + 1


def print_json(board: Board) -> None:
    """A list of objects."""
    write_json(board, sys.stdout)


def print_csv(board: Board) -> None:
    """A header and a line per row."""
    write_csv(board, sys.stdout)


def print_settings(settings: dict[str, Any]) -> None:
    """One object."""
    json.dump({name: plain(value) for name, value in settings.items()}, sys.stdout, indent=1)
    print()


def cell(row: Sequence[Any], index: int, columns: Sequence[Column]) -> str:
    """A cell for a person: rounded, with the spread in the next column if there is one."""
    text = shown(row[index], columns[index])
    if index + 1 < len(columns) and columns[index + 1].is_spread and row[index] is not None:
        text += f" ± {shown(row[index + 1], columns[index + 1])}"
    return text


def shown(value: Any, column: Column) -> str:
    """A value for a person: rounded, times to the second."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if column.precision is not None:
        return f"{value:.{column.precision}f}"
    if isinstance(value, tuple):
        return ", ".join(value) or "-"
    return str(value)
