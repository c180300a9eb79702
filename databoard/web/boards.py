"""The list of events, and their leaderboards."""

from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request

from databoard import events, leaderboard
from databoard.errors import NotFound
from databoard.leaderboard import Column
from databoard.names import check_name
from databoard.web.session import reading

PER_PAGE = 100
blueprint = Blueprint("boards", __name__)


@blueprint.get("/")
def index() -> str:
    """The public events."""
    public = [(event, count) for event, count in events.list_events(reading()) if event.is_public]
    return render_template("index.html", events=public)


@blueprint.get("/events/<name>")
def public(name: str) -> str:
    """The public leaderboard of a public event, a page of it."""
    session = reading()
    event = leaderboard.load_event(session, check_name("event", name))
    if not event.is_public:
        raise NotFound(f"There is no event {name}.")
    page = max(1, request.args.get("page", 1, type=int))
    first = (min(page, 10**6) - 1) * PER_PAGE
    board = leaderboard.public(session, event, limit=PER_PAGE + 1, offset=first)
    if first and not board.rows:
        raise NotFound(f"The leaderboard of {name} has no page {page}.")
    return render_template(
        "board.html",
        event=event,
        board=board,
        rows=board.rows[:PER_PAGE],
        shown=board.shown(),
        per_page=PER_PAGE,
        first=first,
        page=page,
        has_more=len(board.rows) > PER_PAGE,
    )


@blueprint.app_template_filter()
def cell(value: Any, column: Column) -> str:
    """A value as the table shows it."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value) if column.precision is None else f"{value:.{column.precision}f}"
