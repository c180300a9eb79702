"""Plots of an event and of a submission: their data as JSON, and as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, jsonify, render_template
from sqlalchemy import select
from werkzeug.wrappers import Response

from databoard import leaderboard
from databoard.leaderboard import Part
from databoard.model.event import Event
from databoard.model.submission import FoldScore
from databoard.web.boards import hide_names
from databoard.web.event import find_event
from databoard.web.session import reading, viewer
from databoard.web.submission import find

MOST = 5_000  # points of a plot: the newest submissions
N_BINS = 12
blueprint = Blueprint("plots", __name__)


@dataclass(frozen=True)
class Point:
    """A scored submission: `best` is the best official score up to it."""

    at: str
    team: str
    submission: str
    score: float
    best: float
    contributivity: float | None


@blueprint.get("/events/<name>/plots")
def show(name: str) -> str:
    """The plots, each with a table of what it shows."""
    event = find_event(name)
    points = _points(event)
    return render_template(
        "plots.html",
        event=event,
        team=viewer().team_in(event),
        points=points,
        steps=[each for each in points if each.score == each.best],
        bins=_bins(points),
        shares=sorted(
            (each for each in points if each.contributivity), key=lambda each: -_share(each)
        )[:20],
        official=event.score_types[0],
        most=MOST,
    )


@blueprint.get("/events/<name>/plots.json")
def data(name: str) -> Response:
    """What the plots are drawn from."""
    event = find_event(name)
    official = event.score_types[0]
    return jsonify(
        score=official.score_type.name,
        is_lower_the_better=official.score_type.is_lower_the_better,
        points=[vars(each) for each in _points(event)],
    )


@blueprint.get("/submissions/<int:id>/folds.json")
def folds(id: int) -> Response:
    """The official score of a submission on each fold."""
    submission = find(id)
    official = submission.event.score_types[0]
    query = (
        select(FoldScore.fold, FoldScore.valid)
        .where(FoldScore.submission_id == id, FoldScore.event_score_type_id == official.id)
        .order_by(FoldScore.fold)
    )
    rows = [{"fold": fold + 1, "score": score} for fold, score in reading().execute(query)]
    return jsonify(score=official.score_type.name, points=rows)


def _points(event: Event) -> list[Point]:
    """The newest scored submissions that the viewer may see, in the order of time."""
    until = event.frozen_at if viewer().sees_frozen(event) else None
    wanted = Part(MOST, sort="submitted_at", is_reversed=True, until=until)
    board = hide_names(leaderboard.part(reading(), event, "public", wanted), event)
    names = [column.name for column in board.columns]
    at, team, name = (names.index(each) for each in ("submitted_at", "team", "submission"))
    share, score = names.index("contributivity"), 2  # the official one is the first
    is_lower = event.score_types[0].score_type.is_lower_the_better
    points: list[Point] = []
    for row in reversed(board.rows):
        if row[score] is None:
            continue
        best = points[-1].best if points else row[score]
        best = (min if is_lower else max)(best, row[score])
        time = f"{row[at]:%Y-%m-%dT%H:%M:%SZ}"
        points.append(Point(time, row[team], row[name], row[score], best, row[share]))
    return points


def _bins(points: list[Point]) -> list[tuple[float, float, int]]:
    """The distribution of scores: from, to, and how many."""
    if not points:
        return []
    low, high = min(each.score for each in points), max(each.score for each in points)
    width = (high - low) / N_BINS or 1.0
    counts = [0] * N_BINS
    for each in points:
        counts[min(N_BINS - 1, int((each.score - low) / width))] += 1
    return [(low + i * width, low + (i + 1) * width, count) for i, count in enumerate(counts)]


def _share(point: Any) -> float:
    return float(point.contributivity or 0.0)
