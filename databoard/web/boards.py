"""Leaderboards: rendered once for each version of the board, and true to the last score."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from secrets import token_hex
from threading import Lock
from typing import Any

from flask import Blueprint, current_app, make_response, render_template, request, session, url_for
from sqlalchemy import Select, bindparam, select
from werkzeug.wrappers import Response

from databoard import leaderboard
from databoard.access import Seen
from databoard.errors import NotFound
from databoard.export import write_csv
from databoard.leaderboard import Board, Column, Part
from databoard.model.event import Event
from databoard.model.site import BoardVersion
from databoard.names import check_name
from databoard.web.event import find_event
from databoard.web.session import reading, viewer

PER_PAGE = 100
KEPT = 500  # rendered boards of a process
RELEASE = "databoard.release"  # what is served, in the extensions of the application
N_IDS = 2  # the last columns of a board
blueprint = Blueprint("boards", __name__)


@dataclass(frozen=True)
class View:
    """Which board, which part of it, in which order, and what of it the viewer may see."""

    event: int
    kind: str
    page: int = 1
    sort: str = ""
    is_reversed: bool = False
    is_frozen: bool = False
    only_team: int | None = None  # in an anonymous event: whose names are shown
    has_private: bool = False  # whether the way to the boards on the test set is shown
    is_whole: bool = False  # the page, not the table alone


class BoardCache:
    """Rendered boards, each with the version of the event's boards that it shows."""

    def __init__(self) -> None:
        self._boards: OrderedDict[View, tuple[str, str]] = OrderedDict()
        self._lock = Lock()

    def get(self, view: View, version: str, render: Callable[[], str]) -> str:
        """The board of a version that was read before `render` reads: it is never older."""
        with self._lock:
            known = self._boards.get(view)
            if known is not None and known[0] == version:
                self._boards.move_to_end(view)
                return known[1]
        made = render()
        with self._lock:
            self._boards[view] = version, made
            self._boards.move_to_end(view)
            if len(self._boards) > KEPT:
                self._boards.popitem(last=False)
        return made


@blueprint.get("/events/<name>/leaderboard", defaults={"kind": "public"})
@blueprint.get("/events/<name>/leaderboard/<any(private, competition, final):kind>")
def show(name: str, kind: str) -> Response:
    """A board: public, private; the best of each team, or that with its move on the test set."""
    event = _seen(name)
    view = _view(event, kind)
    if kind in ("private", "final") and not view.has_private:
        raise NotFound("It is not its time yet.")
    version = event.version or token_hex(16)
    page, etag = make_response(""), _etag(view, version)
    page.set_etag(etag)
    # Who polls for changes sends this back, and gets no page while it is the same.
    if "_flashes" not in session and request.if_none_match.contains_weak(etag):
        page.status_code = 304
        return page
    boards: BoardCache = current_app.extensions["databoard.boards"]

    def rendered() -> str:
        table = boards.get(view, version, lambda: _table(event.name, view))
        team = viewer().team_in(event)
        return render_template("board.html", event=event, view=view, table=table, team=team)

    # Who is nobody in particular has no form on the page, and no name: it is all the same.
    is_nobody = viewer().user is None and not session
    whole = replace(view, is_whole=True)
    page.set_data(boards.get(whole, version, rendered) if is_nobody else rendered())
    return page


@blueprint.get("/events/<name>/leaderboard.csv", defaults={"kind": "public"})
@blueprint.get("/events/<name>/leaderboard/<any(private, competition, final):kind>.csv")
def as_csv(name: str, kind: str) -> Response:
    """A whole board, for a spreadsheet."""
    text = io.StringIO()
    write_csv(seen(find_event(name), kind), text)
    response = make_response(text.getvalue())
    response.content_type = "text/csv; charset=utf-8"
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}-{kind}.csv")
    return response


def seen(event: Event, kind: str, limit: int | None = None, offset: int = 0) -> Board:
    """A board, or a part of it, as the viewer may see it. Raises NotFound: not yet."""
    if kind in ("private", "final") and not viewer().sees_private_boards(event):
        raise NotFound("It is not its time yet.")
    until = event.frozen_at if viewer().sees_frozen(event) else None
    board = hide_names(
        leaderboard.part(reading(), event, kind, Part(limit, offset, until=until)), event
    )
    # The id of a team would tell who is who in an anonymous event.
    return Board(board.title, board.columns[:-1], [tuple(row)[:-1] for row in board.rows])


def _seen(name: str) -> Any:
    """What decides about the page, in one query. Raises NotFound."""
    # by the connection: the session would look for entities
    wanted = {"named": check_name("event", name)}
    event = reading().connection().execute(_deciding(), wanted).first()
    if event is None or not viewer().sees(event):
        raise NotFound(f"There is no event {name}.")
    return event


@cache
def _deciding() -> Select[Any]:
    return (
        select(
            *(Event.id, Event.name, Event.title, Event.is_public, Event.is_competitive),
            *(Event.is_anonymous, Event.opening_at, Event.public_opening_at),
            *(Event.closing_at, Event.frozen_at, BoardVersion.version),
        )
        .outerjoin(BoardVersion, BoardVersion.event_id == Event.id)
        .where(Event.name == bindparam("named"))
    )


def _etag(view: View, version: str) -> str:
    """Of all that the page depends on: its forms, too, have a word of the viewer's session."""
    what = (
        view,
        version,
        viewer().name,
        session.get("csrf_token"),
        current_app.extensions[RELEASE],
    )
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


def hide_names(board: Board, event: Event) -> Board:
    """The board as the viewer may see it: in an anonymous event without the names of others."""
    if viewer().sees_names(event):
        return board
    team = viewer().team_in(event)
    key = str(current_app.secret_key)
    return leaderboard.anonymous(board, event, team.id if team else 0, key)


def _view(event: Seen, kind: str) -> View:
    page = min(max(1, request.args.get("page", 1, type=int)), 10**6)
    team = viewer().team_in(event)
    return View(
        event.id,
        kind,
        page,
        request.args.get("sort", "")[:100],
        request.args.get("order") == "reversed",
        viewer().sees_frozen(event),
        None if viewer().sees_names(event) else (team.id if team else 0),
        viewer().sees_private_boards(event),
    )


def _table(name: str, view: View) -> str:
    """The table of a board, a page of it. Raises NotFound: there is no such page or column."""
    event = leaderboard.load_event(reading(), name)
    first = (view.page - 1) * PER_PAGE
    until = event.frozen_at if view.is_frozen else None
    wanted = Part(PER_PAGE + 1, first, view.sort, view.is_reversed, until)
    board = leaderboard.part(reading(), event, view.kind, wanted)
    if first and not board.rows:
        raise NotFound(f"The leaderboard of {event.name} has no page {view.page}.")
    board = hide_names(board, event)
    return render_template(
        "table.html",
        event=event,
        view=view,
        board=board,
        rows=board.rows[:PER_PAGE],
        shown=[index for index in board.shown() if index < len(board.columns) - N_IDS],
        first=first,
        per_page=PER_PAGE,
        has_more=len(board.rows) > PER_PAGE,
        link=lambda **change: _link(event, view, **change),
    )


def _link(event: Event, view: View, **change: Any) -> str:
    """The address of another part of the board."""
    parts: dict[str, Any] = {"page": view.page, "sort": view.sort, "order": ""} | change
    if view.is_reversed and "order" not in change:
        parts["order"] = "reversed"
    parts["kind"] = "" if view.kind == "public" else view.kind
    kept = {name: value for name, value in parts.items() if value not in ("", 1)}
    return url_for("boards.show", name=event.name, **kept)


@blueprint.app_template_filter()
def cell(value: Any, column: Column) -> str:
    """A value as the table shows it."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value) if column.precision is None else f"{value:.{column.precision}f}"
