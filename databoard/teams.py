"""Teams of several members, and who may do what."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard.errors import AlreadyThere, DataboardError, InvalidValue
from databoard.lookup import check_free, find
from databoard.model.event import Event, EventTeam
from databoard.model.people import ACCESS_LEVELS, Team, User
from databoard.names import printable


def add_team(session: Session, name: str, members: list[str]) -> Team:
    """Add a team of these users. Raises InvalidValue, AlreadyThere, NotFound."""
    check_free(session, Team, name)
    check_free(session, User, name, "A user's own team has that name. Choose another.")
    team = Team(name=name, members=[find(session, User, member) for member in members])
    session.add(team)
    return team


def add_member(session: Session, team_name: str, user_name: str) -> None:
    """Add a user to a team.

    Raises NotFound, AlreadyThere, DataboardError: it is a user's own team, or one of its events
    allows no more members.
    """
    team, user = find(session, Team, team_name), find(session, User, user_name)
    session.refresh(team, with_for_update=True)  # two at once would be one too many
    if user in team.members:
        raise AlreadyThere(
            f"The user {user_name} is in the team {team_name} already.", "There is nothing to do."
        )
    if session.scalar(select(User.id).where(User.name == team_name)) is not None:
        raise DataboardError(
            f"The team {team_name} is that of the user of this name.",
            f"Make another one: inv add-team NAME {team_name},{user_name}",
        )
    events = select(Event).join(EventTeam).where(EventTeam.team_id == team.id)
    for event in session.scalars(events.order_by(Event.id).with_for_update(read=True)):
        check_size(event, team_name, len(team.members) + 1)
    team.members.append(user)


def check_size(event: Event, team_name: str, n_members: int) -> None:
    """Raises DataboardError when an event allows no team of so many members."""
    if n_members > event.max_members:
        raise DataboardError(
            f"The event {event.name} allows teams of {event.max_members}; {team_name} would have "
            f"{n_members} members.",
            f"Allow more: inv update-event {event.name} --max-members={n_members}",
        )


def set_access_level(session: Session, name: str, level: str) -> str:
    """Change what a user may do; returns what it was.

    Raises NotFound, InvalidValue, DataboardError (the last admin).
    """
    user = find(session, User, name)
    if level not in ACCESS_LEVELS:
        raise InvalidValue(
            f"{printable(level)} is no access level.", f"Use one of {', '.join(ACCESS_LEVELS)}."
        )
    if level != "admin":
        check_not_the_only_admin(session, user)
    before, user.access_level = user.access_level, level
    return before


def check_not_the_only_admin(session: Session, user: User) -> None:
    """Raises DataboardError when nobody else is an admin."""
    admins = select(User.id).where(User.access_level == "admin").order_by(User.id)
    # Locked, as two who make each other users at the same time would leave none.
    if session.scalars(admins.with_for_update()).all() == [user.id]:
        raise DataboardError(
            f"The user {user.name} is the only admin.",
            "Make another one first: inv set-access-level",
        )


def make_event_admin(session: Session, event_name: str, user_name: str) -> None:
    """Let a user do to an event what admins do. Raises NotFound, AlreadyThere."""
    event, user = find(session, Event, event_name), find(session, User, user_name)
    if user in event.admins:
        raise AlreadyThere(
            f"The user {user_name} is an admin of {event_name} already.", "There is nothing to do."
        )
    event.admins.append(user)
