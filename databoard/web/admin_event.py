"""Admins: the settings of an event, its teams, its admins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from databoard import contributivity, event_settings, people, removal, teams
from databoard.errors import DataboardError
from databoard.event_settings import SETTINGS
from databoard.lookup import find, present
from databoard.model.event import Event, EventTeam, SignUpRequest
from databoard.model.people import Team
from databoard.removal import Removal
from databoard.web import outbox
from databoard.web.admin import blueprint, find_own_event
from databoard.web.session import logged_in, myself, note, reading, settings, viewer, writing
from databoard.web.words import explained

Page = str | Response | tuple[str, int]


@blueprint.get("/events/<name>")
@logged_in
def event(name: str) -> Page:
    """Its settings and its teams."""
    return _page(find_own_event(name))


@blueprint.post("/events/<name>")
@logged_in
def change_event(name: str) -> Page:
    """Change settings, sign up a team, or make somebody an admin."""
    event, action = find_own_event(name), request.form.get("action", "settings")
    typed = {each: request.form[each] for each in SETTINGS if each in request.form}
    going = None
    try:
        with writing() as session:
            here = find(session, Event, name)
            if action == "look":  # what would go with a team; nothing is changed
                team = request.form.get("team", "")
                going = team, removal.of_event_team(session, settings(), name, team)
            elif action in ACTS:
                said = ACTS[action](session, here, request.form)
            else:
                raise DataboardError("Choose what to do first.")
    except DataboardError as error:
        reading().rollback()  # what it saw is from before
        return _page(find_own_event(name), typed, " ".join(explained(error)).strip()), 400
    if going:
        return _page(event, going=going)
    flash(said)
    return redirect(url_for("admin.event", name=name))


def _change_settings(session: Session, event: Event, form: MultiDict[str, str]) -> str:
    before = event_settings.settings_of(event)
    # What is as the form had it stays: a time has seconds that the form does not show.
    shown = {each: _typed(value) for each, value in before.items()}
    typed = {each: form[each] for each in SETTINGS if form.get(each, shown[each]) != shown[each]}
    after = event_settings.settings_of(
        event_settings.update_event(session, event.name, **_read(typed))
    )
    changed = [each for each in after if after[each] != before[each]]
    if not changed:
        return "Nothing has changed."
    note(session, "changed settings", myself(session), event, ", ".join(changed))
    return f"Changed: {', '.join(changed).replace('_', ' ')}."


def _sign_up(session: Session, event: Event, form: MultiDict[str, str]) -> str:
    name = form.get("team", "").strip()
    team = present(session, Team, name)
    has_asked = team is not None and session.get(SignUpRequest, (event.id, team.id)) is not None
    made = people.sign_up_team(session, event.name, name)
    note(session, "signed up", myself(session), event, name)
    if has_asked:
        outbox.mail_joined(session, event, made.team)
    return f"The team {name} takes part now."


def _take_out(session: Session, event: Event, form: MultiDict[str, str]) -> str:
    name = form.get("team", "")
    going = removal.of_event_team(session, settings(), event.name, name)
    note(session, "took out", myself(session), event, name)
    removal.carry_out(session, going)
    event = find(session, Event, event.name)
    return f"The team {name} is out of this event. {contributivity.aside(event)}".strip()


def _make_admin(session: Session, event: Event, form: MultiDict[str, str]) -> str:
    name = form.get("user", "").strip()
    teams.make_event_admin(session, event.name, name)
    note(session, "made an admin", myself(session), event, name)
    return f"{name} is an admin of this event now."


ACTS: dict[str, Callable[[Session, Event, MultiDict[str, str]], str]] = {
    "settings": _change_settings,
    "sign up": _sign_up,
    "take out": _take_out,
    "make an admin": _make_admin,
}


def _page(
    event: Event,
    typed: dict[str, str] | None = None,
    error: str = "",
    going: tuple[str, Removal] | None = None,
) -> str:
    shown = event_settings.settings_of(event)
    teams_ = reading().scalars(
        select(Team).join(EventTeam).where(EventTeam.event_id == event.id).order_by(Team.name)
    )
    values = {name: _typed(value) for name, value in shown.items()} | (typed or {})
    wrong = _wrong(typed or {})
    fields = [(each, values[each.name], wrong.get(each.name)) for each in SETTINGS.values()]
    return render_template(
        "admin_event.html",
        event=event,
        team=viewer().team_in(event),
        fields=fields,
        teams=teams_.all(),
        error=error,
        going=going,
        scores=[score.score_type.name for score in event.score_types],
    )


def _typed(value: Any) -> str:
    """A setting as the form has it: nothing is none, times are in UTC."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%dT%H:%M}" if isinstance(value, datetime) else str(value)


def _wrong(typed: dict[str, str]) -> dict[str, str]:
    """What is refused of a form, each with what is said beside it."""
    wrong = {}
    for name, value in _read(typed).items():
        try:
            SETTINGS[name].read(value)
        except DataboardError as error:
            wrong[name] = error.hint or error.message
    return wrong


def _read(typed: dict[str, str]) -> dict[str, str]:
    """What is empty is none, where a setting may be none."""
    return {
        name: "none" if not value.strip() and "none" in SETTINGS[name].kind else value
        for name, value in typed.items()
    }
