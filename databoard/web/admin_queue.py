"""Admins: what is trained, by whom, and what people did."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

from flask import Response, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from databoard import database, interactions
from databoard.export import write_csv
from databoard.model.event import Event
from databoard.model.states import LEASED
from databoard.model.submission import Submission
from databoard.names import check_name
from databoard.waiting import WAITS, in_order
from databoard.web.admin import (
    blueprint,
    check_site_admin,
    find_own_event,
    of_own_events,
    own_events,
    typed_text,
)
from databoard.web.session import engine, logged_in, reading

SHOWN, PER_PAGE = 200, 200


@blueprint.get("/queue")
@logged_in
def queue() -> str:
    """What is trained and what waits, in the order of the queue."""
    with_names = joinedload(Submission.team), joinedload(Submission.event)
    leased = (
        select(Submission)
        .join(Event, Event.id == Submission.event_id)
        .where(of_own_events(), Submission.state.in_(LEASED))
        .order_by(Submission.id)
    )
    running = reading().scalars(leased.options(*with_names)).all()
    first = in_order(of_own_events()).limit(SHOWN)
    waiting = reading().scalars(first.options(*with_names)).all()
    count = reading().scalar(select(func.count()).where(WAITS, of_own_events()))
    workers = sorted({each.worker for each in running if each.worker})
    return render_template(
        "admin_queue.html", running=running, waiting=waiting, count=count or 0, workers=workers
    )


@blueprint.get("/interactions")
@logged_in
def acts_of_people() -> str:
    """What people did, the newest first; of one event for those who administer it."""
    event, user, kind = _filters()
    page = min(max(1, request.args.get("page", 1, type=int)), 10**6)
    first = (page - 1) * PER_PAGE
    board = interactions.listed(reading(), event, PER_PAGE + 1, first, user, kind)
    name = event.name if event else None
    return render_template(
        "admin_interactions.html",
        event=event,
        events=own_events(),
        kinds=interactions.kinds(reading(), event),
        filters={"event": name, "user": user or None, "kind": kind or None},
        board=replace(board, rows=board.rows[:PER_PAGE]),
        page=page,
        has_more=len(board.rows) > PER_PAGE,
    )


@blueprint.get("/interactions.csv")
@logged_in
def acts_as_csv() -> Response:
    """All that the filters let through, sent while it is read; no cell is a formula to a
    spreadsheet.
    """
    event, user, kind = _filters()

    def written() -> Iterator[str]:
        with database.reading(here) as session:
            is_first = True
            for board in interactions.streamed(session, event, user, kind):
                text = io.StringIO()
                write_csv(board, text, with_header=is_first)
                yield text.getvalue()
                is_first = False
            if is_first:  # there is none
                yield ",".join(column.name for column in interactions.COLUMNS) + "\n"

    here = engine()
    response = Response(written(), content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="interactions.csv")
    return response


def _filters() -> tuple[Event | None, str, str]:
    """The event, the user and the kind that are asked for; those of all events are for admins of
    the site. Raises NotFound.
    """
    user, kind = typed_text("user"), typed_text("kind")
    name = request.args.get("event", "")
    if not name:
        check_site_admin()
        return None, user, kind
    return find_own_event(check_name("event", name)), user, kind
