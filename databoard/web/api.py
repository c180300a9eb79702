"""The JSON API: what programs read, and submit, with a user's token."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Blueprint, g, jsonify, request
from flask import Response as FlaskResponse
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from databoard import accounts, events, export, sandboxes
from databoard.access import Viewer, is_code_open
from databoard.errors import AlreadyThere, DataboardError, InvalidValue, NotFound
from databoard.interactions import TooMany, check_rate
from databoard.interactions import note as note_act
from databoard.leaderboard import BOARDS
from databoard.model.audit import Interaction
from databoard.model.event import Event
from databoard.model.people import Team, User
from databoard.model.submission import Submission
from databoard.quota import NotNow
from databoard.submitted import SubmittedFile
from databoard.web import acts, code, outbox
from databoard.web.boards import seen
from databoard.web.event import find_event
from databoard.web.session import note, reading, settings, viewer, writing
from databoard.web.submission import find, name_of, name_of_team, record
from databoard.web.words import explained

PREFIX = "/api/v1"
WRONG = "used a wrong token"
MOST_WRONG = 50
PER_PAGE = 1000
TOUCHED = timedelta(minutes=1)  # how exactly the last use of a token is noted
blueprint = Blueprint("api", __name__, url_prefix=PREFIX)


class Unknown(DataboardError):
    """A token that is nobody's."""


@blueprint.before_request
def authenticate() -> None:
    """Who asks: the user of the token; nobody without one, whatever cookies say."""
    g.viewer = Viewer(reading(), None)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return
    known = accounts.find_token(reading(), token) if scheme.lower() == "bearer" else None
    if known is None:
        address = request.remote_addr or ""
        with writing() as session:
            check_rate(session, WRONG, Interaction.address == address, MOST_WRONG)
            note_act(session, WRONG, address=address)
        raise Unknown("This token is nobody's.", "Make one on your profile page.")
    g.viewer = Viewer(reading(), reading().get_one(User, known.user_id))
    if known.last_used_at is None or known.last_used_at < g.viewer.now - TOUCHED:
        with writing() as session:
            accounts.touch_token(session, known)


def with_token(view: Callable[..., Any]) -> Callable[..., Any]:
    """For those with a token alone."""

    @wraps(view)
    def asked(*args: Any, **kwargs: Any) -> Any:
        if viewer().user is None:
            raise Unknown("This needs a token.", "Send it as: Authorization: Bearer TOKEN")
        return view(*args, **kwargs)

    return asked


@blueprint.errorhandler(DataboardError)
def refused(error: DataboardError) -> tuple[Response, int]:
    """What was wrong, as JSON."""
    codes = {NotFound: 404, Unknown: 401, AlreadyThere: 409, NotNow: 429, TooMany: 429}
    message, hint = explained(error)
    response = jsonify(error=message, hint=hint)
    status = codes.get(type(error), 400)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response, status


@blueprint.get("/events")
def every_event() -> Response:
    """The events that the user sees."""
    seen = [event for event, _ in events.list_events(reading()) if viewer().sees(event)]
    return jsonify([_event(event) for event in seen])


@blueprint.get("/events/<name>")
def one_event(name: str) -> Response:
    """An event: its dates, its rules, and the user's team in it."""
    return jsonify(_event(find_event(name)))


@blueprint.get("/events/<name>/leaderboards/<kind>")
def board(name: str, kind: str) -> Response:
    """A page of a leaderboard, as JSON or, with `format=csv`, as CSV."""
    if kind not in BOARDS:
        raise NotFound("There is no such leaderboard.")
    page = min(max(1, request.args.get("page", 1, type=int)), 10**6)
    shown = seen(find_event(name), kind, PER_PAGE, (page - 1) * PER_PAGE)
    text = io.StringIO()
    if request.args.get("format") == "csv":
        export.write_csv(shown, text)
        return FlaskResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    export.write_json(shown, text)
    return FlaskResponse(text.getvalue(), content_type="application/json")


@blueprint.get("/events/<name>/submissions")
@with_token
def mine(name: str) -> Response:
    """The submissions of the user's team, the newest first."""
    event = find_event(name)
    query = (
        select(Submission)
        .where(Submission.event_id == event.id, Submission.team_id == _team(event).id)
        .where(Submission.state != "deleted")
        .options(joinedload(Submission.team), joinedload(Submission.event))
        .order_by(Submission.id.desc())
    )
    return jsonify([_submission(each) for each in reading().scalars(query)])


@blueprint.post("/events/<name>/submissions")
@with_token
def submit(name: str) -> tuple[Response, int]:
    """Submit files, each as a field of a form, under the name in the field `name`."""
    event, user = find_event(name), viewer().user
    assert user is not None
    team, is_admin = _team(event), viewer().is_admin_of(event)
    files = [
        SubmittedFile(each.filename or "", each.read(sandboxes.MAX_SIZE + 1))
        for _, each in request.files.items(multi=True)
    ]
    for file in files:
        if len(file.content) > sandboxes.MAX_SIZE:
            raise InvalidValue(f"A file is larger than {sandboxes.MAX_SIZE // 1024**2} MB.")
    with writing() as session:
        here, own = session.get_one(Event, event.id), session.get_one(Team, team.id)
        wanted = request.form.get("name", "")
        made = sandboxes.submit_files(
            session, settings(), here, own, wanted, files, is_admin=is_admin
        )
        subject = f"{own.name}/{made.name}"
        note(session, "submitted", session.get_one(User, user.id), here, subject)
        outbox.mail_submitted(session, made)
        id_ = made.id
    reading().rollback()  # what it saw is from before
    return jsonify(_submission(find(id_))), 201


@blueprint.get("/submissions/<int:id>")
def one_submission(id: int) -> Response:
    """A submission: its state, and for who sees its code the names of its files, its run record."""
    return jsonify(_submission(find(id), with_files=True))


@blueprint.get("/submissions/<int:id>/files/<name>")
def file(id: int, name: str) -> Response:
    """The content of a file."""
    submission = find(id)
    if viewer().sees_code(submission):
        for each in code.files(settings(), submission):
            if each.name == name:
                return FlaskResponse(each.content, content_type="application/octet-stream")
    raise NotFound("There is no such file.")


@blueprint.post("/submissions/<int:id>/<any(withdraw, cancel):action>")
@with_token
def act(id: int, action: str) -> Response:
    """Withdraw a submission, or cancel its training."""
    submission, user = find(id), viewer().user
    assert user is not None
    if action not in acts.possible(viewer(), submission):
        raise InvalidValue("This cannot be done now.")
    with writing() as session:
        found = session.get_one(Submission, id, with_for_update=True)
        subject = f"{found.team.name}/{found.name}"
        me = session.get_one(User, user.id)
        note(session, acts.NOTES[action], me, found.event, subject)
        acts.carry_out(session, settings(), found, action)
        state = found.state
    return jsonify(id=id, state=state)


def _team(event: Event) -> Team:
    """The user's team. Raises NotFound."""
    team = viewer().team_in(event)
    if team is None:
        raise NotFound(f"You take no part in {event.name}.")
    return team


def _event(event: Event) -> dict[str, Any]:
    team = viewer().team_in(event)
    times = {
        name: _time(getattr(event, name))
        for name in ("opening_at", "public_opening_at", "closing_at", "frozen_at")
    }
    return {
        "name": event.name,
        "title": event.title,
        "problem": event.problem.name,
        "files": event.problem.workflow.element_names,
        "official_score": event.score_types[0].score_type.name,
        "min_seconds": event.min_seconds,
        "daily_quota": event.daily_quota,
        "is_code_open": is_code_open(event, viewer().now),
        "team": team.name if team else None,
        **times,
    }


def _submission(submission: Submission, with_files: bool = False) -> dict[str, Any]:
    is_own = viewer().owns(submission) or viewer().is_admin_of(submission.event)
    told: dict[str, Any] = {
        "id": submission.id,
        "event": submission.event.name,
        "team": name_of_team(submission),
        "name": name_of(submission),
        "state": submission.state,
        "submitted_at": _time(submission.submitted_at),
        "train_time": submission.train_time,
        "max_memory": submission.max_memory,
        "contributivity": submission.contributivity,
        "error": submission.error_message if is_own else None,
    }
    if with_files and viewer().sees_code(submission):
        told["files"] = [each.name for each in code.files(settings(), submission)]
        told["record"] = record(submission)
    return told


def _time(time: Any) -> str | None:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time else None
