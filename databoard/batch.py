"""Many users at once: those of a roster, added and signed up; and made-up ones."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from databoard import people, roster
from databoard.database import reading, session_scope
from databoard.errors import DataboardError, InvalidValue, NotFound
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, TeamMember, User
from databoard.names import counted
from databoard.roster import People, Row

MADE_UP = 1000  # users at once


@dataclass(frozen=True)
class Outcome:
    """How many were added or signed up, how many were so before, and who was skipped, and why."""

    done: int
    before: int
    skipped: tuple[str, ...]


def add_users(
    engine: Engine,
    people_: People,
    passwords: People,
    report: Callable[[int], None] = lambda count: None,
) -> Outcome:
    """Add the users of a file, approved, with the passwords that another file has for their names.

    Who is there already stays as he is. `report` is told how many passwords are hashed. Raises
    InvalidValue when a name has no password; then nobody is added.
    """
    password_of = {row.name: row.password for row in passwords.rows}
    without = [row.name for row in people_.rows if row.name not in password_of]
    if without:
        raise InvalidValue(
            f"{counted(len(without), 'user')} without a password, first {without[0]}.",
            "Make the file of passwords anew: inv generate-passwords",
        )
    with reading(engine) as session:
        new, before, skipped = _sorted_out(session, people_.rows)
    hashes = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # argon2 lets other threads run
        for hashed in pool.map(people.hash_password, [password_of[row.name] for row in new]):
            hashes.append(hashed)
            report(len(hashes))
    with session_scope(engine) as session:
        new_now, _, _ = _sorted_out(session, new)
        if len(new_now) < len(new):
            raise DataboardError("Somebody added one of them just now.", "Repeat the command.")
        rows = [
            {
                "name": row.name,
                "email": row.email.lower(),
                "firstname": row.firstname,
                "lastname": row.lastname,
                "hidden_notes": row.hidden_notes,
                "password_hash": hashed,
                "access_level": "user",
            }
            for row, hashed in zip(new, hashes, strict=True)
        ]
        if rows:
            in_order = {"sort_by_parameter_order": True}
            users = session.scalars(insert(User).returning(User.id, **in_order), rows)
            names = [{"name": row.name} for row in new]
            teams = session.scalars(insert(Team).returning(Team.id, **in_order), names)
            members = [
                {"team_id": team, "user_id": user} for team, user in zip(teams, users, strict=True)
            ]
            session.execute(insert(TeamMember), members)
    return Outcome(len(new), before, tuple(skipped))


def sign_up(session: Session, people_: People, event_name: str) -> Outcome:
    """Sign the own teams of users up to an event: of those with this name and this mail address.

    Raises NotFound (the event).
    """
    event = find(session, Event, event_name)
    mail_of = dict(session.execute(select(User.name, User.email)).tuples().all())
    name_of = {mail: name for name, mail in mail_of.items()}
    done, before, skipped = 0, 0, []
    for row in people_.rows:
        try:
            if other := _is_another(row, name_of, mail_of):
                raise NotFound(other)
            if row.name not in mail_of:
                raise NotFound(f"there is no user {row.name}.")
            team = find(session, Team, row.name)
            if session.get(EventTeam, (event.id, team.id)) is not None:
                before += 1
                continue
            people.sign_up_team(session, event_name, row.name)
            done += 1
        except DataboardError as error:
            skipped.append(f"line {row.line}: {error.message}")
    return Outcome(done, before, tuple(skipped))


def add_made_up(engine: Engine, count: int, path: Path) -> Outcome:
    """Add made-up users, and write a new file of their passwords. Raises AlreadyThere."""
    with reading(engine) as session:
        taken = set(session.scalars(select(User.name).union(select(Team.name))))
    made = made_up(count, taken)
    roster.write_passwords(made, path)
    try:
        return add_users(engine, made, roster.read(path, with_passwords=True))
    except BaseException:
        path.unlink()  # its passwords are nobody's
        raise


def made_up(count: int, taken: Container[str] = ()) -> People:
    """Made-up people, with the first names that are free; mails to them go nowhere (RFC 2606)."""
    all_names = (f"test_user_{number:03d}" for number in itertools.count(1))
    names = itertools.islice((name for name in all_names if name not in taken), count)
    return People(
        tuple(
            Row(line, f"{name}@example.org", name, "Test", f"User {name[-3:]}")
            for line, name in enumerate(names, start=2)
        )
    )


def _sorted_out(session: Session, rows: Sequence[Row]) -> tuple[list[Row], int, list[str]]:
    """Those to add; how many are there already; and why others cannot be added."""
    name_of = {mail: name for name, mail in session.execute(select(User.name, User.email))}
    mail_of = {name: mail for mail, name in name_of.items()}
    teams = set(session.scalars(select(Team.name)))
    new, before, skipped = [], 0, []
    for row in rows:
        if other := _is_another(row, name_of, mail_of):
            skipped.append(f"line {row.line}: {other}")
        elif row.name in mail_of:
            before += 1
        elif row.name in teams:
            skipped.append(f"line {row.line}: there is already a team {row.name}.")
        else:
            new.append(row)
    return new, before, skipped


def _is_another(row: Row, name_of: Mapping[str, str], mail_of: Mapping[str, str]) -> str:
    """Which user has the name or the mail address of a row, if it is not one user with both."""
    mail = row.email.lower()
    if name_of.get(mail, row.name) != row.name:
        return f"{row.name} has the mail address {mail}, which belongs to the user {name_of[mail]}."
    if mail_of.get(row.name, mail) != mail:
        return f"the user {row.name} is there already, with another mail address."
    return ""
