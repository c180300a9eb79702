"""The queue is the `submission` table: claim, lease, heartbeat, release, finish.

Every statement that changes a leased submission names the attempt that holds the lease, so a
worker that lost it changes nothing. All times are the database's.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, insert, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from databoard.errors import LeaseLost
from databoard.model.base import db_now
from databoard.model.event import EventScoreType
from databoard.model.problem import ScoreType
from databoard.model.states import CHECKING_ERROR, LEASED, NEW, SCORED, TRAINING, path
from databoard.model.submission import (
    FoldRun,
    FoldScore,
    RunRecord,
    Submission,
    SubmissionScore,
)
from databoard.submissions import CANCELLED
from databoard.training.outcome import Scores, SubmissionFailed
from databoard.waiting import events_by_turn, waiting

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Lease:
    """The right of a worker to train a submission, fenced by its attempt number."""

    submission_id: int
    attempt: int
    worker: str


def claim(
    session: Session, worker: str, seconds: float, which: ColumnElement[bool] | None = None
) -> Lease | None:
    """Lease the waiting submission that comes next, among `which`; None when there is none.

    Events that are not paused come by their priority, then in turns; in an event, teams come in
    turns: a team that has submitted much delays nobody else's next submission. One statement
    takes it: on both databases at most one worker gets a submission.
    """
    for event_id in session.scalars(events_by_turn(which)).all():
        first = waiting(which).where(Submission.event_id == event_id)
        first = first.order_by(Submission.turn, Submission.id).limit(1)
        row = session.execute(
            update(Submission)
            .where(Submission.id == first.with_for_update(skip_locked=True).scalar_subquery())
            .values(
                state=TRAINING,
                worker=worker,
                attempt=Submission.attempt + 1,
                lease_end=db_now(seconds),
                training_at=db_now(),
            )
            .returning(Submission.id, Submission.attempt)
            .execution_options(synchronize_session=False)
        ).first()
        if row is not None:  # or other workers have just taken the last one
            return Lease(row.id, row.attempt, worker)
    return None


def renew(
    session: Session, lease: Lease, seconds: float, source: str = TRAINING, target: str = TRAINING
) -> None:
    """The heartbeat; goes from one leased state on to another, if need be. Raises LeaseLost."""
    for step in path(source, target) if target != source else ():
        _change(session, lease, state=step)
    _change(session, lease, lease_end=db_now(seconds))


def check(session: Session, lease: Lease) -> None:
    """Raise LeaseLost unless the lease is held; it changes nothing."""
    query = select(Submission.error_kind, and_(*_held(lease)).label("is_held"))
    row = session.execute(query.where(Submission.id == lease.submission_id)).first()
    if row is not None and row.error_kind == CANCELLED:
        raise LeaseLost("It was cancelled.")
    if row is None or not row.is_held:
        raise LeaseLost(f"The lease of submission {lease.submission_id} is lost.")


def release(session: Session, lease: Lease) -> None:
    """Give the submission back untried, as when a worker is stopped. Raises LeaseLost."""
    _change(session, lease, state=NEW, worker=None, lease_end=None, training_at=None)


def fail(session: Session, lease: Lease, source: str, failure: SubmissionFailed) -> None:
    """End in a failed state, with its reason. Raises LeaseLost."""
    *steps, last = path(source, failure.state)
    for step in steps:  # what one fold did not reach, no one sees: it is one transaction
        _change(session, lease, state=step)
    _change(
        session,
        lease,
        state=last,
        worker=None,
        lease_end=None,
        ended_at=db_now(),
        error_kind=failure.kind,
        error_fold=failure.fold,
        error_message=failure.message,
    )


def finish(session: Session, lease: Lease, source: str, scores: Scores) -> None:
    """Store the scores and their run record, and end as `scored`.

    Raises LeaseLost; then nothing is stored.
    """
    *steps, last = path(source, SCORED)
    for step in steps:
        _change(session, lease, state=step)
    n = len(scores.folds)
    _change(
        session,
        lease,
        state=last,
        worker=None,
        lease_end=None,
        ended_at=db_now(),
        train_time=sum(fold.train_time for fold in scores.folds) / n,
        valid_time=sum(fold.valid_time for fold in scores.folds) / n,
        test_time=sum(fold.test_time for fold in scores.folds) / n,
        max_memory=max(fold.max_memory for fold in scores.folds),
    )
    runs = [asdict(fold) for fold in scores.folds]
    for fold, run in enumerate(runs):
        run |= {"submission_id": lease.submission_id, "fold": fold}
        del run["scores"]
    session.execute(insert(FoldRun), runs)
    if scores.record is not None:
        own = {"submission_id": lease.submission_id, "attempt": lease.attempt}
        session.execute(insert(RunRecord).values(**own, record=scores.record))
    _store_scores(session, lease.submission_id, scores)


def _store_scores(session: Session, submission_id: int, scores: Scores) -> None:
    directions = session.execute(
        select(EventScoreType.id, ScoreType.is_lower_the_better)
        .join(EventScoreType.score_type)
        .join(Submission, Submission.event_id == EventScoreType.event_id)
        .where(Submission.id == submission_id)
        .order_by(EventScoreType.id)  # the kit's order; positions are those of the boards
        .with_for_update(read=True, of=ScoreType)  # or the keys might be of another direction
    ).all()
    session.execute(
        insert(SubmissionScore),
        [
            {
                "submission_id": submission_id,
                "event_score_type_id": type_,
                "bag_key": sort_key(values["valid_bag"], is_lower),
                "mean_key": sort_key(values["valid_mean"], is_lower),
                **values,
            }
            for (type_, is_lower), values in zip(directions, scores.overall, strict=True)
        ],
    )
    columns = ("train", "valid", "test", "valid_bag", "test_bag")
    session.execute(
        insert(FoldScore),
        [
            {
                "submission_id": submission_id,
                "fold": fold,
                "event_score_type_id": type_,
                **dict(zip(columns, values, strict=True)),
            }
            for fold, outcome in enumerate(scores.folds)
            for (type_, _), values in zip(directions, outcome.scores, strict=True)
        ],
    )


def score_again(session: Session, submission_id: int, attempt: int, scores: Scores) -> None:
    """Replace the scores of a scored submission; those on training rows stay as they are.

    Raises LeaseLost when it is not scored any more, or by another attempt.
    """
    of_attempt = select(Submission.state).filter_by(id=submission_id, attempt=attempt)
    if session.scalar(of_attempt.with_for_update()) != SCORED:
        raise LeaseLost(f"The submission {submission_id} was changed meanwhile.")
    old = select(SubmissionScore).filter_by(submission_id=submission_id)
    of_folds = select(FoldScore).filter_by(submission_id=submission_id)
    overall = sorted(session.scalars(old), key=lambda row: row.event_score_type_id)
    for row, values in zip(overall, scores.overall, strict=True):
        values |= {"train_mean": row.train_mean, "train_std": row.train_std}
    order = [row.event_score_type_id for row in overall]
    for score in session.scalars(of_folds):
        index = order.index(score.event_score_type_id)
        scores.folds[score.fold].scores[index][0] = score.train
    for table in (SubmissionScore, FoldScore):
        session.execute(delete(table).where(table.submission_id == submission_id))
    _store_scores(session, submission_id, scores)


def sweep(session: Session) -> list[tuple[int, int]]:
    """Take back what dead workers hold; returns the submissions and attempts that had ended.

    A submission that was lost MAX_ATTEMPTS times is a `checking_error`: something about it kills
    workers.
    """
    return _lose(session, Submission.lease_end < db_now())


def lose(session: Session, lease: Lease) -> None:
    """Count an attempt that died as a lost lease. Raises LeaseLost when it is counted already."""
    if not _lose(session, *_held(lease)):
        raise LeaseLost(f"The lease of submission {lease.submission_id} is lost.")


def _lose(session: Session, *which: ColumnElement[bool]) -> list[tuple[int, int]]:
    lost = Submission.lost_leases + 1
    last_one = lost >= MAX_ATTEMPTS
    reason = f"The worker died {MAX_ATTEMPTS} times while training it."
    rows = session.execute(
        update(Submission)
        .where(*which, Submission.state.in_(LEASED))
        .values(
            state=case((last_one, CHECKING_ERROR), else_=NEW),
            error_kind=case((last_one, "platform"), else_=None),
            error_message=case((last_one, reason), else_=None),
            ended_at=case((last_one, db_now()), else_=None),
            lost_leases=lost,
            worker=None,
            lease_end=None,
            training_at=None,
        )
        .returning(Submission.id, Submission.attempt)
        .execution_options(synchronize_session=False)
    )
    return [(id_, attempt) for id_, attempt in rows]


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        Submission.id == lease.submission_id,
        Submission.attempt == lease.attempt,
        Submission.worker == lease.worker,
        Submission.state.in_(LEASED),
    )


def _change(session: Session, lease: Lease, **values: Any) -> None:
    done = session.execute(
        update(Submission)
        .where(*_held(lease))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    if not done.rowcount:
        raise LeaseLost(f"The lease of submission {lease.submission_id} is lost.")


def sort_key(score: float | None, is_lower_the_better: bool) -> float:
    """What leaderboards sort by, the lowest first; an undefined score comes last."""
    if score is None:
        return math.inf
    return score if is_lower_the_better else -score
