"""Mails: made from templates, sent by SMTP, and none of them twice."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from functools import cache
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from databoard.batch import Outcome
from databoard.config import ROOT
from databoard.database import reading, session_scope
from databoard.errors import DataboardError, InvalidValue
from databoard.lookup import find
from databoard.model.people import SentMail, User
from databoard.names import printable
from databoard.people import check_email, hash_password, is_password
from databoard.roster import People, Row, new_password

if TYPE_CHECKING:
    from jinja2 import Template

PORTS = {"smtp": 587, "smtps": 465}
TIMEOUT = 30.0  # seconds for each answer of the server
HIDDEN = "*" * 16
HERE = ("localhost", "127.0.0.1", "::1")
PASSWORD, BEGUN = "password", "password begun"  # kinds of mails


class NotSent(DataboardError):
    """A mail that was not sent; others may be."""


class NoServer(DataboardError):
    """No mail can be sent."""


@dataclass(frozen=True)
class MailServer:
    """Who sends mails, and from which address."""

    host: str
    port: int
    is_encrypted: bool  # from the first byte, or else by STARTTLS
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    site: str = ""  # the address of the web pages, named in mails


def server(environment: Mapping[str, str]) -> MailServer:
    """What DATABOARD_SMTP_URL, DATABOARD_MAIL_FROM and DATABOARD_SITE_URL say.

    Raises InvalidValue, which never shows the URL: a password may be in it.
    """
    try:
        url = urlsplit(environment.get("DATABOARD_SMTP_URL", ""))
        port = url.port or PORTS[url.scheme]
        if not url.hostname or url.path.strip("/") or url.query or url.fragment:
            raise ValueError
    except (ValueError, KeyError):
        raise InvalidValue(
            "DATABOARD_SMTP_URL names no mail server.",
            "Write smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://USER:PASSWORD@HOST:465.",
        ) from None
    try:
        sender = check_email(environment.get("DATABOARD_MAIL_FROM", ""))
    except InvalidValue:
        raise InvalidValue(
            "DATABOARD_MAIL_FROM is no mail address.", "Write name@host.domain."
        ) from None
    user, password = unquote(url.username or ""), unquote(url.password or "")
    if not f"{user}{password}".isascii():  # smtplib's own error would show the password
        raise InvalidValue(
            "The user or the password in DATABOARD_SMTP_URL is not ASCII.",
            "Give the account another password.",
        )
    return MailServer(
        url.hostname,
        port,
        url.scheme == "smtps",
        sender,
        user,
        password,
        _site(environment.get("DATABOARD_SITE_URL", "")),
    )


def _site(url: str) -> str:
    """The address of the web pages. Raises InvalidValue when it is not one line."""
    if not url.isprintable() or " " in url:
        raise InvalidValue("DATABOARD_SITE_URL is no address.", "Write https://HOST.")
    return url


def password_mail(server: MailServer, user: User | Row, password: str) -> EmailMessage:
    """The mail that tells a user a password. Raises NotSent: the address cannot be written."""
    return written(server, "password", user, password=password)


def written(server: MailServer, template: str, user: User | Row, **values: object) -> EmailMessage:
    """A mail to a user, of templates/TEMPLATE-mail.txt.j2.

    Raises NotSent: the address cannot be written.
    """
    text = _template(f"{template}-mail.txt").render(
        site=server.site, name=user.name, firstname=user.firstname, **values
    )
    subject, _, body = text.partition("\n\n")
    message = EmailMessage()
    message["Subject"], message["From"], message["Date"] = subject, server.sender, localtime()
    try:
        person = f"{user.firstname} {user.lastname}".strip()
        message["To"] = Address(person, addr_spec=user.email)
    except ValueError:
        raise NotSent(f"The address {printable(user.email)} is not one of SMTP.") from None
    message["Message-ID"] = make_msgid(domain=server.sender.partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body, cte="quoted-printable")
    return message


class Mailer:
    """A connection to a mail server, made when it is needed."""

    def __init__(self, server: MailServer) -> None:
        self.server = server
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._smtp is not None:
            with suppress(OSError):
                self._smtp.quit()

    def connect(self) -> None:
        """Connect, unless the connection stands. Raises NoServer."""
        if self._smtp is not None:
            with suppress(OSError):
                if self._smtp.noop()[0] == 250:
                    return
        try:
            self._smtp = self._connected()
        except smtplib.SMTPAuthenticationError:
            raise NoServer(
                f"The mail server {self.server.host} refuses the user {self.server.user}.",
                "Check DATABOARD_SMTP_URL; in it, write / as %2F, @ as %40.",
            ) from None
        except OSError as error:
            raise NoServer(
                f"The mail server {self.server.host}:{self.server.port} cannot be used: "
                f"{_reason(error)}",
                "Check DATABOARD_SMTP_URL, and that the server runs.",
            ) from None

    def send(self, message: EmailMessage) -> None:
        """Send a mail over the connection. Raises NotSent, NoServer, DataboardError (it may be
        on its way).
        """
        assert self._smtp is not None, "connect() comes first"
        try:
            self._smtp.send_message(message)
        except smtplib.SMTPSenderRefused as error:
            raise NoServer(
                f"The mail server takes no mail from {self.server.sender}: {_reason(error)}",
                "Check DATABOARD_MAIL_FROM.",
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            ((code, said),) = error.recipients.values()
            reason = _reason(smtplib.SMTPResponseException(code, said))
            raise NotSent(f"the server refuses {message['To']}: {reason}") from None
        except (smtplib.SMTPDataError, smtplib.SMTPNotSupportedError) as error:
            raise NotSent(f"the server refuses it: {_reason(error)}") from None
        except OSError as error:
            raise DataboardError(
                f"The connection broke while {message['To']} was sent a mail: {_reason(error)}",
                "Repeat the command.",
            ) from None

    def _connected(self) -> smtplib.SMTP:
        server, context = self.server, ssl.create_default_context()
        if server.is_encrypted:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
        if not server.is_encrypted and server.host not in HERE:  # passwords are in these mails
            smtp.starttls(context=context)
        if server.user:
            smtp.login(server.user, server.password)
        return smtp


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


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    jinja = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - this is no page
    )
    return jinja.get_template(f"{name}.j2")


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


def _reason(error: OSError) -> str:
    """What a server said, or the system; without what may be secret."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return f"{error.smtp_code} {printable(text[:200])}"
    return getattr(error, "verify_message", "") or error.strerror or printable(str(error)[:200])
