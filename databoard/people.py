"""Users, teams and sign-ups."""

import re

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from databoard.errors import AlreadyThere, DataboardError, InvalidValue
from databoard.lookup import check_free, find
from databoard.model.event import Event, EventTeam, SignUpRequest
from databoard.model.people import Team, User
from databoard.names import printable
from databoard.teams import check_size

_ATOM, _LABEL = r"[\w!#$%&'*+/=?^`{|}~-]+", r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})+", re.ASCII)
APPROVED = ("user", "admin")
MAX_PASSWORD = 1000
PASSES, MEMORY = 5, 7 * 1024**2  # of argon2id, and bytes


def create_user(
    session: Session,
    name: str,
    email: str,
    firstname: str = "",
    lastname: str = "",
    password: str | None = None,
    access_level: str = "asked",
) -> User:
    """Add a user, and a team of the same name.

    Without a password the account exists but cannot log in. Raises InvalidValue, AlreadyThere.
    """
    check_free(session, User, name)
    check_free(session, Team, name)
    email = check_email(email)
    owner = session.scalar(select(User.name).where(User.email == email))
    if owner is not None:
        raise AlreadyThere(
            f"The mail address {email} already belongs to the user {owner}.",
            "Use that account, or another address.",
        )
    user = User(name=name, email=email, access_level=access_level)
    rename(user, firstname, lastname)
    user.password_hash = None if password is None else hash_password(password)
    session.add_all([user, Team(name=name, members=[user])])
    return user


def rename(user: User, firstname: str, lastname: str) -> None:
    """Change what a person is called. Raises InvalidValue."""
    for what, value in (("first name", firstname), ("last name", lastname)):
        if len(value) > 100 or not value.isprintable():
            raise InvalidValue(
                f"The {what} {printable(value[:40])} cannot be stored.",
                "Use at most 100 printable characters.",
            )
    user.firstname, user.lastname = firstname.strip(), lastname.strip()


def check_email(email: str) -> str:
    """The address in lower case. Raises InvalidValue: no mail could be sent to it."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > 254:
        raise InvalidValue(
            f"{printable(email)} is not a mail address.",
            "Write name@host.domain in ASCII; a host of other letters begins with xn--.",
        )
    return email


def hash_password(password: str) -> str:
    """The argon2id hash. Raises InvalidValue: the password is too short, too long, or no text.

    7 MiB, 5 passes and 1 lane: of the settings of equal strength that OWASP's Password Storage
    Cheat Sheet recommends.
    """
    from nacl.pwhash import argon2id

    if len(password) < 8:
        raise InvalidValue("The password is too short.", "Use at least 8 characters.")
    if len(password) > MAX_PASSWORD:
        raise InvalidValue("The password is too long.", f"Use at most {MAX_PASSWORD} characters.")
    try:
        secret = password.encode()
    except UnicodeEncodeError:  # which has the password in it
        raise InvalidValue("The password is not text.", "Type it in UTF-8.") from None
    return argon2id.str(secret, opslimit=PASSES, memlimit=MEMORY).decode()


def is_password(password_hash: str, password: str) -> bool:
    """Whether it is the password that was hashed."""
    from nacl.exceptions import InvalidkeyError
    from nacl.pwhash import argon2id

    try:
        return argon2id.verify(password_hash.encode(), password[: MAX_PASSWORD + 1].encode())
    except (InvalidkeyError, UnicodeEncodeError):
        return False


def is_current_hash(password_hash: str) -> bool:
    """Whether it was made as `hash_password` makes them today."""
    return f"$m={MEMORY // 1024},t={PASSES},p=1$" in password_hash


def approve_user(session: Session, name: str) -> User:
    """Let a user who asked for an account in. Raises NotFound, DataboardError (already in)."""
    user = find(session, User, name)
    if user.access_level in APPROVED:
        raise DataboardError(f"The user {name} is already approved.", "There is nothing to do.")
    user.access_level = "user"
    return user


def sign_up_team(session: Session, event_name: str, team_name: str) -> EventTeam:
    """Sign a team up to an event.

    Raises NotFound, AlreadyThere, DataboardError (a member is not approved, or there are too many).
    """
    event, team = find(session, Event, event_name), find(session, Team, team_name)
    # Neither may the team grow or sign up meanwhile, nor the event allow less.
    session.refresh(event, with_for_update={"read": True})
    session.refresh(team, with_for_update=True)
    if session.get(EventTeam, (event.id, team.id)) is not None:
        raise AlreadyThere(
            f"The team {team_name} is already signed up to {event_name}.", "There is nothing to do."
        )
    waiting = [member.name for member in team.members if member.access_level not in APPROVED]
    if waiting:
        raise DataboardError(
            f"{', '.join(waiting)} of the team {team_name} is not approved.",
            f"Approve first: inv approve-user {waiting[0]}",
        )
    check_size(event, team_name, len(team.members))
    event_team = EventTeam(event=event, team=team)
    session.add(event_team)
    own = (SignUpRequest.event_id == event.id) & (SignUpRequest.team_id == team.id)
    session.execute(delete(SignUpRequest).where(own))  # it is answered
    return event_team
