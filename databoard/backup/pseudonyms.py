"""A copy of production for tests: nobody in it can be recognised, and all boards are as they were.

The same person has the same pseudonym in each copy on a site: an HMAC-SHA256 of the name, with a
key that stays on the site. Code and predictions of submissions are copied as they are.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import String, Table, Text, bindparam, delete, select, update
from sqlalchemy.orm import Session

from databoard.backup.mails import Addresses
from databoard.errors import NotFound
from databoard.model.audit import Interaction
from databoard.model.base import Base
from databoard.model.people import AccessToken, SentMail, Team, User
from databoard.model.sandbox import SandboxFile
from databoard.model.site import BoardVersion, SiteKey
from databoard.names import printable

KEY = "pseudonyms.key"  # in the deployment
OWN = {"user_account": ("name", "email", "firstname", "lastname", "hidden_notes", "password_hash")}


@dataclass(frozen=True)
class Pseudonymised:
    """Whose data was replaced, and the addresses that must be nowhere any more."""

    n_users: int
    n_teams: int
    addresses: Addresses


def pseudonymise(session: Session, key: bytes, admins: Collection[str] = ()) -> Pseudonymised:
    """Replace names, addresses, passwords and notes of all users, and the names of teams.

    `admins` keep their names, their teams' names and their passwords, to log in with. Addresses in
    other texts are replaced, too. What people did on the pages goes, with tokens, sandboxes and
    the key that signs sessions: those of production are none here. Raises NotFound: an admin is
    not there.
    """
    users = session.execute(select(User.id, User.name, User.email).order_by(User.id)).all()
    names = {user.name: _pseudonym(key, "user", user.name) for user in users}
    for admin in admins:
        if admin not in names:
            raise NotFound(
                f"There is no user {printable(admin)} in production.", "Name one who logs in there."
            )
        names[admin] = admin
    mails = {user.email: f"{names[user.name]}@example.org" for user in users}
    _update_users(session, users, names, mails)
    teams = session.execute(select(Team.id, Team.name)).all()
    renamed = [
        {"which": team.id, "new": names.get(team.name) or _pseudonym(key, "team", team.name)}
        for team in teams
    ]
    if renamed:
        table = Base.metadata.tables["team"]
        by_id = update(table).where(table.c.id == bindparam("which"))
        session.execute(by_id.values(name=bindparam("new")), renamed)
    for private in (SentMail, Interaction, AccessToken, SandboxFile, SiteKey):
        session.execute(delete(private))
    for shown in session.scalars(select(BoardVersion)):
        shown.version = secrets.token_hex(16)
    addresses = Addresses(mails)
    _replace_in_texts(session, addresses)
    return Pseudonymised(len(users), len(teams), addresses)


def key_of(deployment: Path) -> bytes:
    """The key of a site; made if it is not there."""
    path = deployment / KEY
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_bytes()


def _pseudonym(key: bytes, kind: str, name: str) -> str:
    digest = hmac.new(key, f"{kind} {name}".encode(), hashlib.sha256)
    return f"{kind}_{digest.hexdigest()[:12]}"


def _update_users(
    session: Session, users: Collection[Any], names: dict[str, str], mails: dict[str, str]
) -> None:
    table = Base.metadata.tables["user_account"]
    hidden = {"firstname": "", "lastname": "", "hidden_notes": ""}
    own = table.c.id == bindparam("which")
    replaced = (
        update(table).where(own).values(name=bindparam("new"), email=bindparam("mail"), **hidden)
    )
    rows = [
        {"which": user.id, "new": names[user.name], "mail": mails[user.email]} for user in users
    ]
    if rows:
        session.execute(replaced, rows)
        kept = [name for name in names if names[name] == name]
        session.execute(update(table).where(table.c.name.not_in(kept)).values(password_hash=None))


def _replace_in_texts(session: Session, addresses: Addresses) -> None:
    """In what people typed or programs wrote elsewhere."""
    for table, column in _texts():
        keys = list(table.primary_key.columns)
        found = select(*keys, column).where(column.contains("@"))
        for *ids, text in session.execute(found).all():
            if (replaced := addresses.replace(text)) != text:
                own = [key == id_ for key, id_ in zip(keys, ids, strict=True)]
                session.execute(update(table).where(*own).values({column: replaced}))


def _texts() -> Iterator[tuple[Table, Any]]:
    """The columns with text, but for those that are replaced whole."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            is_text = isinstance(column.type, String | Text)
            if is_text and column.name not in OWN.get(table.name, ()) and table.name != "team":
                yield table, column
