"""Accounts, as their owners use them: signing up, logging in, passwords, tokens for programs."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from databoard.errors import AlreadyThere, DataboardError, InvalidValue, NotFound
from databoard.interactions import TooMany, check_rate, note
from databoard.model.audit import Interaction
from databoard.model.base import db_now
from databoard.model.people import AccessToken, User
from databoard.names import check_title
from databoard.people import (
    check_email,
    create_user,
    hash_password,
    is_current_hash,
    is_password,
)
from databoard.sitekey import sign, signed
from databoard.teams import check_not_the_only_admin

FAILED = "failed log-in"
ASKED_RESET = "asked for a new password"
MOST_BY_USER, MOST_BY_ADDRESS = 10, 50  # failures within interactions.WINDOW
ASKED_MAIL = "asked to confirm a mail address"
MOST_RESETS = MOST_MAILS = 3
RESET_AGE, CONFIRM_AGE = 3600, 3 * 24 * 3600  # seconds
MOST_TOKENS = 20
CLOSED = "closed.invalid"  # a host that never is
PREFIX = "databoard_"  # of tokens: so that they are found where they should not be


class Refused(DataboardError):
    """A log-in that failed."""


def log_in(session: Session, account: str, password: str, address: str) -> User | None:
    """The user of that name or mail address, if it is the password; what failed is noted.

    None: it failed; commit, then say so. Raises interactions.TooMany.
    """
    check_rate(session, FAILED, Interaction.address == address, MOST_BY_ADDRESS)
    user = find_account(session, account)
    if user is not None:
        check_rate(session, FAILED, Interaction.user_id == user.id, MOST_BY_USER)
    # Who has no password takes as long: the time does not tell who has an account.
    password_hash = user.password_hash if user else None
    if not is_password(password_hash or _nobody(), password) or password_hash is None:
        note(session, FAILED, user, address=address)
        return None
    assert user is not None
    if not is_current_hash(password_hash):
        user.password_hash = hash_password(password)
    note(session, "logged in", user, address=address)
    return user


def find_account(session: Session, account: str) -> User | None:
    """The user of a name or a mail address."""
    own = or_(User.name == account.strip(), User.email == account.strip().lower())
    return session.scalar(select(User).where(own))


def session_mark(user: User) -> str:
    """What a session has of the password: it ends when that is another one."""
    return hashlib.sha256(f"session {user.password_hash}".encode()).hexdigest()[:16]


def sign_up(
    session: Session, name: str, email: str, firstname: str, lastname: str, password: str
) -> User:
    """A new account, whose mail address is to be confirmed. Raises InvalidValue, AlreadyThere."""
    email = _check_free_email(session, email)
    return create_user(session, name, email, firstname, lastname, password, "not_confirmed")


def ask_mail(session: Session, user: User, password: str, email: str) -> str:
    """The mail address that a user wants from now on, checked, to be confirmed.

    Raises Refused, InvalidValue, AlreadyThere, interactions.TooMany.
    """
    _check_own(user, password)
    check_rate(session, ASKED_MAIL, Interaction.user_id == user.id, MOST_MAILS)
    email = _check_free_email(session, email)
    note(session, ASKED_MAIL, user, subject=email)
    return email


def asks_to_confirm(session: Session, user: User) -> bool:
    """Note that a user is sent a link; False: nothing is to be confirmed, or too many were sent."""
    if user.access_level != "not_confirmed" or is_closed(user):
        return False
    try:
        check_rate(session, ASKED_MAIL, Interaction.user_id == user.id, MOST_MAILS)
    except TooMany:
        return False
    note(session, ASKED_MAIL, user, subject=user.email)
    return True


def confirmation(key: str, user: User, email: str = "") -> str:
    """The signed text of the link that confirms a mail address: the user's, or another one."""
    return sign(key, "confirm", [user.id, user.email, email or user.email])


def confirm(session: Session, key: str, text: str) -> User:
    """The user whose address is confirmed now, or was before. Raises DataboardError."""
    content = signed(key, "confirm", text, CONFIRM_AGE)
    user = session.get(User, content[0], with_for_update=True) if content else None
    if user is None or user.email not in content[1:]:
        raise DataboardError("This link is not valid, or too old.", "Log in to get another one.")
    if user.email != content[2]:
        change_mail(session, user, _check_free_email(session, content[2]))
    if user.access_level == "not_confirmed":
        user.access_level = "asked"
        note(session, "confirmed the mail address", user)
    return user


def change_mail(session: Session, user: User, email: str) -> None:
    """Give a user another mail address, which was checked."""
    note(session, "changed the mail address", user, subject=user.email)
    user.email = email


def ask_reset(session: Session, account: str, address: str) -> User | None:
    """The user who may get a link to set a new password; None: nobody, or asked too often."""
    user = find_account(session, account)
    if user is None or user.access_level == "not_confirmed":
        return None
    check_rate(session, ASKED_RESET, Interaction.user_id == user.id, MOST_RESETS)
    note(session, ASKED_RESET, user, address=address)
    return user


def reset_link(key: str, user: User) -> str:
    """The signed text of the link: it is valid for an hour, and until the password changes."""
    return sign(key, "reset", [user.id, session_mark(user)])


def find_reset(session: Session, key: str, text: str) -> User:
    """The user of such a link. Raises DataboardError."""
    content = signed(key, "reset", text, RESET_AGE)
    user = session.get(User, content[0], with_for_update=True) if content else None
    if user is None or session_mark(user) != content[1]:
        raise DataboardError(
            "This link is not valid any more.",
            "Ask for another one: it is valid for an hour, once.",
        )
    return user


def change_password(session: Session, user: User, password: str) -> None:
    """Set a password, which ends all sessions of before. Raises InvalidValue."""
    user.password_hash = hash_password(password)
    note(session, "set a new password", user)


def change_own_password(session: Session, user: User, before: str, password: str) -> None:
    """The same by somebody who knows the one before. Raises Refused, InvalidValue."""
    _check_own(user, before)
    change_password(session, user, password)


def close(session: Session, user: User, password: str) -> None:
    """Close an account for good: nobody can log in to it, and nothing tells whose it was.

    What was submitted stays, under the name of the team. Raises Refused, DataboardError (the only
    admin).
    """
    _check_own(user, password)
    shut(session, user)
    note(session, "closed the account", user)


def shut(session: Session, user: User) -> None:
    """The same by an admin. Raises DataboardError (the only admin)."""
    check_not_the_only_admin(session, user)
    user.email = f"closed-{user.id}@{CLOSED}"
    user.firstname = user.lastname = user.hidden_notes = ""
    user.password_hash, user.access_level = None, "not_confirmed"
    session.execute(delete(AccessToken).where(AccessToken.user_id == user.id))


def is_closed(user: User) -> bool:
    return user.email.endswith(f"@{CLOSED}")


def add_token(session: Session, user: User, name: str) -> str:
    """A token for programs of the user: shown now, and never again.

    Raises InvalidValue, AlreadyThere, DataboardError: there are too many.
    """
    name = check_title("token", name)
    if len(name) > 80:
        raise InvalidValue("The name of the token is too long.", "Use at most 80 characters.")
    session.refresh(user, with_for_update=True)  # one after the other
    present = session.scalars(select(AccessToken.name).where(AccessToken.user_id == user.id)).all()
    if name in present:
        raise AlreadyThere(f"You have a token {name} already.", "Choose another name.")
    if len(present) >= MOST_TOKENS:
        raise DataboardError(f"You have {MOST_TOKENS} tokens already.", "Delete one first.")
    token = PREFIX + secrets.token_urlsafe(32)
    session.add(AccessToken(user_id=user.id, name=name, digest=_digest(token)))
    note(session, "made a token", user, subject=name)
    return token


def delete_token(session: Session, user: User, name: str) -> None:
    """From now on it is refused. Raises NotFound."""
    own = (AccessToken.user_id == user.id) & (AccessToken.name == name)
    if session.scalar(select(AccessToken.id).where(own)) is None:
        raise NotFound("You have no such token.")
    session.execute(delete(AccessToken).where(own))
    note(session, "deleted a token", user, subject=name)


def find_token(session: Session, token: str) -> AccessToken | None:
    """The token, if it is somebody's."""
    return session.scalar(select(AccessToken).where(AccessToken.digest == _digest(token)))


def touch_token(session: Session, token: AccessToken) -> None:
    """Note that it was used now."""
    own = AccessToken.id == token.id
    session.execute(update(AccessToken).where(own).values(last_used_at=db_now()))


def _check_free_email(session: Session, email: str) -> str:
    """The address, which nobody has; whose it is is not told. Raises InvalidValue, AlreadyThere."""
    email = check_email(email)
    if session.scalar(select(User.id).where(User.email == email)) is not None:
        raise AlreadyThere(
            f"{email} has an account already.", "Log in, or set a new password for it."
        )
    return email


def _check_own(user: User, password: str) -> None:
    if user.password_hash is None or not is_password(user.password_hash, password):
        raise Refused("That is not your password.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


@cache
def _nobody() -> str:
    """A hash that is nobody's."""
    return hash_password(secrets.token_urlsafe())
