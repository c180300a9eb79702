"""Leaderboards: each is one SQL query over stored scores, true the moment a score is stored.

A board has the submissions that are scored and not deleted. An undefined score comes last; of
equal scores the earlier submission comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from databoard import ranking
from databoard.errors import InvalidValue
from databoard.lookup import find
from databoard.model.event import SCORE_KINDS, Event, EventScoreType
from databoard.model.people import Team
from databoard.model.states import FAILED, LEASED, NEW
from databoard.model.submission import Submission
from databoard.names import printable


@dataclass(frozen=True)
class Column:
    """A column of a board: `precision` is the digits its numbers are shown with.

    A spread is the deviation of the column before it; tables show both in one cell. What wraps
    takes several lines where a terminal is narrow.
    """

    name: str
    title: str
    precision: int | None = None
    is_spread: bool = False
    wraps: bool = False


@dataclass(frozen=True)
class Board:
    """Columns, and rows of plain values in their order; scores are not rounded."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]

    def shown(self) -> list[int]:
        """The columns that a table shows: no spreads, none that is empty in all rows."""
        return [
            index
            for index, column in enumerate(self.columns)
            if not column.is_spread
            and (not self.rows or any(row[index] is not None for row in self.rows))
        ]


TEAM = Column("team", "team")
SUBMISSION = Column("submission", "submission")
SUBMITTED_AT = Column("submitted_at", "submitted at (UTC)")
STATE = Column("state", "state")
CONTRIBUTIVITIES = (
    Column("contributivity", "contributivity", 3),
    Column("historical_contributivity", "historical contributivity", 3),
)
COSTS = (
    *CONTRIBUTIVITIES,
    Column("train_time", "train time [s]", 2),
    Column("valid_time", "validation time [s]", 2),
    Column("max_memory", "max RAM [MB]", 0),
    SUBMITTED_AT,
)


def load_event(session: Session, name: str) -> Event:
    """The event with its score types, as the boards take it. Raises NotFound."""
    scores = selectinload(Event.score_types).joinedload(EventScoreType.score_type)
    event = session.scalar(select(Event).where(Event.name == name).options(scores))
    return event or find(session, Event, name)


def public(
    session: Session,
    event: Event,
    kind: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Board:
    """Validation scores, the best first. `kind` is bag or mean; the event's own by default."""
    query = ranking.public(len(event.score_types), check_kind(kind or event.score_kind))
    columns = (TEAM, SUBMISSION, *_titles(event), *COSTS)
    rows = _fetch(session, query, event, limit, offset)
    return Board(f"{event.title}: public leaderboard", columns, rows)


def private(
    session: Session,
    event: Event,
    kind: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Board:
    """Test scores, the best first, beside those on validation; means, deviations, ids."""
    kind = check_kind(kind or event.score_kind)
    query = ranking.private(len(event.score_types), kind, _is_lower_the_better(event))
    columns = []
    for score_type in event.score_types:
        name, precision = score_type.score_type.name, score_type.precision
        for side in ("test", "valid"):
            columns += [
                Column(f"{name}_{side}_bag", f"{name} {side} bag", precision),
                Column(f"{name}_{side}_mean", f"{name} {side} mean", precision),
                Column(f"{name}_{side}_std", f"{name} {side} std", precision + 1, True),
            ]
    all_columns = (TEAM, SUBMISSION, *columns, *COSTS, Column("id", "id"))
    rows = _fetch(session, query, event, limit, offset)
    return Board(f"{event.title}: private leaderboard", all_columns, rows)


def competition(
    session: Session, event: Event, with_private: bool = False, kind: str | None = None
) -> Board:
    """The best submission of each team by its validation score.

    With `with_private`, also the rank that it has by its test score, and its move: how many
    places it wins (positive) or loses on the private board.
    """
    kind = check_kind(kind or event.score_kind)
    n, is_lower = len(event.score_types), _is_lower_the_better(event)
    rows = _fetch(session, ranking.competition(n, kind, is_lower, with_private), event)
    if not with_private:
        columns = (Column("rank", "rank"), TEAM, SUBMISSION, *_titles(event), SUBMITTED_AT)
        return Board(f"{event.title}: competition leaderboard", columns, rows)
    columns = (
        Column("private_rank", "private rank"),
        Column("public_rank", "public rank"),
        Column("move", "move"),
        TEAM,
        SUBMISSION,
        *_titles(event, "test"),
        *_titles(event, "valid"),
        SUBMITTED_AT,
    )
    return Board(f"{event.title}: private competition leaderboard", columns, rows)


def waiting(session: Session, event: Event) -> Board:
    """Submissions that wait for training or are being trained, in the order of the queue."""
    query = (
        select(Team.name, Submission.name, Submission.state, Submission.submitted_at)
        .join(Submission.team)
        .where(Submission.event_id == event.id, Submission.state.in_((NEW, *LEASED)))
        .order_by(Submission.id)
    )
    columns = (TEAM, SUBMISSION, STATE, SUBMITTED_AT)
    return Board(f"{event.title}: new submissions", columns, session.execute(query).all())


def failed(session: Session, event: Event) -> Board:
    """Submissions that failed and why, the latest first. The reason is its last line."""
    query = (
        select(
            Team.name,
            Submission.name,
            Submission.state,
            Submission.error_kind,
            Submission.error_message,
            Submission.submitted_at,
        )
        .join(Submission.team)
        .where(Submission.event_id == event.id, Submission.state.in_(FAILED))
        .order_by(Submission.id.desc())
    )
    columns = (TEAM, SUBMISSION, STATE, Column("kind", "kind"), Column("error", "error"))
    rows = [
        (*row[:4], (row.error_message or "").strip().rpartition("\n")[2], row.submitted_at)
        for row in session.execute(query)
    ]
    return Board(f"{event.title}: failed submissions", (*columns, SUBMITTED_AT), rows)


def check_kind(kind: str) -> str:
    """Return `kind` if it is one. Raises InvalidValue."""
    if kind not in SCORE_KINDS:
        raise InvalidValue(f"{printable(kind)} is no kind of score.", "Use bag or mean.")
    return kind


def _fetch(
    session: Session, query: Select[Any], event: Event, limit: int | None = None, offset: int = 0
) -> Sequence[Sequence[Any]]:
    values = {f"score_type_{i}": score.id for i, score in enumerate(event.score_types)}
    values |= {"most": ranking.EVERYTHING if limit is None else limit, "first": offset}
    # By the connection: the session would look for entities in each row.
    return session.connection().execute(query, values).all()


def _is_lower_the_better(event: Event) -> bool:
    return event.score_types[0].score_type.is_lower_the_better


def _titles(event: Event, side: str = "") -> list[Column]:
    return [
        Column(
            "_".join(filter(None, (score.score_type.name, side))),
            " ".join(filter(None, (score.score_type.name, side))),
            score.precision,
        )
        for score in event.score_types
    ]
