"""An event: its rules and dates, joining it, one's own submissions, its teams."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload
from werkzeug.wrappers import Response

from databoard import joining, leaderboard
from databoard.access import has_closed, has_opened, is_code_open
from databoard.errors import NotFound
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, TeamMember
from databoard.model.states import DELETED
from databoard.model.submission import Submission
from databoard.names import check_name
from databoard.web.session import logged_in, myself, note, reading, viewer, writing

blueprint = Blueprint("event", __name__)


def find_event(name: str) -> Event:
    """An event that the viewer sees. Raises NotFound, for one that is hidden as well."""
    event = leaderboard.load_event(reading(), check_name("event", name))
    if not viewer().sees(event):
        raise NotFound(f"There is no event {name}.")
    return event


@blueprint.get("/events/<name>")
def show(name: str) -> str:
    """What the event is, and what the viewer may do in it."""
    event = find_event(name)
    n_teams = select(func.count()).where(EventTeam.event_id == event.id)
    n_submissions = select(func.count()).where(
        Submission.event_id == event.id, Submission.state != DELETED
    )
    return render_template(
        "event.html",
        event=event,
        team=viewer().team_in(event),
        has_asked=viewer().has_asked(event),
        teams=_teams_to_join_with(),
        has_opened=has_opened(event, viewer().now),
        has_closed=has_closed(event, viewer().now),
        is_code_open=is_code_open(event, viewer().now),
        n_teams=reading().scalar(n_teams),
        n_submissions=reading().scalar(n_submissions),
    )


@blueprint.post("/events/<name>/join")
@logged_in
def join(name: str) -> Response:
    """Ask to take part, with one of one's teams."""
    find_event(name)
    with writing() as session:
        me = myself(session)
        event = leaderboard.load_event(session, name)
        wanted = request.form.get("team", me.name)
        team = _own_team(session, me.id, wanted)
        is_in = joining.ask_to_join(session, event, team)
        note(session, "joined" if is_in else "asked to join", me, event, team.name)
    said = "takes part now" if is_in else "has asked; an admin will answer"
    flash(f"The team {team.name} {said}.")
    return redirect(url_for("event.show", name=name))


@blueprint.get("/events/<name>/mine")
@logged_in
def mine(name: str) -> str:
    """The submissions of the viewer's team, the newest first."""
    event = find_event(name)
    team = viewer().team_in(event)
    if team is None:
        return render_template("mine.html", event=event, team=None, submissions=[])
    query = (
        select(Submission)
        .where(Submission.event_id == event.id, Submission.team_id == team.id)
        .where(Submission.state != DELETED)
        .order_by(Submission.submitted_at.desc(), Submission.id.desc())
    )
    submissions = reading().scalars(query).all()
    return render_template("mine.html", event=event, team=team, submissions=submissions)


@blueprint.get("/teams/<name>")
@logged_in
def team(name: str) -> str:
    """A team: its members, and the events in which the viewer sees it."""
    query = select(Team).where(Team.name == check_name("team", name))
    team = reading().scalar(query.options(selectinload(Team.members)))
    if team is None:
        raise NotFound(f"There is no team {name}.")
    is_mine = viewer().user in team.members
    events = [
        event
        for event in reading().scalars(
            select(Event).join(EventTeam).where(EventTeam.team_id == team.id).order_by(Event.id)
        )
        if is_mine or (viewer().sees(event) and viewer().sees_names(event))
    ]
    if not (events or is_mine or viewer().is_admin):
        raise NotFound(f"There is no team {name}.")
    return render_template("team.html", team=team, events=events, is_mine=is_mine)


def _teams_to_join_with() -> list[Team]:
    user = viewer().user
    if user is None or not viewer().is_approved:
        return []
    query = select(Team).join(TeamMember).where(TeamMember.user_id == user.id).order_by(Team.id)
    return list(reading().scalars(query))


def _own_team(session: Session, user_id: int, name: str) -> Team:
    """A team that the user is in. Raises NotFound."""
    query = select(Team).join(TeamMember).where(TeamMember.user_id == user_id, Team.name == name)
    team = session.scalar(query)
    if team is None:
        raise NotFound("You are in no such team.")
    return team
