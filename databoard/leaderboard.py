"""Leaderboards: each is one SQL query over stored scores, true the moment a score is stored.

A board has the submissions that are scored and not deleted. An undefined score comes last; of
equal scores the earlier submission comes first.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from databoard import ranking
from databoard.errors import InvalidValue, NotFound
from databoard.lookup import find
from databoard.model.event import SCORE_KINDS, Event, EventScoreType
from databoard.model.people import Team
from databoard.model.states import FAILED, LEASED, NEW
from databoard.model.submission import Submission
from databoard.names import printable
from databoard.ranking import Shape


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
ID = Column("id", "id")
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
    rows = _fetch(session, query, event, limit, offset)
    return Board(f"{event.title}: public leaderboard", _public_columns(event), rows)


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
    columns = (*_private_columns(event), ID)
    rows = _fetch(session, query, event, limit, offset)
    return Board(f"{event.title}: private leaderboard", columns, rows)


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
    which = "private competition" if with_private else "competition"
    return Board(f"{event.title}: {which} leaderboard", _ranks(event, with_private), rows)


@dataclass(frozen=True)
class Part:
    """A part of a board: how many rows from where on, in which order, until which time.

    `sort` is the name of a column; the best come first, or what is first in the alphabet.
    """

    limit: int | None = None
    offset: int = 0
    sort: str = ""
    is_reversed: bool = False
    until: datetime | None = None


BOARDS = ("public", "private", "competition", "final")


def part(session: Session, event: Event, board: str, wanted: Part) -> Board:
    """A part of one of `BOARDS`, with the ids of submissions and teams in the last columns.

    `final` is the competition with its ranks on the test set. Raises NotFound: it cannot be sorted
    like that.
    """
    n, kind = len(event.score_types), event.score_kind
    columns = _columns_of(event, board)
    sort = _sort_of(columns, wanted.sort) if board in ("public", "private") else None
    is_descending = (
        sort is not None and _is_higher_first(event, columns[sort]) != wanted.is_reversed
    )
    shape = Shape(True, wanted.until is not None, sort, is_descending)
    is_lower = _is_lower_the_better(event)
    if board == "public":
        query = ranking.public(n, kind, shape)
    elif board == "private":
        query = ranking.private(n, kind, is_lower, shape)
    else:
        query = ranking.competition(n, kind, is_lower, board == "final", shape)
    rows = _fetch(session, query, event, wanted.limit, wanted.offset, wanted.until)
    return Board(f"{event.title}: {board}", (*columns, ID, Column("team_id", "team id")), rows)


def anonymous(board: Board, event: Event, own_team: int, key: str) -> Board:
    """A board of `part` in which other teams and their submissions have no names.

    `own_team` is the id of the viewer's; `key` is the site's, so that nobody else can tell.
    """
    names = [column.name for column in board.columns]
    team, submission, team_id = (names.index(name) for name in ("team", "submission", "team_id"))
    rows = []
    for row in board.rows:
        if row[team_id] == own_team:
            rows.append(row)
            continue
        hidden = list(row)
        hidden[team], hidden[submission] = hidden_name(event, row[team_id], key), "-"
        rows.append(hidden)
    return Board(board.title, board.columns, rows)


def hidden_name(event: Event, team_id: int, key: str) -> str:
    """What an anonymous board calls a team: the same on each board of the event."""
    digest = hmac.new(key.encode(), f"board {event.id} {team_id}".encode(), hashlib.sha256)
    return f"team {digest.hexdigest()[:6]}"


def _sort_of(columns: Sequence[Column], name: str) -> int | None:
    """The index of the column of that name; None: by the official score."""
    if not name:
        return None
    for index, column in enumerate(columns):
        if column.name == name:
            return index
    raise NotFound(f"The board has no column {printable(name)}.")


def _is_higher_first(event: Event, column: Column) -> bool:
    """Whether the highest values of a column are the best."""
    if column in CONTRIBUTIVITIES:
        return True
    for score in event.score_types:
        if column.precision is not None and column.name.startswith(score.score_type.name):
            return not score.score_type.is_lower_the_better
    return False


def _columns_of(event: Event, board: str) -> tuple[Column, ...]:
    if board == "public":
        return _public_columns(event)
    return _private_columns(event) if board == "private" else _ranks(event, board == "final")


def _public_columns(event: Event) -> tuple[Column, ...]:
    return (TEAM, SUBMISSION, *_titles(event), *COSTS)


def _private_columns(event: Event) -> tuple[Column, ...]:
    columns = []
    for score_type in event.score_types:
        name, precision = score_type.score_type.name, score_type.precision
        for side in ("test", "valid"):
            columns += [
                Column(f"{name}_{side}_bag", f"{name} {side} bag", precision),
                Column(f"{name}_{side}_mean", f"{name} {side} mean", precision),
                Column(f"{name}_{side}_std", f"{name} {side} std", precision + 1, True),
            ]
    return (TEAM, SUBMISSION, *columns, *COSTS)


def _ranks(event: Event, with_private: bool = False) -> tuple[Column, ...]:
    if not with_private:
        return (Column("rank", "rank"), TEAM, SUBMISSION, *_titles(event), SUBMITTED_AT)
    return (
        Column("private_rank", "private rank"),
        Column("public_rank", "public rank"),
        Column("move", "move"),
        TEAM,
        SUBMISSION,
        *_titles(event, "test"),
        *_titles(event, "valid"),
        SUBMITTED_AT,
    )


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
    session: Session,
    query: Select[Any],
    event: Event,
    limit: int | None = None,
    offset: int = 0,
    until: datetime | None = None,
) -> Sequence[Sequence[Any]]:
    values: dict[str, object] = {
        f"score_type_{i}": score.id for i, score in enumerate(event.score_types)
    }
    values |= {"most": ranking.EVERYTHING if limit is None else limit, "first": offset}
    if until is not None:
        values["until"] = until
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
