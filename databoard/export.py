"""Boards as CSV and JSON: on standard output, and in files."""

import csv
import json
import math
import os
import tempfile
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from sqlalchemy.orm import Session

from databoard import leaderboard
from databoard.leaderboard import Board
from databoard.model.event import Event

FORMULA = ("=", "+", "-", "@", "\t", "\n")
BOARDS: dict[str, Callable[[Session, Event], Board]] = {
    "public": leaderboard.public,
    "private": leaderboard.private,
    "competition": leaderboard.competition,
    "private_competition": partial(leaderboard.competition, with_private=True),
    "new": leaderboard.waiting,
    "failed": leaderboard.failed,
}


def export_boards(session: Session, event: Event, folder: Path) -> list[Path]:
    """Write each board of an event as `<event>_<board>.csv` and `.json`. Returns the files.

    They hold the hidden test scores: nobody else may read them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, of in BOARDS.items():
        board = of(session, event)
        for suffix, write in (("csv", write_csv), ("json", write_json)):
            path = folder / f"{event.name}_{name}.{suffix}"
            _replace(path, partial(write, board))
            paths.append(path)
    return paths


def write_json(board: Board, file: IO[str]) -> None:
    """A list of objects."""
    names = [column.name for column in board.columns]
    rows = [dict(zip(names, map(plain, row), strict=True)) for row in board.rows]
    json.dump(rows, file, indent=1)
    file.write("\n")


def write_csv(board: Board, file: IO[str], with_header: bool = True) -> None:
    """A header and a line per row; no cell is a formula to a spreadsheet."""
    writer = csv.writer(file, lineterminator="\n")
    if with_header:
        writer.writerow([column.name for column in board.columns])
    writer.writerows([safe_cell(_joined(plain(value))) for value in row] for row in board.rows)


def plain(value: Any) -> Any:
    """A value as JSON and CSV have it; names are a list in JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _joined(value: Any) -> Any:
    return ",".join(value) if isinstance(value, tuple) else value


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if not isinstance(value, str):
        return value
    text = value.replace("\r", "\n")  # the writer would not quote it, and end the line there
    return f"'{text}" if text.startswith(FORMULA) else text


def _replace(path: Path, write: Callable[[IO[str]], None]) -> None:
    """Write a file of 0600 beside the old one, then put it in its place."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            write(file)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
