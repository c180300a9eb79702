"""Leaderboards: each is one SQL query over stored scores, true the moment a score is stored.

A board has the submissions that are scored and not deleted. An undefined score comes last; of
equal scores the earlier submission comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, case, func, literal, select
from sqlalchemy.orm import Session, aliased, selectinload

from databoard.errors import InvalidValue, NotFound
from databoard.lookup import find
from databoard.model.event import SCORE_KINDS, Event, EventScoreType
from databoard.model.people import Team
from databoard.model.states import FAILED, LEASED, NEW, SCORED
from databoard.model.submission import Submission, SubmissionScore
from databoard.names import printable


@dataclass(frozen=True)
class Column:
    """A column of a board: `precision` is the digits its numbers are shown with.

    A spread is the deviation of the column before it; tables show both in one cell.
    """

    name: str
    title: str
    precision: int | None = None
    is_spread: bool = False


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
COSTS = (
    Column("contributivity", "contributivity", 0),
    Column("historical_contributivity", "historical contributivity", 0),
    Column("train_time", "train time [s]", 2),
    Column("valid_time", "validation time [s]", 2),
    Column("max_memory", "max RAM [MB]", 0),
    SUBMITTED_AT,
)
Score = type[SubmissionScore]  # an alias of it, one per score type


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
    kind, scores = check_kind(kind or event.score_kind), _scores(event)
    columns = (TEAM, SUBMISSION, *_titles(event), *COSTS)
    query = _scored(event, scores, [_value(score, "valid", kind) for score in scores])
    query = query.order_by(_key(scores[0], kind), scores[0].submission_id)
    rows = session.execute(query.limit(limit).offset(offset or None))
    return Board(f"{event.title}: public leaderboard", columns, rows.all())


def private(
    session: Session,
    event: Event,
    kind: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Board:
    """Test scores, the best first, beside those on validation; means, deviations, ids."""
    kind, scores = check_kind(kind or event.score_kind), _scores(event)
    values, columns = [], []
    for score_type, score in zip(event.score_types, scores, strict=True):
        for side in ("test", "valid"):
            name, precision = score_type.score_type.name, score_type.precision
            columns += [
                Column(f"{name}_{side}_bag", f"{name} {side} bag", precision),
                Column(f"{name}_{side}_mean", f"{name} {side} mean", precision),
                Column(f"{name}_{side}_std", f"{name} {side} std", precision + 1, True),
            ]
            values += [_value(score, side, of) for of in ("bag", "mean", "std")]
    query = _scored(event, scores, values).add_columns(Submission.id)
    test_key = _test_key(event, scores[0], kind)
    query = query.order_by(test_key, scores[0].submission_id).limit(limit).offset(offset or None)
    all_columns = (TEAM, SUBMISSION, *columns, *COSTS, Column("id", "id"))
    return Board(f"{event.title}: private leaderboard", all_columns, session.execute(query).all())


def competition(
    session: Session, event: Event, with_private: bool = False, kind: str | None = None
) -> Board:
    """The best submission of each team by its validation score.

    With `with_private`, also the rank that it has by its test score, and its move: how many
    places it wins (positive) or loses on the private board.
    """
    kind, scores = check_kind(kind or event.score_kind), _scores(event)
    official, key = scores[0], _key(scores[0], kind)
    best = (
        _scored(event, scores, [_value(score, "valid", kind) for score in scores], costs=False)
        .add_columns(
            *[_value(score, "test", kind).label(f"test_{i}") for i, score in enumerate(scores)],
            Submission.submitted_at.label("submitted_at"),
            Submission.id.label("id"),
            key.label("public_key"),
            _test_key(event, official, kind).label("private_key"),
            func.row_number()
            .over(partition_by=Submission.team_id, order_by=(key, Submission.id))
            .label("place"),
        )
        .subquery()
    )
    private_rank = func.row_number().over(order_by=(best.c.private_key, best.c.id))
    public_rank = func.row_number().over(order_by=(best.c.public_key, best.c.id))
    ranked = (
        select(best, public_rank.label("public_rank"), private_rank.label("private_rank"))
        .where(best.c.place == 1)
        .subquery()
    )
    of = ranked.c
    valid = [of[f"score_{i}"] for i in range(len(scores))]
    if not with_private:
        query = select(of.public_rank, of.team, of.submission, *valid, of.submitted_at)
        columns = (
            Column("rank", "rank"),
            TEAM,
            SUBMISSION,
            *_titles(event),
            SUBMITTED_AT,
        )
        rows = session.execute(query.order_by(of.public_rank)).all()
        return Board(f"{event.title}: competition leaderboard", columns, rows)
    test = [of[f"test_{i}"] for i in range(len(scores))]
    ranks = (of.private_rank, of.public_rank, of.public_rank - of.private_rank)
    query = select(*ranks, of.team, of.submission, *test, *valid, of.submitted_at)
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
    rows = session.execute(query.order_by(of.private_rank)).all()
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


def _scores(event: Event) -> list[Score]:
    if not event.score_types:
        raise NotFound(f"The event {event.name} has no score types.", "inv add-event … --force")
    return [aliased(SubmissionScore) for _ in event.score_types]


def _titles(event: Event, side: str = "") -> list[Column]:
    return [
        Column(
            "_".join(filter(None, (score.score_type.name, side))),
            " ".join(filter(None, (score.score_type.name, side))),
            score.precision,
        )
        for score in event.score_types
    ]


def _scored(
    event: Event, scores: list[Score], values: list[Any], costs: bool = True
) -> Select[Any]:
    """Team, submission, values and costs of what is scored; one join per score type."""
    official = scores[0]
    query = (
        select(
            Team.name.label("team"),
            Submission.name.label("submission"),
            *[value.label(f"score_{i}") for i, value in enumerate(values)],
            *[getattr(Submission, cost.name) for cost in COSTS if costs],
        )
        .select_from(official)
        .join(Submission, Submission.id == official.submission_id)
        .join(Team, Team.id == Submission.team_id)
        .where(official.event_score_type_id == event.score_types[0].id, Submission.state == SCORED)
    )
    for score_type, score in list(zip(event.score_types, scores, strict=True))[1:]:
        query = query.join(
            score,
            (score.submission_id == official.submission_id)
            & (score.event_score_type_id == score_type.id),
        )
    return query


def _value(score: Score, side: str, kind: str) -> Any:
    return getattr(score, f"{side}_{kind}")


def _key(score: Score, kind: str) -> Any:
    return score.bag_key if kind == "bag" else score.mean_key


def _test_key(event: Event, score: Score, kind: str) -> ColumnElement[float]:
    test = _value(score, "test", kind)
    is_lower = event.score_types[0].score_type.is_lower_the_better
    return case((test.is_(None), literal(float("inf"), Double)), else_=test if is_lower else -test)
