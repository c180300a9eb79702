"""Submissions that kits of the old layout bring along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from databoard import deposits, events, people, submissions
from databoard.config import Settings
from databoard.database import session_scope
from databoard.deposits import Deposit
from databoard.errors import NotFound


@pytest.fixture
def kit(engine: Engine, settings: Settings, make_kit: Callable[..., Path]) -> Path:
    """A kit and its event `spring`; the teams ada and grace."""
    kit = make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    events.add_event(engine, settings, "small", "spring")
    with session_scope(engine) as session:
        for name in ("ada", "grace"):
            people.create_user(session, name, f"{name}@example.org", access_level="user")
    return kit


def deposit(kit: Path, team: str, name: str, file: str = "estimator.py") -> None:
    folder = kit / "deposited_submissions" / team / name
    folder.mkdir(parents=True)
    (folder / file).write_text(f"print({name!r})\n")


def test_teams_are_signed_up_and_the_others_go_on(
    engine: Engine, settings: Settings, kit: Path
) -> None:
    deposit(kit, "ada", "first")
    deposit(kit, "ada", "second")
    deposit(kit, "grace", "wrong", "classifier.py")
    deposit(kit, "nobody", "first")
    with session_scope(engine) as session:
        found = deposits.submit_deposited(session, settings, "spring")
    assert found[:2] == [Deposit("ada", "first"), Deposit("ada", "second")]
    assert [(each.team, each.error.message) for each in found[2:] if each.error] == [
        ("grace", "The submission has no file estimator.py."),
        ("nobody", "There is no team 'nobody'."),
    ]
    with session_scope(engine) as session:
        there = submissions.list_submissions(session, "spring")
        assert [(row.team.name, row.name, row.state) for row in there] == [
            ("ada", "first", "new"),
            ("ada", "second", "new"),
        ]
        path = submissions.files_of(settings, there[0]) / "estimator.py"
        assert path.read_text() == "print('first')\n"
    deposit(kit, "grace", "right")
    with session_scope(engine) as session:
        again = deposits.submit_deposited(session, settings, "spring")
    assert [(each.team, each.name) for each in again if each.error is None] == [("grace", "right")]


@pytest.mark.usefixtures("kit")
def test_a_kit_that_brings_none(engine: Engine, settings: Settings) -> None:
    with session_scope(engine) as session, pytest.raises(NotFound) as caught:
        deposits.submit_deposited(session, settings, "spring")
    assert caught.value.message == "The kit small brings no submissions along."
