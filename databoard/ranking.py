"""The SQL of leaderboards: statements that are built once for each number of scores.

Which event, and which part of the board, are parameters: `score_type_0` and so on (ids of event
score types, the official one first), `most`, `first`, and for boards that end at a time, `until`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Double, Integer, Select, bindparam, case, func, literal, select, update
from sqlalchemy.orm import Session, aliased

from databoard.model.base import UtcDateTime
from databoard.model.event import EventScoreType
from databoard.model.people import Team
from databoard.model.problem import ScoreType
from databoard.model.states import SCORED
from databoard.model.submission import Submission, SubmissionScore

COSTS = (
    "contributivity",
    "historical_contributivity",
    "train_time",
    "valid_time",
    "max_memory",
    "submitted_at",
)
EVERYTHING = 2**31 - 1


@dataclass(frozen=True)
class Shape:
    """What a board has beside its rows and their order, for pages."""

    with_ids: bool = False  # of the submission and of the team, at the end
    has_end: bool = False  # it has what was submitted until a time
    sort: int | None = None  # the column that orders it, instead of the official score
    is_descending: bool = False


PLAIN = Shape()
Score = type[SubmissionScore]  # an alias of it, one per score type


@cache
def public(n: int, kind: str, shape: Shape = PLAIN) -> Select[Any]:
    """Team, submission, n validation scores, costs; the best first."""
    scores = _scores(n)
    query = _shaped(_scored(scores, [_value(score, "valid", kind) for score in scores]), shape)
    return _part(_ordered(query, shape, _key(scores[0], kind), scores[0].submission_id))


@cache
def private(n: int, kind: str, is_lower_the_better: bool, shape: Shape = PLAIN) -> Select[Any]:
    """Team, submission, n times bag, mean and std on test and validation, costs, id."""
    scores = _scores(n)
    values = [
        _value(score, side, of)
        for score in scores
        for side in ("test", "valid")
        for of in ("bag", "mean", "std")
    ]
    query = _scored(scores, values)
    query = _shaped(query, shape) if shape.with_ids else query.add_columns(Submission.id)
    test_key = _test_key(scores[0], kind, is_lower_the_better)
    return _part(_ordered(query, shape, test_key, scores[0].submission_id))


@cache
def competition(
    n: int, kind: str, is_lower_the_better: bool, with_private: bool, shape: Shape = PLAIN
) -> Select[Any]:
    """The best submission of each team.

    Public rank, team, submission, n validation scores, time; or private rank, public rank, move,
    team, submission, n test scores, n validation scores, time.
    """
    scores = _scores(n)
    key = _key(scores[0], kind)
    place = func.row_number().over(partition_by=Submission.team_id, order_by=(key, Submission.id))
    best = (
        _until(_scored(scores, [_value(score, "valid", kind) for score in scores]), shape)
        .add_columns(
            *[_value(score, "test", kind).label(f"test_{i}") for i, score in enumerate(scores)],
            Submission.id.label("id"),
            Submission.team_id.label("team_id"),
            key.label("public_key"),
            _test_key(scores[0], kind, is_lower_the_better).label("private_key"),
            place.label("place"),
        )
        .subquery()
    )
    public_rank = func.row_number().over(order_by=(best.c.public_key, best.c.id))
    private_rank = func.row_number().over(order_by=(best.c.private_key, best.c.id))
    ranks = public_rank.label("public_rank"), private_rank.label("private_rank")
    of = select(best, *ranks).where(best.c.place == 1).subquery().c
    valid, test = ([of[f"{side}_{i}"] for i in range(n)] for side in ("score", "test"))
    ids = (of.id, of.team_id) if shape.with_ids else ()
    if not with_private:
        query = select(of.public_rank, of.team, of.submission, *valid, of.submitted_at, *ids)
        return _part(query.order_by(of.public_rank))
    three = of.private_rank, of.public_rank, of.public_rank - of.private_rank
    query = select(*three, of.team, of.submission, *test, *valid, of.submitted_at, *ids)
    return _part(query.order_by(of.private_rank))


def rank_again(session: Session, score_type: ScoreType) -> None:
    """Compute the keys by a score type anew, as when its direction has changed."""
    is_lower = score_type.is_lower_the_better
    of_events = select(EventScoreType.id).where(EventScoreType.score_type_id == score_type.id)
    session.execute(
        update(SubmissionScore)
        .where(SubmissionScore.event_score_type_id.in_(of_events))
        .values(
            bag_key=_key_of(SubmissionScore.valid_bag, is_lower),
            mean_key=_key_of(SubmissionScore.valid_mean, is_lower),
        )
        .execution_options(synchronize_session=False)
    )


def _scores(n: int) -> list[Score]:
    return [aliased(SubmissionScore) for _ in range(n)]


def _scored(scores: list[Score], values: list[Any]) -> Select[Any]:
    """Team, submission, values and costs of what is scored; one join per score type."""
    official, *others = scores
    query = (
        select(
            Team.name.label("team"),
            Submission.name.label("submission"),
            *[value.label(f"score_{i}") for i, value in enumerate(values)],
            *[getattr(Submission, cost) for cost in COSTS],
        )
        .select_from(official)
        .join(Submission, Submission.id == official.submission_id)
        .join(Team, Team.id == Submission.team_id)
        .where(official.event_score_type_id == bindparam("score_type_0"))
        .where(Submission.state == SCORED)
    )
    for i, score in enumerate(others, start=1):
        is_same = score.submission_id == official.submission_id
        query = query.join(
            score, is_same & (score.event_score_type_id == bindparam(f"score_type_{i}"))
        )
    return query


def _shaped(query: Select[Any], shape: Shape) -> Select[Any]:
    query = _until(query, shape)
    if shape.with_ids:
        query = query.add_columns(Submission.id.label("id"), Submission.team_id.label("team_id"))
    return query


def _until(query: Select[Any], shape: Shape) -> Select[Any]:
    if not shape.has_end:
        return query
    return query.where(Submission.submitted_at <= bindparam("until", type_=UtcDateTime()))


def _ordered(query: Select[Any], shape: Shape, *by_default: Any) -> Select[Any]:
    if shape.sort is None:
        return query.order_by(*by_default)
    column = list(query.selected_columns)[shape.sort]
    order = column.desc() if shape.is_descending else column.asc()
    return query.order_by(column.is_(None), order, *by_default)


def _part(query: Select[Any]) -> Select[Any]:
    return query.limit(bindparam("most", type_=Integer)).offset(bindparam("first", type_=Integer))


def _value(score: Score, side: str, kind: str) -> Any:
    return getattr(score, f"{side}_{kind}")


def _key(score: Score, kind: str) -> Any:
    return score.bag_key if kind == "bag" else score.mean_key


def _test_key(score: Score, kind: str, is_lower_the_better: bool) -> Any:
    return _key_of(_value(score, "test", kind), is_lower_the_better)


def _key_of(value: Any, is_lower_the_better: bool) -> Any:
    infinite = literal(float("inf"), Double)
    return case((value.is_(None), infinite), else_=value if is_lower_the_better else -value)
