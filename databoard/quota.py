"""Whether a team may submit now: opening times, the time between two submissions, the daily quota.

Decided by the database's clock, on rows that the caller's transaction has locked.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from databoard.errors import DataboardError
from databoard.model.base import db_now
from databoard.model.event import Event
from databoard.model.people import Team
from databoard.model.states import CHECKING_ERROR, NEW
from databoard.model.submission import Submission
from databoard.names import counted

DAY = 24 * 3600  # seconds


class NotNow(DataboardError):
    """The team may submit, but not at this moment."""


def check_may_submit(
    session: Session, event: Event, team: Team, replaced: Submission | None
) -> None:
    """Raise NotNow unless the event is open, and neither its interval nor its quota is broken.

    What the platform failed on does not count, nor does what is replaced before it was trained;
    what was withdrawn does.
    """
    opens, closes = Event.opening_at > db_now(), Event.closing_at <= db_now()
    is_early, is_late = session.execute(select(opens, closes).where(Event.id == event.id)).one()
    if is_early:
        raise NotNow(
            f"The event {event.name} opens at {event.opening_at:%Y-%m-%d %H:%M:%S} UTC.",
            "Submit after that.",
        )
    if is_late:
        raise NotNow(
            f"The event {event.name} closed at {event.closing_at:%Y-%m-%d %H:%M:%S} UTC.",
            "Nothing can be submitted any more.",
        )
    counts = (
        (Submission.event_id == event.id)
        & (Submission.team_id == team.id)
        & (Submission.state != CHECKING_ERROR)
    )
    if replaced is not None and replaced.state == NEW:
        counts &= Submission.id != replaced.id
    _check_interval(session, event, team, counts)
    if event.daily_quota is not None:
        _check_quota(session, event, team, event.daily_quota, counts)


def _check_interval(
    session: Session, event: Event, team: Team, counts: ColumnElement[bool]
) -> None:
    latest = select(func.max(Submission.submitted_at))
    last = session.scalar(
        latest.where(counts, Submission.submitted_at > db_now(-event.min_seconds))
    )
    if last is not None:
        again = last + timedelta(seconds=event.min_seconds)
        raise NotNow(
            f"The team {team.name} may submit to {event.name} again at "
            f"{again:%Y-%m-%d %H:%M:%S} UTC.",
            f"Between two submissions there are {counted(event.min_seconds, 'second')}.",
        )


def _check_quota(
    session: Session, event: Event, team: Team, quota: int, counts: ColumnElement[bool]
) -> None:
    times = (
        select(Submission.submitted_at)
        .where(counts, Submission.submitted_at > db_now(-DAY))
        .order_by(Submission.submitted_at.desc())
        .limit(1)
        .offset(quota - 1)
    )
    oldest = session.scalar(times)  # of the last ones, as many as the quota
    if oldest is not None:
        again = oldest + timedelta(seconds=DAY)
        raise NotNow(
            f"The team {team.name} may submit to {event.name} again at "
            f"{again:%Y-%m-%d %H:%M:%S} UTC.",
            f"There are at most {counted(quota, 'submission')} in 24 hours.",
        )
