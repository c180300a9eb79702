"""Admins: which teams take part in events."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from databoard import joining
from databoard.errors import NotFound
from databoard.lookup import find
from databoard.model.event import Event
from databoard.model.people import Team
from databoard.names import printable
from databoard.web import bulk, outbox
from databoard.web.admin import blueprint, own_events
from databoard.web.session import logged_in, myself, note, reading


@blueprint.get("/sign-ups")
@logged_in
def sign_ups() -> str:
    """The teams that ask to join the events that the viewer administers."""
    ids = {event.id for event in own_events()}
    requests = [each for each in joining.requests(reading()) if each.event_id in ids]
    return render_template("admin_sign_ups.html", requests=requests)


@blueprint.post("/sign-ups")
@logged_in
def answer_sign_ups() -> Response:
    """Say yes or no to those that are ticked: each is `event/team`."""
    own = {event.name for event in own_events()}
    is_yes = request.form.get("action") == "approve"
    said = "signed up" if is_yes else "not signed up"

    def answer(session: Session, which: str) -> None:
        event_name, _, team_name = which.partition("/")
        if event_name not in own:
            raise NotFound(f"There is no event {printable(event_name)}.")
        event, team = find(session, Event, event_name), find(session, Team, team_name)
        joining.answer(session, event, team, is_yes)
        note(session, said, myself(session), event, team.name)
        if is_yes:
            outbox.mail_joined(session, event, team)

    bulk.carry_out("team", said, request.form.getlist("request"), answer)
    return redirect(url_for("admin.sign_ups"))
