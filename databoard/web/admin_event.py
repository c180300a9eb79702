"""Admins: the settings of an event, its teams, its submissions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import contains_eager
from werkzeug.wrappers import Response

from databoard import event_settings, people, teams
from databoard.errors import DataboardError
from databoard.event_settings import SETTINGS
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.states import STATES
from databoard.model.submission import Submission
from databoard.names import counted
from databoard.web import acts
from databoard.web.admin import blueprint, find_own_event
from databoard.web.session import logged_in, myself, note, reading, settings, viewer, writing
from databoard.web.words import explained

PER_PAGE = 100
BULK = ("train again", "exclude", "include", "cancel", "withdraw", "delete")
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
    try:
        with writing() as session:
            me, here = myself(session), find(session, Event, name)
            if action == "settings":
                before = event_settings.settings_of(event)
                after = event_settings.settings_of(
                    event_settings.update_event(session, name, **_read(typed))
                )
                changed = [each for each in after if after[each] != before[each]]
                said = f"Changed: {', '.join(changed)}." if changed else "Nothing has changed."
                note(session, "changed settings", me, here, ", ".join(changed))
            elif action == "sign up":
                team = request.form.get("team", "").strip()
                people.sign_up_team(session, name, team)
                said = f"The team {team} takes part now."
                note(session, "signed up", me, here, team)
            else:
                user = request.form.get("user", "").strip()
                teams.make_event_admin(session, name, user)
                said = f"{user} is an admin of this event now."
                note(session, "made an admin", me, here, user)
    except DataboardError as error:
        return _page(event, typed, " ".join(explained(error)).strip()), 400
    flash(said)
    return redirect(url_for("admin.event", name=name))


@blueprint.get("/events/<name>/submissions")
@logged_in
def submissions(name: str) -> str:
    """All submissions, those that are deleted too; by state, team and text."""
    event = find_own_event(name)
    state, text = request.args.get("state", ""), request.args.get("text", "").strip()[:100]
    page = min(max(1, request.args.get("page", 1, type=int)), 10**6)
    query = (
        select(Submission)
        .join(Submission.team)
        .options(contains_eager(Submission.team))
        .where(Submission.event_id == event.id)
        .order_by(Submission.id.desc())
        .limit(PER_PAGE + 1)
        .offset((page - 1) * PER_PAGE)
    )
    if state in STATES:
        query = query.where(Submission.state == state)
    if text:
        has = [each.icontains(text, autoescape=True) for each in (Team.name, Submission.name)]
        query = query.where(has[0] | has[1])
    found = reading().scalars(query).all()
    return render_template(
        "admin_submissions.html",
        event=event,
        team=viewer().team_in(event),
        submissions=found[:PER_PAGE],
        has_more=len(found) > PER_PAGE,
        page=page,
        state=state,
        text=text,
        states=STATES,
        actions=BULK,
    )


@blueprint.post("/events/<name>/submissions")
@logged_in
def change_submissions(name: str) -> Response:
    """Do the same with all that are ticked; each for itself, and what cannot be done is named."""
    event, action = find_own_event(name), request.form.get("action", "")
    done, failed = 0, []
    for id_ in dict.fromkeys(request.form.getlist("submission", type=int)):
        try:
            with writing() as session:
                found = session.get(Submission, id_, with_for_update=True) if id_ < 2**31 else None
                if found is None or found.event_id != event.id or action not in BULK:
                    continue
                if action not in acts.possible(viewer(), found):
                    raise DataboardError(f"it is {found.state.replace('_', ' ')}.")
                subject = f"{found.team.name}/{found.name}"
                note(session, acts.NOTES[action], myself(session), found.event, subject)
                acts.carry_out(session, settings(), found, action)
            done += 1
        except DataboardError as error:
            failed.append(f"{subject_of(id_)}: {' '.join(explained(error)).strip()}")
    said = acts.NOTES.get(action, "changed")
    flash(f"{counted(done, 'submission')}: {said}." if done or failed else "Choose some first.")
    for line in failed[:20]:
        flash(line)
    state, text = (request.form.get(each) or None for each in ("state", "text"))
    return redirect(url_for("admin.submissions", name=name, state=state, text=text))


def subject_of(id_: int) -> str:
    """What people call a submission."""
    found = reading().get(Submission, id_)
    return f"{found.team.name}/{found.name}" if found else str(id_)


def _page(event: Event, typed: dict[str, str] | None = None, error: str = "") -> str:
    shown = event_settings.settings_of(event)
    teams_ = reading().scalars(
        select(Team).join(EventTeam).where(EventTeam.event_id == event.id).order_by(Team.name)
    )
    fields = [
        (setting, (typed or {}).get(setting.name, _typed(shown[setting.name])))
        for setting in SETTINGS.values()
    ]
    return render_template(
        "admin_event.html",
        event=event,
        team=viewer().team_in(event),
        fields=fields,
        teams=teams_.all(),
        error=error,
        scores=[score.score_type.name for score in event.score_types],
    )


def _typed(value: Any) -> str:
    """A setting as the form has it: nothing is none, times are in UTC."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%dT%H:%M}" if isinstance(value, datetime) else str(value)


def _read(typed: dict[str, str]) -> dict[str, str]:
    """What is empty is none, where a setting may be none."""
    return {
        name: "none" if not value.strip() and "none" in SETTINGS[name].kind else value
        for name, value in typed.items()
    }
