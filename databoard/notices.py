"""Mails that tell people what happened to a submission; what cannot be sent is in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from databoard import smtp
from databoard.accounts import is_closed
from databoard.database import reading
from databoard.errors import DataboardError, InvalidValue
from databoard.model.event import Event
from databoard.model.people import User
from databoard.model.states import CHECKING_ERROR, FAILED, SCORED
from databoard.model.submission import Submission

LOG = logging.getLogger(__name__)
TIMEOUT = 10.0  # seconds for each answer of the mail server
AWAY = 60.0  # seconds for which one that is away is not asked again


def server(environment: Mapping[str, str]) -> smtp.MailServer | None:
    """The mail server that the variables name; None when they name none."""
    try:
        return replace(smtp.server(environment), timeout=TIMEOUT)
    except InvalidValue:
        return None


def submitted(engine: Engine, environment: Mapping[str, str], submission_id: int) -> None:
    """Tell the admins of the event of a submission, if it wants that."""
    with reading(engine) as session:
        submission = session.get(Submission, submission_id)
        if submission is None or not submission.event.mails_submitted:
            return
        _send(environment, "submitted", _admins(session, submission.event), submission)


def trained(
    engine: Engine, environment: Mapping[str, str], submission_id: int, attempt: int
) -> bool:
    """Tell the team how an attempt to train ended, if the event wants that; of a failure of the
    platform, the admins. Returns False when the mail server is away.
    """
    with reading(engine) as session:
        submission = session.get(Submission, submission_id)
        if submission is None or submission.state not in (SCORED, *FAILED):
            return True
        if submission.attempt != attempt:  # another one has ended since, and is told of itself
            return True
        if submission.state == CHECKING_ERROR:
            return _send(environment, "trained", _admins(session, submission.event), submission)
        if submission.event.mails_trained:
            return _send(environment, "trained", submission.team.members, submission)
    return True


class Postman:
    """Tells of the ends of trainings, in a thread of its own: no training waits for a mail server.

    One that is away is left alone for a minute, so that a worker that ends does not wait long.
    """

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        self._engine, self._environment = engine, dict(environment)
        self._thread = ThreadPoolExecutor(1, "mails")
        self._away_until = 0.0

    def tell(self, submission_id: int, attempt: int) -> None:
        self._thread.submit(self._tell, submission_id, attempt)

    def close(self) -> None:
        """Wait until all is told."""
        self._thread.shutdown()

    def _tell(self, submission_id: int, attempt: int) -> None:
        if time.monotonic() < self._away_until:
            LOG.error("No mail on submission %d: the mail server was away.", submission_id)
            return
        try:
            if not trained(self._engine, self._environment, submission_id, attempt):
                self._away_until = time.monotonic() + AWAY
        except Exception:  # a mail is never worth a training
            LOG.exception("No mail on submission %d.", submission_id)


def _admins(session: Session, event: Event) -> list[User]:
    """Those of the event, or if it has none those of the site."""
    everywhere = select(User).where(User.access_level == "admin").order_by(User.name)
    return event.admins or list(session.scalars(everywhere))


def _send(
    environment: Mapping[str, str],
    template: str,
    people: Iterable[User],
    submission: Submission,
) -> bool:
    """Send it to each; False when the mail server is away."""
    where = server(environment)
    if where is None:
        return True
    message = (submission.error_message or "").strip().rpartition("\n")[2]
    about = {
        "event": submission.event.title,
        "team": submission.team.name,
        "submission": submission.name,
        "state": submission.state.replace("_", " "),
        "why": message[:300],
        "link": f"{where.site.rstrip('/')}/submissions/{submission.id}" if where.site else "",
    }
    with smtp.Mailer(where) as mailer:
        for user in people:
            if is_closed(user):
                continue
            try:
                mailer.connect()
                mailer.send(smtp.written(where, template, user, **about))
            except smtp.NoServer as error:
                LOG.error("Mails on %s were not sent: %s", submission.name, error.message)
                return False
            except DataboardError as error:
                LOG.error("A mail on %s was not sent: %s", submission.name, error.message)
    return True
