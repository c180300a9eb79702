"""The order of the queue: fair between teams and events, by priority, not while paused.

No submission is trained here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from databoard import database, submissions, waiting
from databoard.model import states
from databoard.model.base import db_now
from databoard.model.event import Event, EventScoreType, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Problem, ScoreType, Workflow
from databoard.model.submission import Submission, SubmissionScore
from databoard.training import queue
from databoard.training.outcome import FoldOutcome, Scores, SubmissionFailed
from databoard.training.queue import Lease

SCORES = Scores(
    [FoldOutcome(1.0, 1.0, 1.0, 1.0, [[0.5] * 5])],
    [{"valid_bag": 0.2, "test_bag": None, "valid_mean": 0.25, "test_mean": None}],
)
FAILURE = SubmissionFailed(states.TRAINING_ERROR, "exception", "No.")
Submit = Callable[..., list[int]]


@pytest.fixture
def submit(engine: Engine) -> Submit:
    """submit("a b a") stores a submission of the event clouds for each of these teams, without
    files; returns their ids. `event` names another event.
    """

    def add(names: str, event: str = "clouds") -> list[int]:
        ids = []
        with database.session_scope(engine) as session:
            here = session.scalar(select(Event).filter_by(name=event)) or new_event(session, event)
            for name in names.split():
                team = session.scalar(select(Team).filter_by(name=name))
                if team is None:
                    team = Team(name=name)
                    session.add(team)
                    session.flush()
                if session.get(EventTeam, (here.id, team.id)) is None:
                    session.add(EventTeam(event=here, team=team))
                number = session.scalar(select(func.count(Submission.id)))
                row = Submission(event=here, team=team, name=f"s{number}", files_digest="0")
                session.add(row)
                session.flush()
                ids.append(row.id)
        return ids

    return add


def new_event(session: Session, name: str) -> Event:
    score = ScoreType(name=f"{name}_auc", is_lower_the_better=False, minimum=0, maximum=1)
    workflow = Workflow(name=f"{name}_workflow")
    event = Event(
        name=name,
        title=name,
        problem=Problem(name=name, title=name, workflow=workflow),
        n_folds=1,
        folds_digest="0" * 64,
        score_types=[EventScoreType(score_type=score, position=0, precision=2)],
    )
    session.add(event)
    return event


def take(engine: Engine, number: int | None = None) -> list[Lease]:
    """Claim some, or all; each in a transaction of its own."""
    leases: list[Lease] = []
    while number is None or len(leases) < number:
        with database.session_scope(engine) as session:
            lease = queue.claim(session, "w", 60)
        if lease is None:
            break
        leases.append(lease)
    return leases


def taken(engine: Engine, number: int | None = None) -> str:
    """The teams of what is claimed, in order."""
    return " ".join(names_of(engine, take(engine, number), Team.name))


def names_of(engine: Engine, leases: Sequence[Lease], column: object) -> list[str]:
    query = select(Submission.id, column).join(Submission.team).join(Submission.event)
    with database.reading(engine) as session:
        names = dict(session.execute(query).tuples().all())
    return [names[lease.submission_id] for lease in leases]


def set_event(engine: Engine, name: str, **values: object) -> None:
    with database.session_scope(engine) as session:
        session.execute(update(Event).filter_by(name=name).values(**values))


@pytest.mark.parametrize(
    ("came", "go"),
    [
        ("a a a", "a a a"),
        ("a a a b", "a b a a"),
        ("a a a a b b c", "a b c a b a a"),
        ("b a a a c c b", "b a c a c b a"),
    ],
)
def test_teams_come_in_turns(engine: Engine, submit: Submit, came: str, go: str) -> None:
    submit(came)
    assert taken(engine) == go


def test_who_submits_while_another_floods_comes_next(engine: Engine, submit: Submit) -> None:
    submit("a " * 50)
    assert taken(engine, 20) == "a " * 19 + "a"
    submit("b b b")
    assert taken(engine, 7) == "b a b a b a a"


def test_a_team_gains_nothing_by_waiting(engine: Engine, submit: Submit) -> None:
    submit("a " * 10)
    take(engine)
    submit("b " * 10)
    submit("a " * 10)
    assert min(Counter(taken(engine, 10).split()).values()) >= 4  # of two teams


def test_events_come_in_turns_however_many_teams_they_have(engine: Engine, submit: Submit) -> None:
    submit("a b c d e a b c d e")
    submit("f f f", "rain")
    events = names_of(engine, take(engine, 7), Event.name)
    assert events == ["clouds", "rain"] * 3 + ["clouds"]


def test_priority_goes_first(engine: Engine, submit: Submit) -> None:
    submit("a a")
    submit("b b", "rain")
    set_event(engine, "rain", priority=1)
    assert taken(engine) == "b b a a"


def test_nothing_of_a_paused_event_is_taken(engine: Engine, submit: Submit) -> None:
    (first, _) = submit("a a")
    submit("b", "rain")
    (lease,) = take(engine, 1)
    assert lease.submission_id == first
    set_event(engine, "clouds", is_paused=True)
    assert taken(engine) == "b"
    with database.session_scope(engine) as session:
        queue.renew(session, lease, 60)  # what is trained goes on
        queue.finish(session, lease, states.TRAINING, SCORES)
    set_event(engine, "clouds", is_paused=False)
    assert taken(engine) == "a"


def test_what_a_worker_lost_keeps_its_turn(engine: Engine, submit: Submit) -> None:
    first, *_ = submit("a b a b")
    (lease,) = take(engine, 1)
    with database.session_scope(engine) as session:
        queue.lose(session, lease)
    assert [lease.submission_id for lease in take(engine, 1)] == [first]


def test_what_is_trained_again_waits_its_turn(engine: Engine, submit: Submit) -> None:
    submit("a " * 5)
    for lease in take(engine):
        with database.session_scope(engine) as session:
            queue.fail(session, lease, states.TRAINING, FAILURE)
    with database.session_scope(engine) as session:
        submissions.put_back(session, Submission.state == states.TRAINING_ERROR)
    submit("b")
    assert taken(engine, 2) in ("a b", "b a")


def test_many_workers_take_each_once(engine: Engine, submit: Submit) -> None:
    ids = submit("a b c d " * 10) + submit("e " * 10, "rain")

    def work(number: int) -> list[int]:
        return [lease.submission_id for lease in take(engine)]

    with ThreadPoolExecutor(8) as threads:
        found = [id_ for part in threads.map(work, range(8)) for id_ in part]
    assert sorted(found) == ids


def test_scores_are_stored_of_what_is_scored_alone(engine: Engine, submit: Submit) -> None:
    (submission_id,) = submit("a")
    (lease,) = take(engine)
    with database.reading(engine) as session:
        type_ = session.scalar(select(EventScoreType.id))
    values = {"event_score_type_id": type_, "bag_key": 0.0, "mean_key": 0.0}
    with pytest.raises(DBAPIError, match="not scored"), database.session_scope(engine) as session:
        session.add(SubmissionScore(submission_id=submission_id, **values))
    with database.session_scope(engine) as session:
        queue.finish(session, lease, states.TRAINING, SCORES)
    with (
        pytest.raises(DBAPIError, match="not scored"),
        database.session_scope(engine) as session,
    ):
        session.execute(update(Submission).values(state=states.NEW))
    with pytest.raises(DBAPIError), database.session_scope(engine) as session:
        session.add(SubmissionScore(submission_id=submission_id, **values))  # a second one


def test_the_forecast_of_a_submission(engine: Engine, submit: Submit) -> None:
    submit("a a a")
    submit("b b", "rain")
    (last,) = submit("c")

    def forecast() -> waiting.Forecast:
        with database.reading(engine) as session:
            return waiting.forecast(session, session.get_one(Submission, last))

    assert forecast() == waiting.Forecast(ahead=3, starts_at=None, is_paused=False)
    set_event(engine, "rain", is_paused=True)
    assert forecast().ahead == 1
    set_event(engine, "rain", is_paused=False, priority=1)
    assert forecast().ahead == 3
    set_event(engine, "rain", priority=0)
    set_event(engine, "clouds", priority=1, is_paused=True)
    assert forecast() == waiting.Forecast(ahead=1, starts_at=None, is_paused=True)
    set_event(engine, "clouds", priority=1, is_paused=False)
    (lease,) = take(engine, 1)
    with database.session_scope(engine) as session:
        queue.finish(session, lease, states.TRAINING, SCORES)
        took = {"training_at": db_now(-100), "ended_at": db_now(-60)}
        session.execute(update(Submission).filter_by(id=lease.submission_id).values(**took))
    assert forecast().ahead == 0
    submit("d")
    with database.reading(engine) as session:
        newest = session.get_one(Submission, last + 1)
        later = waiting.forecast(session, newest)
        now = session.scalar(select(db_now()))
    assert later.starts_at is not None
    assert later.ahead == 1
    assert timedelta(seconds=35) < later.starts_at - now < timedelta(seconds=45)


def test_the_queue_in_order_is_how_it_is_taken(engine: Engine, submit: Submit) -> None:
    submit("a a b c b")
    submit("d d a", "rain")
    with database.reading(engine) as session:
        listed = [row.id for row in session.scalars(waiting.in_order(Submission.id > 0))]
    assert listed == [lease.submission_id for lease in take(engine)]
