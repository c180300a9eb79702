"""The order in which submissions are trained, and when one that waits will come.

Within an event `Submission.turn` says it, which is given when a submission begins to wait. Of two
events of one priority, the one comes next of which a submission was taken longer ago.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from sqlalchemy import ColumnElement, Select, func, literal_column, select, tuple_
from sqlalchemy.orm import Session, aliased

from databoard.model.base import db_now
from databoard.model.event import Event
from databoard.model.states import LEASED, NEW, SCORED
from databoard.model.submission import Submission

RECENT = 20  # trainings from which the next ones are guessed
# Written as a literal, so that SQLite sees that the partial index serves.
WAITS = Submission.state == literal_column(f"'{NEW}'")


@dataclass(frozen=True)
class Forecast:
    """Of a submission that waits: how many come before it, and about when it starts (None: nothing
    like it was trained yet).
    """

    ahead: int
    starts_at: datetime | None
    is_paused: bool


def waiting(which: ColumnElement[bool] | None = None) -> Select[tuple[int]]:
    """The ids of what waits, among `which`."""
    query = select(Submission.id).where(WAITS)
    return query if which is None else query.where(which)


def events_by_turn(which: ColumnElement[bool] | None = None) -> Select[tuple[int]]:
    """The ids of the events that have something to train, the one that comes next first."""
    other, of_event = aliased(Submission), Submission.event_id == Event.id
    taken = select(func.max(other.training_at)).where(other.event_id == Event.id)
    return (
        select(Event.id)
        .where(Event.is_paused.is_(False), waiting(which).where(of_event).exists())
        .order_by(Event.priority.desc(), taken.scalar_subquery().nulls_first(), Event.id)
    )


def in_order(which: ColumnElement[bool]) -> Select[tuple[Submission]]:
    """What waits, as it comes, as far as that is known: each event's n-th before the (n + 1)-th of
    any of the same priority, what is paused last.
    """
    place = func.row_number().over(
        partition_by=Submission.event_id, order_by=(Submission.turn, Submission.id)
    )
    return (
        select(Submission)
        .join(Event, Event.id == Submission.event_id)
        .where(WAITS, which)
        .order_by(Event.is_paused, Event.priority.desc(), place, Submission.id)
    )


def forecast(session: Session, submission: Submission) -> Forecast:
    """When a submission that waits will be trained, if all goes on as it does."""
    event = submission.event
    place = tuple_(Submission.turn, Submission.id) < (submission.turn, submission.id)
    before = select(func.count()).where(WAITS, Submission.event_id == event.id, place)
    ahead = own = session.scalar(before) or 0
    others = (
        select(Event.priority, func.count())
        .join(Submission, Submission.event_id == Event.id)
        .where(WAITS, Event.id != event.id, Event.is_paused.is_(False))
        .where(Event.priority >= event.priority)
        .group_by(Event.id, Event.priority)
    )
    for priority, count in session.execute(others):
        ahead += count if priority > event.priority else min(count, own + 1)
    seconds = _recent_seconds(session, event.id)
    starts_at = None
    if seconds is not None:
        leased = select(func.count()).where(Submission.state.in_(LEASED))
        beside = max(1, session.scalar(leased) or 0)
        now = session.scalars(select(db_now())).one()
        starts_at = now + timedelta(seconds=ahead * seconds / beside)
    return Forecast(ahead, starts_at, event.is_paused)


def _recent_seconds(session: Session, event_id: int) -> float | None:
    """How long the last submissions of an event took, on average."""
    query = (
        select(Submission.training_at, Submission.ended_at)
        .where(Submission.event_id == event_id, Submission.state == SCORED)
        .where(Submission.training_at.is_not(None), Submission.ended_at.is_not(None))
        .order_by(Submission.training_at.desc())
        .limit(RECENT)
    )
    took = [(ended - began).total_seconds() for began, ended in session.execute(query)]
    return fmean(took) if took else None
