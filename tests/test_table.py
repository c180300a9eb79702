"""Boards on a terminal, in a pipe, as JSON and as CSV."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from databoard.leaderboard import Board, Column
from tasks.table import fit, print_board, print_csv, print_json

ROOT = Path(__file__).resolve().parent.parent
BOARD = Board(
    "autumn: a board",
    (
        Column("team", "team"),
        Column("nll", "nll test mean", 3),
        Column("nll_std", "nll test std", 4, is_spread=True),
        Column("contributivity", "contributivity", 0),
        Column("submitted_at", "submitted at (UTC)"),
    ),
    [
        ("saffron", 0.12345678, 0.01, None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("lovage", None, None, None, datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)),
    ],
)


def test_a_pipe_gets_all_columns_that_hold_something(capsys: pytest.CaptureFixture[str]) -> None:
    print_board(BOARD)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "autumn: a board"
    assert re.split(r" {2,}", lines[2].strip()) == ["team", "nll test mean", "submitted at (UTC)"]
    assert lines[4:] == [
        "  saffron   0.123 ± 0.0100   2026-01-02 03:04:05",
        "  lovage                 -   2026-01-02 03:04:06",
        "",
    ]


def test_an_empty_board_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_board(Board("empty", BOARD.columns, []))
    assert "nothing yet" in capsys.readouterr().out


def test_csv_and_json_are_not_rounded(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(BOARD)
    rows = list(csv.DictReader(StringIO(capsys.readouterr().out)))
    assert rows[0]["nll"] == "0.12345678" and rows[1]["nll"] == ""
    names = Board("", (Column("members", "members", wraps=True),), [(("ada", "emmy"),), ((),)])
    print_csv(names)
    assert capsys.readouterr().out == 'members\n"ada,emmy"\n""\n'
    print_json(names)
    assert json.loads(capsys.readouterr().out) == [{"members": ["ada", "emmy"]}, {"members": []}]
    print_board(names)
    assert capsys.readouterr().out.split() == ["members", "─" * 11, "ada,", "emmy", "-"]
    print_json(BOARD)
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["nll"] == 0.12345678 and rows[1]["nll"] is None
    assert rows[0]["submitted_at"] == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize(
    ("width", "widths", "is_tight"),
    [(100, [3, 14, 11], False), (28, [3, 8, 7], True), (27, [3, 8], True), (1, [3], True)],
)
def test_titles_are_broken_before_columns_are_dropped(
    width: int, widths: list[int], is_tight: bool
) -> None:
    titles = ["who", "some long word", "another one"]
    cells = [["abc", "0.5 ± 1", "0123456"], ["d", "01234567", "e"]]
    assert fit(titles, cells, width) == (widths, is_tight)


def test_texts_are_wrapped_before_columns_are_dropped() -> None:
    titles = ["name", "title", "n", "members"]
    cells = [["a" * 10, "some words " * 10, "1", "grace, ada, emmy, sofja, hypatia"]]
    assert fit(titles, cells, 200, [1, 3]) == ([10, 110, 1, 32], False)
    assert fit(titles, cells, 80, [1, 3]) == ([10, 36, 1, 20], True)
    assert fit(titles, cells, 60, [1, 3]) == ([10, 39, 1], True)
    assert fit(titles, cells, 10, [1, 3]) == ([10], True)


def test_a_narrow_terminal_says_what_it_does_not_show() -> None:
    script = (
        "from tests.test_table import BOARD; from tasks.table import print_board as p; p(BOARD)"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=theirs,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "40", "TERM": "xterm", "PYTHONPATH": str(ROOT)},
    ):
        os.close(theirs)
        text = b""
        while chunk := _read(ours):
            text += chunk
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).splitlines()
    assert max(len(line) for line in lines[:-1]) <= 40
    assert lines[-1] == "  Not shown, as this terminal is too narrow: submitted at (UTC)."


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how a terminal tells its end
        return b""
