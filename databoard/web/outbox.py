"""Mails that the pages send: in the background, so that no answer tells by its time who has one."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from functools import partial
from typing import Any

from flask import current_app, url_for
from sqlalchemy.orm import Session

from databoard import accounts, notices, smtp
from databoard.database import after_commit
from databoard.errors import DataboardError
from databoard.model.event import Event
from databoard.model.people import Team, User
from databoard.model.submission import Submission
from databoard.smtp import MailServer
from databoard.web.session import engine

LOG = logging.getLogger(__name__)
_SENDER = ThreadPoolExecutor(1, "mails")


def server() -> MailServer | None:
    """The mail server, if this site has one and says its own address: links are to that alone."""
    found = notices.server(os.environ)
    return found if found and found.site else None


def send(template: str, user: User, email: str = "", **values: object) -> None:
    """Send a mail to a user, maybe at another address, if it can be; what fails is in the log."""
    where = server()
    if where is None:
        return
    try:
        message = smtp.written(where, template, user, email, **values)
    except DataboardError as error:
        LOG.error("%s", error.message)
        return
    _SENDER.submit(_send, where, message)


def ask_to_confirm(user: User, email: str = "") -> None:
    """Send the link that confirms the mail address of a user, or another one that is wanted."""
    text = accounts.confirmation(str(current_app.secret_key), user, email)
    send("confirm", user, email=email, link=link("account.confirm", text=text))


def mail_submitted(session: Session, submission: Submission) -> None:
    """Tell the admins of the event once a submission is committed, if the event wants that now."""
    if submission.event.mails_submitted:
        tell = partial(notices.submitted, engine(), dict(os.environ), submission.id)
        after_commit(session, partial(_SENDER.submit, tell))


def mail_approved(session: Session, user: User) -> None:
    """Tell a user who is let in, once that is committed."""
    after_commit(session, partial(send, "approved", user))


def mail_joined(session: Session, event: Event, team: Team) -> None:
    """Tell the members of a team that asked, once it is signed up."""
    where = link("event.show", name=event.name)
    for user in team.members:
        values = {"event": event.title, "team": team.name, "link": where}
        after_commit(session, partial(send, "joined", user, **values))


def link(endpoint: str, **values: Any) -> str:
    """The address of a page, as the site says its own."""
    where = server()
    base = where.site.rstrip("/") if where else ""
    with current_app.test_request_context():
        return base + url_for(endpoint, **values)


def _send(where: MailServer, message: EmailMessage) -> None:
    try:
        with smtp.Mailer(where) as mailer:
            mailer.connect()
            mailer.send(message)
    except DataboardError as error:
        LOG.error("No mail was sent: %s", error.message)
