"""Figures for Prometheus, told to this machine alone unless DATABOARD_METRICS says otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Blueprint, Response, request
from sqlalchemy import func, select

from databoard import __version__, config
from databoard.errors import NotFound
from databoard.model.event import Event
from databoard.model.states import LEASED, NEW
from databoard.model.submission import Submission
from databoard.web.session import reading, viewer

LOCAL = ("127.0.0.1", "::1")
blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def show() -> Response:
    """In the text format, version 0.0.4."""
    if request.remote_addr not in LOCAL and os.environ.get("DATABOARD_METRICS") != "public":
        raise NotFound("There is no such page.")
    text = "".join(f"{line}\n" for line in _lines())
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _lines() -> Iterator[str]:
    session = reading()
    about = f'version="{__version__}",release="{config.release()}"'
    yield from _metric("databoard_info", "What serves.", [(about, 1)])
    counts = session.execute(
        select(Event.name, Submission.state, func.count())
        .join(Event, Event.id == Submission.event_id)
        .group_by(Event.name, Submission.state)
        .order_by(Event.name, Submission.state)
    )
    rows = [(f'event="{name}",state="{state}"', count) for name, state, count in counts]
    yield from _metric("databoard_submissions", "Submissions by event and state.", rows)
    oldest = session.scalar(
        select(func.min(Submission.submitted_at)).where(Submission.state == NEW)
    )
    seconds = max(0.0, (viewer().now - oldest).total_seconds()) if oldest else 0.0
    what = "For how long the first of the queue has waited."
    yield from _metric("databoard_queue_oldest_seconds", what, [("", seconds)])
    working = select(func.count(Submission.worker.distinct())).where(Submission.state.in_(LEASED))
    yield from _metric("databoard_workers", "Workers that train.", [("", session.scalar(working))])


def _metric(name: str, what: str, rows: list[tuple[str, float | None]]) -> Iterator[str]:
    yield f"# HELP {name} {what}"
    yield f"# TYPE {name} gauge"
    for labels, value in rows:
        yield f"{name}{{{labels}}} {value or 0:g}" if labels else f"{name} {value or 0:g}"
