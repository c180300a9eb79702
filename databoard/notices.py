"""Mails that tell people what happened to a submission; what cannot be sent is in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from databoard import smtp
from databoard.database import reading
from databoard.errors import DataboardError, InvalidValue
from databoard.model.event import Event
from databoard.model.people import User
from databoard.model.states import CHECKING_ERROR, FAILED, SCORED
from databoard.model.submission import Submission

LOG = logging.getLogger(__name__)


def server(environment: Mapping[str, str]) -> smtp.MailServer | None:
    """The mail server that the variables name; None when they name none."""
    try:
        return smtp.server(environment)
    except InvalidValue:
        return None


def submitted(engine: Engine, environment: Mapping[str, str], submission_id: int) -> None:
    """Tell the admins of the event of a submission, if it wants that."""
    with reading(engine) as session:
        submission = session.get(Submission, submission_id)
        if submission is None or not submission.event.mails_submitted:
            return
        _send(environment, "submitted", _admins(session, submission.event), submission)


def trained(engine: Engine, environment: Mapping[str, str], submission_id: int) -> None:
    """Tell the team how the training ended, if the event wants that; of a failure of the platform,
    the admins.
    """
    with reading(engine) as session:
        submission = session.get(Submission, submission_id)
        if submission is None or submission.state not in (SCORED, *FAILED):
            return
        if submission.state == CHECKING_ERROR:
            _send(environment, "trained", _admins(session, submission.event), submission)
        elif submission.event.mails_trained:
            _send(environment, "trained", submission.team.members, submission)


def _admins(session: Session, event: Event) -> list[User]:
    """Those of the event, or if it has none those of the site."""
    everywhere = select(User).where(User.access_level == "admin").order_by(User.name)
    return event.admins or list(session.scalars(everywhere))


def _send(
    environment: Mapping[str, str],
    template: str,
    people: Iterable[User],
    submission: Submission,
) -> None:
    where = server(environment)
    if where is None:
        return
    message = (submission.error_message or "").strip().rpartition("\n")[2]
    about = {
        "event": submission.event.title,
        "team": submission.team.name,
        "submission": submission.name,
        "state": submission.state.replace("_", " "),
        "why": message[:300],
        "link": f"{where.site.rstrip('/')}/submissions/{submission.id}" if where.site else "",
    }
    try:
        with smtp.Mailer(where) as mailer:
            for user in people:
                mailer.connect()
                mailer.send(smtp.written(where, template, user, **about))
    except DataboardError as error:
        LOG.error("A mail on %s was not sent: %s", submission.name, error.message)
