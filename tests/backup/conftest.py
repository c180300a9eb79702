"""A deployment to take snapshots of, once on each dialect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.backup.board import Board

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from databoard.config import Settings


@pytest.fixture
def board(
    settings: Settings,
    engine: Engine,
    make_kit: Callable[..., Path],
    need: Callable[[str], Path],
    request: pytest.FixtureRequest,
) -> Board:
    """A deployment with an event, and three submissions: new, replaced, and scored."""
    need("rsync")
    make_kit(settings.kits_path)
    is_sqlite = engine.dialect.name == "sqlite"
    cluster = None if is_sqlite else request.getfixturevalue("postgresql")
    board = Board(settings, engine, cluster)
    board.open_event()
    for name in ("first", "second"):
        board.submit(name, f"print('{name}')\n")
    board.submit("second", "print('better')\n")
    board.add_scored("third")
    return board
