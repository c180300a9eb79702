"""Admins: all submissions of an event, and what is done with many of them at once."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager
from werkzeug.wrappers import Response

from databoard import contributivity
from databoard.errors import DataboardError, NotFound
from databoard.model.event import EventTeam
from databoard.model.people import Team
from databoard.model.states import STATES
from databoard.model.submission import Submission
from databoard.names import printable
from databoard.web import acts, bulk
from databoard.web.admin import blueprint, find_own_event, typed_text
from databoard.web.session import logged_in, myself, note, reading, settings, viewer
from databoard.web.words import explained

PER_PAGE = 100
BULK = ("train again", "exclude", "include", "cancel", "withdraw", "delete")
LEAVING = ("exclude", "withdraw", "delete")  # the ensemble


@blueprint.get("/events/<name>/submissions")
@logged_in
def submissions(name: str) -> str:
    """All submissions, those that are deleted too; by state, team and text."""
    event = find_own_event(name)
    state, team, text = request.args.get("state", ""), typed_text("team"), typed_text("text")
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
    if team:
        query = query.where(Team.name == team)
    if text:
        has = [each.icontains(text, autoescape=True) for each in (Team.name, Submission.name)]
        query = query.where(has[0] | has[1])
    found = reading().scalars(query).all()
    signed_up = select(Team.name).join(EventTeam).where(EventTeam.event_id == event.id)
    return render_template(
        "admin_submissions.html",
        event=event,
        team=viewer().team_in(event),
        submissions=found[:PER_PAGE],
        has_more=len(found) > PER_PAGE,
        page=page,
        filters={"state": state or None, "team": team or None, "text": text or None},
        teams=reading().scalars(signed_up.order_by(Team.name)).all(),
        states=STATES,
        actions=BULK,
    )


@blueprint.post("/events/<name>/submissions")
@logged_in
def change_submissions(name: str) -> Response:
    """Do the same with all that are ticked; each for itself, and what cannot be done is named."""
    event, action = find_own_event(name), request.form.get("action", "")

    def act(session: Session, which: str) -> None:
        found = _find(session, which, event.id)
        subject = f"{found.team.name}/{found.name}"
        try:
            if action not in acts.possible(viewer(), found):
                raise DataboardError(_why_not(found, action))
            note(session, acts.NOTES[action], myself(session), found.event, subject)
            acts.carry_out(session, settings(), found, action)
        except DataboardError as error:
            raise DataboardError(f"{subject}: {' '.join(explained(error)).strip()}") from error

    if action in BULK:
        chosen = request.form.getlist("submission")
        bulk.carry_out("submission", acts.NOTES[action], chosen, act)
        told = contributivity.aside(event) if action in LEAVING and chosen else ""
        if told:
            flash(told)
    else:
        flash("Choose what to do first.")
    state, team, text = (request.form.get(each) or None for each in ("state", "team", "text"))
    return redirect(url_for("admin.submissions", name=name, state=state, team=team, text=text))


def _find(session: Session, which: str, event_id: int) -> Submission:
    """A submission of the event, locked. Raises NotFound, also for those of other events."""
    is_id = which.isascii() and which.isdigit() and len(which) < 10
    found = session.get(Submission, int(which), with_for_update=True) if is_id else None
    if found is None or found.event_id != event_id:
        raise NotFound(f"There is no submission {printable(which[:20])} in this event.")
    return found


def _why_not(submission: Submission, action: str) -> str:
    if action in ("exclude", "include"):
        return f"it is {'in' if submission.is_in_ensemble else 'out of'} the ensemble already."
    return f"it is {submission.state.replace('_', ' ')}."
