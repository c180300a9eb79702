"""A score type whose direction changes: every board that ranks by it stays true."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text, update

from databoard import convergence, database, events, leaderboard
from databoard.config import Settings
from databoard.convergence import Change
from databoard.errors import DataboardError
from databoard.manifest import Direction, Manifest
from databoard.model.event import Event
from databoard.model.problem import ScoreType
from databoard.model.submission import FoldRun, Submission, SubmissionScore
from databoard.training import queue
from databoard.training.outcome import FoldOutcome, Scores
from tests.test_leaderboard import add_scored

MakeKit = Callable[..., Path]
SPRING = Manifest("spring", "small", score_types={"acc": Direction(False, 0.0, 1.0)})
TURNED = replace(SPRING, score_types={"acc": Direction(True, 0.0, 1.0)})
SCORES: dict[str, float | None] = {"low": 0.25, "none": None, "high": 0.75, "middle": 0.5}


@pytest.fixture
def kit(engine: Engine, settings: Settings, make_kit: MakeKit) -> Path:
    """The kit of two events, both with scored submissions and one with an ensemble."""
    kit = make_kit(settings.kits_path)
    convergence.apply(engine, settings, SPRING)
    events.add_event(engine, settings, "small", "summer")
    with database.session_scope(engine) as session:
        for name in ("spring", "summer"):
            event = leaderboard.load_event(session, name)
            for submission, score in SCORES.items():
                add_scored(session, event, submission, submission, (score, score))
        event.valid_combined = 0.9
        session.execute(update(Submission).values(contributivity=0.25))
    return kit


def turn(kit: Path) -> None:
    problem = kit / "problem.py"
    problem.write_text(problem.read_text() + "\nscore_types[0].is_lower_the_better = True\n")


def ranks(engine: Engine, name: str, kind: str = "bag") -> list[list[str]]:
    """The submissions on each board, the best first."""
    with database.reading(engine) as session:
        event = leaderboard.load_event(session, name)
        boards = (
            leaderboard.public(session, event, kind),
            leaderboard.private(session, event, kind),
            leaderboard.competition(session, event, kind),
        )
    found = []
    for board in boards:
        index = [column.name for column in board.columns].index("submission")
        found.append([row[index] for row in board.rows])
    return found


def test_events_of_the_problem_are_ranked_anew(
    engine: Engine, settings: Settings, kit: Path
) -> None:
    for name in ("spring", "summer"):
        assert ranks(engine, name) == [["high", "middle", "low", "none"]] * 3
    turn(kit)
    with pytest.raises(DataboardError) as caught:
        convergence.apply(engine, settings, TURNED)
    assert caught.value.message == (
        "spring, summer have submissions, whose scores or ranks would change."
    )
    assert ranks(engine, "summer") == [["high", "middle", "low", "none"]] * 3
    planned = convergence.plan(engine, settings, TURNED)
    assert convergence.apply(engine, settings, TURNED, force=True) == planned
    assert planned.changes == [
        Change(
            "score type acc",
            "higher the better, from 0.0 to 1.0",
            "lower the better, from 0.0 to 1.0",
        ),
        Change("event spring: ranks by acc", "the highest first", "the lowest first"),
        Change("event summer: ranks by acc", "the highest first", "the lowest first"),
        Change("event summer: ensemble", "blended", None),
    ]
    for name in ("spring", "summer"):
        for kind in ("bag", "mean"):
            assert ranks(engine, name, kind) == [["low", "middle", "high", "none"]] * 3
    with database.reading(engine) as session:
        for row in session.scalars(select(SubmissionScore)):
            key = queue.sort_key(row.valid_bag, is_lower_the_better=True)
            assert (row.bag_key, row.mean_key) == (key, key)
        assert set(session.scalars(select(Submission.contributivity))) == {None}
    assert convergence.apply(engine, settings, TURNED).changes == []


@pytest.mark.usefixtures("kit")
def test_other_bounds_rank_as_before(engine: Engine, settings: Settings) -> None:
    wider = replace(SPRING, score_types={"acc": Direction(False, -1.0, 1.0)})
    (settings.kits_path / "small" / "problem.py").unlink()  # the kit is not there
    difference = convergence.apply(engine, settings, wider, force=True)
    assert [change.what for change in difference.changes] == ["score type acc"]
    assert ranks(engine, "summer") == [["high", "middle", "low", "none"]] * 3


def test_events_of_other_problems_keep_their_direction(
    engine: Engine, settings: Settings, kit: Path, make_kit: MakeKit
) -> None:
    make_kit(settings.kits_path, "other")
    events.add_problem(engine, settings, "other")
    for name in ("winter", "autumn"):
        events.add_event(engine, settings, "other", name)
    turn(kit)
    for act in (convergence.plan, convergence.apply):
        with pytest.raises(DataboardError) as caught:
            act(engine, settings, TURNED, **({"force": True} if act is convergence.apply else {}))
        assert str(caught.value) == (
            "The score type acc is higher the better in events of other problems: autumn, winter.\n"
            "Give the score of small another name, in its problem.py and its manifest."
        )
    assert ranks(engine, "spring") == [["high", "middle", "low", "none"]] * 3
    with database.reading(engine) as session:
        assert not session.scalars(select(ScoreType.is_lower_the_better)).one()
    with pytest.raises(DataboardError, match=r"^The kit's score type acc is lower the better in"):
        events.add_event(engine, settings, "small", "spring", force=True)


@pytest.mark.slow
@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_a_score_that_is_stored_meanwhile_is_ranked_like_all(
    engine: Engine, settings: Settings, kit: Path
) -> None:
    turn(kit)
    rows: list[list[float | None]] = [[0.1] * 5]
    again = Scores([FoldOutcome(0.0, 0.0, 0.0, 0.0, rows)], [{"valid_bag": 0.1, "valid_mean": 0.1}])
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with ThreadPoolExecutor() as pool:
        with database.session_scope(engine) as session:
            event = session.scalars(select(Event).where(Event.name == "spring")).one()
            query = select(Submission).where(Submission.event_id == event.id).order_by("id")
            submission = session.scalars(query).first()
            assert submission is not None
            times = {"train_time": 0, "valid_time": 0, "test_time": 0, "max_memory": 0}
            session.execute(insert(FoldRun).values(submission_id=submission.id, fold=0, **times))
            queue.score_again(session, submission.id, submission.attempt, again)
            applied = pool.submit(convergence.apply, engine, settings, TURNED, force=True)
            with engine.connect() as looking:
                while not looking.execute(text(waiting)).scalar() and not applied.done():
                    looking.rollback()
        applied.result()
    assert ranks(engine, "spring")[0] == ["low", "middle", "high", "none"]
    with database.reading(engine) as session:
        keys = session.scalars(
            select(SubmissionScore.bag_key).where(SubmissionScore.submission_id == submission.id)
        )
        assert keys.one() == 0.1
