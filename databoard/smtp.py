"""Mails: made from templates, and sent by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from functools import cache
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from databoard.config import ROOT
from databoard.errors import DataboardError, InvalidValue
from databoard.model.people import User
from databoard.names import printable
from databoard.people import check_email
from databoard.roster import Row

if TYPE_CHECKING:
    from jinja2 import Template

PORTS = {"smtp": 587, "smtps": 465}
TIMEOUT = 30.0  # seconds for each answer of the server
HERE = ("localhost", "127.0.0.1", "::1")


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
    timeout: float = TIMEOUT


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


def written(
    server: MailServer, template: str, user: User | Row, email: str = "", **values: object
) -> EmailMessage:
    """A mail to a user, maybe at another address, of templates/TEMPLATE-mail.txt.j2.

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
        message["To"] = Address(person, addr_spec=email or user.email)
    except ValueError:
        raise NotSent(f"The address {printable(email or user.email)} is not one of SMTP.") from None
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
                server.host, server.port, timeout=server.timeout, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
        if not server.is_encrypted and server.host not in HERE:  # passwords are in these mails
            smtp.starttls(context=context)
        if server.user:
            smtp.login(server.user, server.password)
        return smtp


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    jinja = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - this is no page
    )
    return jinja.get_template(f"{name}.j2")


def _reason(error: OSError) -> str:
    """What a server said, or the system; without what may be secret."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return f"{error.smtp_code} {printable(text[:200])}"
    return getattr(error, "verify_message", "") or error.strerror or printable(str(error)[:200])
