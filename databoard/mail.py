"""Mails with passwords: to one user, or to those of a file; and none of them twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from email.message import EmailMessage

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from databoard.batch import Outcome
from databoard.database import reading, session_scope
from databoard.lookup import find
from databoard.model.people import SentMail, User
from databoard.people import hash_password, is_password
from databoard.roster import People, Row, new_password
from databoard.smtp import Mailer, MailServer, NoServer, NotSent, written

HIDDEN = "*" * 16
PASSWORD, BEGUN = "password", "password begun"  # kinds of mails


def password_mail(server: MailServer, user: User | Row, password: str) -> EmailMessage:
    """The mail that tells a user a password. Raises NotSent: the address cannot be written."""
    return written(server, "password", user, password=password)


def send_password(engine: Engine, server: MailServer, name: str) -> None:
    """Give a user a new password, and mail it; the old one holds until the mail is sent.

    Raises NotFound, DataboardError.
    """
    with reading(engine) as session:
        find(session, User, name)
    with Mailer(server) as mailer:
        mailer.connect()  # which may take long: no transaction waits for it
        try:
            _send_password(engine, mailer, name)
        except NotSent as error:
            raise NotSent(
                f"No mail was sent to {name}: {error.message}",
                "The old password holds. Repeat the command when the cause is gone.",
            ) from None


def _send_password(engine: Engine, mailer: Mailer, name: str) -> None:
    with session_scope(engine) as session:
        user = find(session, User, name)
        password = new_password()
        user.password_hash = hash_password(password)
        occasion = _occasion(user.password_hash)
        session.add(SentMail(user_id=user.id, kind=PASSWORD, occasion=occasion))
        session.flush()
        mailer.send(password_mail(mailer.server, user, password))


def send_passwords(
    engine: Engine,
    server: MailServer,
    passwords: People,
    report: Callable[[int], None] = lambda count: None,
) -> Outcome:
    """Mail the users of a file the passwords that it has for them, where they hold.

    Before a mail is sent it is noted as begun, and afterwards as sent. So when it is done again,
    after whatever broke it off, nobody gets a mail twice; one that may have been on its way is
    reported. `report` is told how many rows are done. Raises NoServer, DataboardError.
    """
    done, before, skipped = 0, 0, []
    with Mailer(server) as mailer:
        mailer.connect()
        for count, row in enumerate(passwords.rows, start=1):
            try:
                message = password_mail(server, row, row.password)
                with session_scope(engine) as session:
                    mail = due_mail(session, row)
                    if mail is not None:
                        session.add(mail)
                if mail is None:
                    before += 1
                else:
                    _send(engine, mailer, mail, message)
                    done += 1
            except NotSent as error:
                skipped.append(f"line {row.line}: {error.message}")
            report(count)
    return Outcome(done, before, tuple(skipped))


def plan_passwords(
    engine: Engine, server: MailServer, passwords: People
) -> tuple[list[EmailMessage], Outcome]:
    """The mails that `send_passwords` would send, with the passwords hidden; and its outcome."""
    due, before, skipped = [], 0, []
    with reading(engine) as session:
        for row in passwords.rows:
            try:
                message = password_mail(server, row, HIDDEN)
                if due_mail(session, row) is None:
                    before += 1
                else:
                    due.append(message)
            except NotSent as error:
                skipped.append(f"line {row.line}: {error.message}")
    return due, Outcome(len(due), before, tuple(skipped))


def due_mail(session: Session, row: Row) -> SentMail | None:
    """The note of the mail that is due to a person of a file; None when it has been sent.

    Raises NotSent: what it says would not be right.
    """
    user = session.scalar(select(User).where(User.name == row.name).with_for_update())
    if user is None:
        raise NotSent(f"there is no user {row.name}.")
    if user.email != row.email.lower():
        raise NotSent(f"{row.name} has another mail address by now.")
    if user.password_hash is None or not is_password(user.password_hash, row.password):
        raise NotSent(f"{row.name} has another password, or none.")
    mail = SentMail(user_id=user.id, kind=BEGUN, occasion=_occasion(user.password_hash))
    kinds = session.scalars(
        select(SentMail.kind).where(SentMail.user_id == user.id, SentMail.occasion == mail.occasion)
    ).all()
    if PASSWORD in kinds:
        return None
    if BEGUN in kinds:
        raise NotSent(
            f"a mail to {row.name} may have been sent when this was broken off; if it did not "
            f"come: inv send-password-mail {row.name}"
        )
    return mail


def _send(engine: Engine, mailer: Mailer, mail: SentMail, message: EmailMessage) -> None:
    """Send a mail that is noted as begun. Raises NotSent, NoServer, DataboardError."""
    own = SentMail.id == mail.id
    try:
        mailer.connect()
        mailer.send(message)
    except (NotSent, NoServer):
        with session_scope(engine) as session:
            session.execute(delete(SentMail).where(own))
        raise
    with session_scope(engine) as session:
        session.execute(update(SentMail).where(own).values(kind=PASSWORD))


def _occasion(password_hash: str) -> str:
    """A mail of one password is the same mail, whatever file it is in."""
    return hashlib.sha256(password_hash.encode()).hexdigest()
