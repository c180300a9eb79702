"""Leaderboards against a plain Python ranking of the same rows, on both databases."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.orm import Session

from databoard import database, leaderboard
from databoard.errors import InvalidValue, NotFound
from databoard.model.event import Event, EventScoreType, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Problem, ScoreType, Workflow
from databoard.model.submission import Submission, SubmissionScore
from databoard.submissions import put_back
from databoard.training.queue import sort_key

INF = math.inf
DIRECTIONS = [False, True]  # is lower the better, of the official score


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = database.open_engine(migrated_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with database.session_scope(engine) as session:
        yield session


def make_event(session: Session, is_lower_the_better: bool, name: str = "autumn") -> Event:
    """An event with two score types, whose directions differ."""
    types = [
        ScoreType(
            name=f"{name}_{i}", is_lower_the_better=lower, minimum=-math.inf, maximum=math.inf
        )
        for i, lower in enumerate((is_lower_the_better, not is_lower_the_better))
    ]
    problem = Problem(name=name, title=name, workflow=Workflow(name=name))
    made = Event(
        name=name,
        title=name.title(),
        problem=problem,
        n_folds=2,
        folds_digest="0" * 64,
        score_types=[
            EventScoreType(score_type=type_, position=i, precision=2)
            for i, type_ in enumerate(types)
        ],
    )
    session.add(made)
    session.flush()
    return made


def add_scored(
    session: Session, event: Event, team: str, name: str, *scores: tuple[float | None, float | None]
) -> int:
    """Insert a scored submission: per score type (valid, test), the same as bag and mean."""
    found = session.scalar(select(Team).where(Team.name == team)) or Team(name=team)
    if session.get(EventTeam, (event.id, found.id)) is None:
        session.add(EventTeam(event=event, team=found))
        session.flush()
    submission = Submission(
        event=event, team=found, name=name, files_digest="0" * 64, state="scored", train_time=1.0
    )
    session.add(submission)
    session.flush()
    for score_type, (valid, test) in zip(event.score_types, scores, strict=True):
        key = sort_key(valid, score_type.score_type.is_lower_the_better)
        values = {"valid_bag": valid, "test_bag": test, "valid_mean": valid, "test_mean": test}
        session.execute(
            insert(SubmissionScore).values(
                submission_id=submission.id,
                event_score_type_id=score_type.id,
                bag_key=key,
                mean_key=key,
                **values,
            )
        )
    return submission.id


def best_first(rows: list[tuple[float | None, int]], lower: bool) -> list[int]:
    """Ids by score, undefined ones last, ties to the earliest."""
    return [id_ for _, id_ in sorted((sort_key(score, lower), id_) for score, id_ in rows)]


@pytest.mark.parametrize("lower", DIRECTIONS)
def test_order_is_that_of_a_plain_ranking(session: Session, lower: bool) -> None:
    dice = random.Random(7)
    event = make_event(session, lower)
    values = [None, 0.0, 0.5, 0.5, 1.0, -2.0, 1e300]
    rows = []
    for number in range(60):
        valid, test = dice.choice(values), dice.choice(values)
        id_ = add_scored(
            session, event, f"team{dice.randrange(9)}", f"s{number}", (valid, test), (test, None)
        )
        rows.append((valid, test, id_))
    names = {row.id: row.name for row in session.scalars(select(Submission))}

    public = [names[id_] for id_ in best_first([(valid, id_) for valid, _, id_ in rows], lower)]
    private = [names[id_] for id_ in best_first([(test, id_) for _, test, id_ in rows], lower)]

    for kind in ("bag", "mean"):
        board = leaderboard.public(session, event, kind)
        assert [row[1] for row in board.rows] == public
        assert [row[1] for row in leaderboard.private(session, event, kind).rows] == private
    page = leaderboard.public(session, event, limit=10, offset=20)
    assert [row[1] for row in page.rows] == public[20:30]


@pytest.mark.parametrize("lower", DIRECTIONS)
def test_competition_has_the_best_valid_score_of_each_team(session: Session, lower: bool) -> None:
    event, sign = make_event(session, lower), 1 if lower else -1
    add_scored(session, event, "late", "tie", (sign * 1.0, sign * 9.0), (0, 0))
    add_scored(session, event, "saffron", "first", (sign * 3.0, sign * 0.0), (0, 0))
    add_scored(session, event, "saffron", "better", (sign * 2.0, sign * 5.0), (0, 0))
    add_scored(session, event, "saffron", "same", (sign * 2.0, sign * 0.0), (0, 0))
    add_scored(session, event, "juniper", "tie", (sign * 1.0, sign * 2.0), (0, 0))
    add_scored(session, event, "lovage", "undefined", (None, sign * 1.0), (0, 0))

    public = leaderboard.competition(session, event)
    assert [tuple(row[:3]) for row in public.rows] == [
        (1, "late", "tie"),
        (2, "juniper", "tie"),
        (3, "saffron", "better"),  # the earliest of the two at 2.0
        (4, "lovage", "undefined"),
    ]
    assert not any("test" in column.name for column in public.columns)

    private = leaderboard.competition(session, event, with_private=True)
    assert [tuple(row[:5]) for row in private.rows] == [
        (1, 4, 3, "lovage", "undefined"),
        (2, 2, 0, "juniper", "tie"),
        (3, 3, 0, "saffron", "better"),
        (4, 1, -3, "late", "tie"),
    ]


def test_a_public_board_shows_no_private_score(session: Session) -> None:
    event = make_event(session, True)
    add_scored(session, event, "saffron", "one", (1.0, 123456.0), (2.0, 123456.0))
    for board in (leaderboard.public(session, event), leaderboard.competition(session, event)):
        assert 123456.0 not in [value for row in board.rows for value in row]


def test_columns_stand_in_the_order_of_the_manual(session: Session) -> None:
    event = make_event(session, True)
    costs = ["contributivity", "historical_contributivity", "train_time", "valid_time"]
    costs += ["max_memory", "submitted_at"]
    names = [column.name for column in leaderboard.public(session, event).columns]
    assert names == ["team", "submission", "autumn_0", "autumn_1", *costs]
    names = [column.name for column in leaderboard.private(session, event).columns]
    assert names[:5] == [
        "team",
        "submission",
        "autumn_0_test_bag",
        "autumn_0_test_mean",
        "autumn_0_test_std",
    ]
    assert names[-1] == "id"


def test_deleted_waiting_and_failed_are_on_their_own_boards(session: Session) -> None:
    event = make_event(session, True)
    ids = [add_scored(session, event, "a", name, (1.0, 1.0), (1.0, 1.0)) for name in "wxyz"]
    session.get_one(Submission, ids[0]).state = "deleted"
    put_back(session, Submission.id == ids[1])
    session.flush()
    failing = session.get_one(Submission, ids[2])
    put_back(session, Submission.id == ids[2])
    session.refresh(failing)
    for state in ("training", "training_error"):
        failing.state = state
        leased = state == "training"
        failing.worker = "w" if leased else None
        failing.lease_end = failing.submitted_at if leased else None
        failing.error_kind = None if leased else "exception"
        failing.error_message = None if leased else "Traceback\nValueError: too few"
        session.flush()

    assert [row[1] for row in leaderboard.public(session, event).rows] == ["z"]
    assert [row[1:3] for row in leaderboard.waiting(session, event).rows] == [("x", "new")]
    assert [tuple(row[1:5]) for row in leaderboard.failed(session, event).rows] == [
        ("y", "training_error", "exception", "ValueError: too few")
    ]


def test_boards_of_one_event_do_not_show_another(session: Session) -> None:
    autumn, spring = make_event(session, True), make_event(session, False, "spring")
    add_scored(session, autumn, "saffron", "one", (1.0, 1.0), (1.0, 1.0))
    assert leaderboard.public(session, spring).rows == []
    assert leaderboard.competition(session, spring, with_private=True).rows == []


def test_each_board_is_one_statement_whatever_its_size(engine: Engine) -> None:
    with database.session_scope(engine) as session:
        made = make_event(session, True)
        for number in range(30):
            add_scored(session, made, f"t{number}", "s", (number, number), (0.0, None))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with database.reading(engine) as session:
        found = leaderboard.load_event(session, "autumn")
        for board in (
            leaderboard.public,
            leaderboard.private,
            leaderboard.competition,
            leaderboard.waiting,
            leaderboard.failed,
        ):
            statements.clear()
            board(session, found)
            assert len([text for text in statements if text.startswith(("SELECT", "WITH"))]) == 1


def test_mistakes(session: Session) -> None:
    event = make_event(session, True)
    with pytest.raises(InvalidValue, match=r"^'median' is no kind of score\.\nUse bag or mean\.$"):
        leaderboard.public(session, event, "median")
    with pytest.raises(NotFound, match=r"^There is no event 'autum'\.\nDid you mean autumn\?$"):
        leaderboard.load_event(session, "autum")
