"""What people did on the web pages: noted in the transaction that does it; failures are counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from databoard.errors import DataboardError
from databoard.leaderboard import Board, Column
from databoard.model.audit import MAX_SUBJECT, Interaction
from databoard.model.base import db_now
from databoard.model.event import Event
from databoard.model.people import User

WINDOW = 15 * 60  # seconds in which failures count
COLUMNS = (
    Column("at", "at (UTC)"),
    Column("kind", "what"),
    Column("user", "user"),
    Column("event", "event"),
    Column("subject", "to what"),
    Column("address", "address"),
)


class TooMany(DataboardError):
    """Somebody has tried too often; later it works again."""


def note(
    session: Session,
    kind: str,
    user: User | None = None,
    event: Event | None = None,
    subject: str = "",
    address: str = "",
) -> None:
    """Note an act."""
    session.add(
        Interaction(
            kind=kind,
            user_id=user.id if user else None,
            event_id=event.id if event else None,
            subject=subject[:MAX_SUBJECT],
            address=address,
        )
    )


def check_rate(session: Session, kind: str, which: ColumnElement[bool], most: int) -> None:
    """Raise TooMany when `most` acts of a kind are noted within the last 15 minutes."""
    recent = select(func.count()).where(
        Interaction.kind == kind, Interaction.at > db_now(-WINDOW), which
    )
    if (session.scalar(recent) or 0) >= most:
        raise TooMany("That was tried too often.", "Wait 15 minutes, then try again.")


def listed(
    session: Session,
    event: Event | None = None,
    limit: int = 200,
    offset: int = 0,
    user: str = "",
    kind: str = "",
) -> Board:
    """Acts, the newest first; of one event, of one user, of one kind, or of all."""
    query = _acts(event, user, kind).limit(limit).offset(offset)
    return Board("interactions", COLUMNS, session.execute(query).all())


def streamed(
    session: Session, event: Event | None = None, user: str = "", kind: str = "", size: int = 1000
) -> Iterator[Board]:
    """All of them, some at a time, as they are at this moment."""
    query = _acts(event, user, kind).execution_options(yield_per=size)
    for rows in session.execute(query).partitions():
        yield Board("interactions", COLUMNS, rows)


def kinds(session: Session, event: Event | None = None) -> Sequence[str]:
    """The kinds of acts that there are."""
    query = select(Interaction.kind).distinct().order_by(Interaction.kind)
    if event is not None:
        query = query.where(Interaction.event_id == event.id)
    return session.scalars(query).all()


def _acts(event: Event | None, user: str, kind: str) -> Select[Any]:
    query: Select[Any] = (
        select(
            Interaction.at,
            Interaction.kind,
            User.name,
            Event.name,
            Interaction.subject,
            Interaction.address,
        )
        .outerjoin(User, User.id == Interaction.user_id)
        .outerjoin(Event, Event.id == Interaction.event_id)
        .order_by(Interaction.id.desc())
    )
    if event is not None:
        query = query.where(Interaction.event_id == event.id)
    if user:
        query = query.where(User.name == user)
    if kind:
        query = query.where(Interaction.kind == kind)
    return query
