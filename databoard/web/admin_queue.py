"""Admins: what is trained, by whom, and what people did."""

from __future__ import annotations

import io
from dataclasses import replace

from flask import Response, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager

from databoard import interactions
from databoard.export import write_csv
from databoard.model.event import Event
from databoard.model.states import LEASED, NEW
from databoard.model.submission import Submission
from databoard.names import check_name
from databoard.web.admin import blueprint, check_site_admin, find_own_event, of_own_events
from databoard.web.session import logged_in, reading

SHOWN, PER_PAGE, CHUNK = 200, 200, 1000


@blueprint.get("/queue")
@logged_in
def queue() -> str:
    """What is trained and what waits, in the order of the queue."""
    query = (
        select(Submission)
        .join(Submission.team)
        .join(Event, Event.id == Submission.event_id)
        .options(contains_eager(Submission.team))
        .where(of_own_events())
        .order_by(Submission.id)
    )
    running = reading().scalars(query.where(Submission.state.in_(LEASED))).all()
    waits = Submission.state == NEW
    waiting = reading().scalars(query.where(waits).limit(SHOWN)).all()
    count = reading().scalar(select(func.count()).where(waits, of_own_events()))
    workers = sorted({each.worker for each in running if each.worker})
    return render_template(
        "admin_queue.html", running=running, waiting=waiting, count=count or 0, workers=workers
    )


@blueprint.get("/interactions")
@logged_in
def acts_of_people() -> str:
    """What people did, the newest first; of one event for those who administer it."""
    event = _event()
    page = min(max(1, request.args.get("page", 1, type=int)), 10**6)
    first = (page - 1) * PER_PAGE
    board = interactions.listed(reading(), event, PER_PAGE + 1, first)
    return render_template(
        "admin_interactions.html",
        event=event,
        board=replace(board, rows=board.rows[:PER_PAGE]),
        page=page,
        has_more=len(board.rows) > PER_PAGE,
    )


@blueprint.get("/interactions.csv")
@logged_in
def acts_as_csv() -> Response:
    """All of them; no cell is a formula to a spreadsheet."""
    event, text, first = _event(), io.StringIO(), 0
    while True:
        board = interactions.listed(reading(), event, CHUNK, first)
        write_csv(board, text, with_header=not first)
        first += CHUNK
        if len(board.rows) < CHUNK:
            break
    response = Response(text.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="interactions.csv")
    return response


def _event() -> Event | None:
    """The event that is asked for; all are for admins of the site. Raises NotFound."""
    name = request.args.get("event", "")
    if not name:
        check_site_admin()
        return None
    return find_own_event(check_name("event", name))
