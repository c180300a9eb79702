"""Boards on a terminal, as JSON and as CSV."""

import csv
import json
import math
import sys
from collections.abc import Sequence
from datetime import datetime
from io import StringIO
from typing import Any

from databoard.leaderboard import Board, Column


def print_board(board: Board) -> None:
    """A table: as wide as a terminal, or as wide as it needs to be. Empty columns are left out."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=board.title, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    present = [
        index
        for index in range(len(board.columns))
        if not board.rows or any(row[index] is not None for row in board.rows)
    ]
    shown_columns = [index for index in present if not board.columns[index].is_spread]
    for index in shown_columns:
        column = board.columns[index]
        table.add_column(column.title, justify="left" if column.precision is None else "right")
    for row in board.rows:
        table.add_row(*[cell(row, index, board.columns) for index in shown_columns])
    console = Console(markup=False, emoji=False, highlight=False)
    if console.is_terminal:
        console.print(table)
    else:
        wide = Console(file=StringIO(), width=10_000, markup=False, emoji=False, highlight=False)
        wide.print(table)
        print("\n".join(line.rstrip() for line in wide.file.getvalue().splitlines()))
    if not board.rows:
        print("  nothing yet")


def print_json(board: Board) -> None:
    """A list of objects."""
    names = [column.name for column in board.columns]
    rows = [dict(zip(names, map(plain, row), strict=True)) for row in board.rows]
    json.dump(rows, sys.stdout, indent=1)
    print()


def print_csv(board: Board) -> None:
    """A header and a line per row."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([column.name for column in board.columns])
    writer.writerows([plain(value) for value in row] for row in board.rows)


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
    return str(value)


def plain(value: Any) -> Any:
    """A value as JSON and CSV have it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
