"""Settings of an event: one table for what is typed and for manifests, on both databases."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from invoke import Collection
from sqlalchemy import select, update
from sqlalchemy.orm import Session

import tasks
from databoard import database, events, leaderboard
from databoard.errors import DataboardError, InvalidValue, NotFound
from databoard.event_settings import SETTINGS, settings_of
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, User
from databoard.model.submission import FoldRun, Submission
from tests.test_leaderboard import add_scored, make_event

DEFAULTS = {
    "title": "Autumn",
    "max_members": 1,
    "is_sign_up_controlled": True,
    "is_public": False,
    "is_competitive": False,
    "min_seconds": 900,
    "daily_quota": None,
    "is_anonymous": False,
    "frozen_at": None,
    "opening_at": None,
    "public_opening_at": None,
    "closing_at": None,
    "official_score": "autumn_0",
    "score_kind": "bag",
    "is_paused": False,
    "priority": 0,
    "mails_submitted": True,
    "mails_trained": True,
    "time_limit": 3600,
    "memory_limit": 4096,
}
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
TYPED = {  # as typed, as a manifest has it, and what it becomes
    "title": ("  Fall ", 2026, ("Fall", "2026")),
    "max_members": ("3", 4, (3, 4)),
    "is_sign_up_controlled": ("no", True, (False, True)),
    "is_public": ("Yes", False, (True, False)),
    "is_competitive": ("1", False, (True, False)),
    "min_seconds": ("0", 60, (0, 60)),
    "daily_quota": ("5", "none", (5, None)),
    "is_anonymous": ("yes", True, (True, True)),
    "frozen_at": ("2026-12-01T12:00", NOON, (NOON, NOON)),
    "opening_at": ("2026-12-01T12:00", NOON, (NOON, NOON)),
    "public_opening_at": (
        "2026-12-01T13:00+01:00",
        date(2026, 12, 2),
        (NOON, NOON + timedelta(0.5)),
    ),
    "closing_at": (
        "2026-12-01T12:00:00Z",
        NOON.astimezone(timezone(timedelta(hours=5))),
        (NOON, NOON),
    ),
    "official_score": ("autumn_1", "autumn_0", ("autumn_1", "autumn_0")),
    "score_kind": ("mean", "bag", ("mean", "bag")),
    "is_paused": ("yes", False, (True, False)),
    "priority": ("2", 1, (2, 1)),
    "mails_submitted": ("false", True, (False, True)),
    "mails_trained": ("0", True, (False, True)),
    "time_limit": ("7", 8, (7, 8)),
    "memory_limit": ("99", 100, (99, 100)),
}


@pytest.fixture
def event(session: Session) -> Event:
    """The event autumn with two scores."""
    return make_event(session, True)


def test_the_table_is_that_of_the_command() -> None:
    command = Collection.from_module(tasks).tasks["update-event"]
    flags = set(inspect.signature(command.body).parameters) - {"ctx", "event", "json"}
    assert flags == set(SETTINGS) == set(DEFAULTS) == set(TYPED)


def test_defaults_are_those_of_the_spec(event: Event) -> None:
    assert settings_of(event) == DEFAULTS


@pytest.mark.parametrize("name", TYPED)
def test_each_setting_typed_and_from_a_manifest(session: Session, event: Event, name: str) -> None:
    *given, become = TYPED[name]
    for value, meant in zip(given, become, strict=True):
        events.update_event(session, "autumn", **{name: value})
        session.flush()
        session.expire_all()
        assert settings_of(event) == DEFAULTS | {name: meant}


@pytest.mark.parametrize("nothing", ["none", "None", None])
@pytest.mark.parametrize("name", ["opening_at", "public_opening_at", "closing_at"])
def test_times_are_cleared(session: Session, event: Event, name: str, nothing: str | None) -> None:
    events.update_event(session, "autumn", **{name: NOON})
    events.update_event(session, "autumn", **{name: nothing})
    assert settings_of(event) == DEFAULTS


OPENING = "of autumn at {} UTC is not after its opening at 2026-12-01 12:00 UTC."
MISTAKES = [
    ({"titel": "x"}, InvalidValue, "'titel' is no setting of an event.\nDid you mean title?"),
    ({"x": 1}, InvalidValue, f"'x' is no setting of an event.\nThere are {', '.join(SETTINGS)}."),
    ({"max_members": True}, InvalidValue, "The setting max_members is 'True'."),
    ({"max_members": 1.5}, InvalidValue, "The setting max_members is '1.5'."),
    ({"is_public": "x\n"}, InvalidValue, "The setting is_public is 'x\\n'."),
    ({"closing_at": 5}, InvalidValue, "The setting closing_at is '5'."),
    ({"official_score": None}, NotFound, "The event autumn has no score type 'None'."),
    (
        {"closing_at": NOON - timedelta(1)},
        DataboardError,
        "The closing " + OPENING.format("2026-11-30 12:00"),
    ),
    ({"closing_at": NOON}, DataboardError, "The closing " + OPENING.format("2026-12-01 12:00")),
    (
        {"public_opening_at": "2026-12-01T11:59"},
        DataboardError,
        "The public opening " + OPENING.format("2026-12-01 11:59"),
    ),
    (
        {"max_members": 1},
        DataboardError,
        "The team saffron of autumn has 2 members, more than 1.\n"
        "Take it out first: inv delete-event-team autumn saffron",
    ),
]


@pytest.mark.parametrize(("given", "kind", "said"), MISTAKES, ids=str)
def test_mistakes(
    session: Session, event: Event, given: dict[str, object], kind: type[Exception], said: str
) -> None:
    users = [User(name=name, email=f"{name}@example.org") for name in "ab"]
    session.add(EventTeam(event=event, team=Team(name="saffron", members=users)))
    event.max_members, event.opening_at = 2, NOON
    session.flush()
    with pytest.raises(kind) as caught:
        events.update_event(session, "autumn", **given)
    assert str(caught.value).startswith(said)


def test_another_official_score_ranks_at_once(session: Session, event: Event) -> None:
    """Blends are by the official score: those of the old one are forgotten."""
    for name, scores in (("a", (1.0, 5.0)), ("b", (2.0, 6.0))):
        id_ = add_scored(session, event, "saffron", name, *((score, score) for score in scores))
        times = {"train_time": 1.0, "valid_time": 1.0, "test_time": 1.0, "max_memory": 1.0}
        session.add(FoldRun(submission_id=id_, fold=0, contributivity=1.0, **times))
    session.execute(update(Submission).values(contributivity=1.0, historical_contributivity=1.0))
    event.valid_combined = 0.5

    def ranked() -> list[object]:
        found = leaderboard.load_event(session, "autumn")
        board = leaderboard.public(session, found)
        return [board.columns[2].name, *[tuple(row[1:4]) for row in board.rows]]

    assert ranked() == ["autumn_0", ("a", 1.0, 5.0), ("b", 2.0, 6.0)]
    events.update_event(session, "autumn", official_score="autumn_1")
    session.flush()
    session.expire_all()
    assert ranked() == ["autumn_1", ("b", 6.0, 2.0), ("a", 5.0, 1.0)]
    rows = session.scalars(select(Submission)).all()
    assert {row.contributivity for row in rows} == {None} == {event.valid_combined}
    assert session.scalars(select(FoldRun.contributivity)).all() == [None, None]


def test_nothing_is_changed_by_half(session: Session, event: Event) -> None:
    session.commit()
    engine = session.get_bind()
    with pytest.raises(NotFound), database.session_scope(engine) as writing:  # type: ignore[arg-type]
        events.update_event(writing, "autumn", title="Fall", official_score="nonsense")
    with database.reading(engine) as reading:  # type: ignore[arg-type]
        assert settings_of(reading.scalars(select(Event)).one()) == DEFAULTS
