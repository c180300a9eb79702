"""Teams that join events: at once, or when an admin says yes."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from databoard.errors import AlreadyThere, DataboardError, NotFound
from databoard.model.event import Event, EventTeam, SignUpRequest
from databoard.model.people import Team
from databoard.people import APPROVED, sign_up_team
from databoard.teams import check_size


def ask_to_join(session: Session, event: Event, team: Team) -> bool:
    """Sign a team up, or where an admin decides note that it asks; whether it is signed up now.

    Raises AlreadyThere, DataboardError (a member is not approved, or there are too many).
    """
    session.refresh(event, with_for_update={"read": True})
    session.refresh(team, with_for_update=True)  # one after the other
    if session.get(EventTeam, (event.id, team.id)) is not None:
        raise AlreadyThere(f"The team {team.name} takes part already.")
    if not event.is_sign_up_controlled:
        sign_up_team(session, event.name, team.name)
        return True
    if session.get(SignUpRequest, (event.id, team.id)) is not None:
        raise AlreadyThere(f"The team {team.name} has asked already; an admin will answer.")
    waiting = [member.name for member in team.members if member.access_level not in APPROVED]
    if waiting:
        raise DataboardError(f"{waiting[0]} of the team {team.name} is not approved yet.")
    check_size(event, team.name, len(team.members))
    session.add(SignUpRequest(event_id=event.id, team_id=team.id))
    return False


def requests(session: Session, event: Event | None = None) -> list[SignUpRequest]:
    """Who waits for an answer, of an event or of all, the first first."""
    query = (
        select(SignUpRequest)
        .options(joinedload(SignUpRequest.event), joinedload(SignUpRequest.team))
        .order_by(SignUpRequest.asked_at, SignUpRequest.team_id)
    )
    if event is not None:
        query = query.where(SignUpRequest.event_id == event.id)
    return list(session.scalars(query))


def answer(session: Session, event: Event, team: Team, is_yes: bool) -> None:
    """Sign up a team that asked, or not. Raises NotFound: it does not ask; as `sign_up_team`."""
    request = session.get(SignUpRequest, (event.id, team.id), with_for_update=True)
    if request is None:
        raise NotFound(f"The team {team.name} does not ask to join {event.name}.")
    session.delete(request)
    session.flush()
    if is_yes and session.get(EventTeam, (event.id, team.id)) is None:
        sign_up_team(session, event.name, team.name)
