"""Submitting: files and a row, in one transaction; and what may become of a submission by hand."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.orm import Session, contains_eager

from databoard import keeping, kits
from databoard.config import Settings
from databoard.database import after_commit
from databoard.errors import AlreadyThere, DataboardError, InvalidValue, NotFound
from databoard.lookup import find, find_old
from databoard.model.base import db_now
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.states import (
    DELETED,
    ERROR_OF,
    FAILED,
    LEASED,
    NEW,
    SET_BY_HAND,
    STATES,
    TRANSITIONS,
)
from databoard.model.submission import (
    BLANK,
    FoldRun,
    RunRecord,
    Submission,
    SubmissionCredit,
    SubmissionScore,
)
from databoard.names import check_name, printable
from databoard.quota import check_may_submit
from databoard.submitted import SubmittedFile, digest_of, read_files, store

CANCELLED = "cancelled"  # the error kind of what a person has ended


def folder_of(settings: Settings, submission_id: int) -> Path:
    """Where a submission lives: its files, and `predictions/<attempt>/` once it is scored."""
    return settings.submissions_path / name_of_folder(submission_id)


def name_of_folder(submission_id: int) -> str:
    """The name of a submission's folder."""
    return f"submission_{submission_id:09d}"


def files_of(settings: Settings, submission: Submission) -> Path:
    """The folder of a submission's files.

    Those that replaced others have a folder named by their digest: which files are the
    submission's is decided by its row alone.
    """
    folder = folder_of(settings, submission.id)
    replaced = folder / f"files-{submission.files_digest}"
    return replaced if replaced.is_dir() else folder / "files"


def submit(
    session: Session,
    settings: Settings,
    event_name: str,
    team_name: str,
    name: str,
    path: Path,
    *,
    is_admin: bool = True,
) -> Submission:
    """Submit the folder `path` (or the one file, where the workflow has one element).

    Under a name that is taken it replaces the files, while that submission is new or has failed.
    Unless `is_admin`, the event must be open, and the last submission of the team old enough.
    Raises NotFound, AlreadyThere, InvalidValue (a file is missing, too much, too large, or no
    plain file), NotNow, DataboardError (the team is not signed up).
    """
    check_name("submission", name)
    event, team = find(session, Event, event_name), find(session, Team, team_name)
    # Who submits for a team at the same time waits here until this transaction has ended.
    if session.get(EventTeam, (event.id, team.id), with_for_update=True) is None:
        raise DataboardError(
            f"The team {team_name} is not signed up to {event_name}.",
            f"Sign it up: inv sign-up-team {event_name} {team_name}",
        )
    taken = select(Submission).filter_by(event_id=event.id, team_id=team.id, name=name)
    submission = session.scalar(taken.with_for_update().execution_options(populate_existing=True))
    if submission is not None and submission.state not in (NEW, *FAILED):
        raise AlreadyThere(
            f"The team {team_name} already has a submission {name} in {event_name}.",
            "Choose another name.",
        )
    if not is_admin:
        check_may_submit(session, event, team, submission)
    files = read_files(path, event.problem.workflow)
    digest = digest_of(files)
    if submission is not None:
        _replace(session, settings, submission, files, digest)
        return submission
    submission = Submission(event=event, team=team, name=name, files_digest=digest)
    session.add(submission)
    session.flush()
    # The transaction is not committed yet: a folder that is there was left by one that never was.
    shutil.rmtree(folder_of(settings, submission.id), ignore_errors=True)
    store(files, folder_of(settings, submission.id) / "files")
    return submission


def _replace(
    session: Session,
    settings: Settings,
    submission: Submission,
    files: Sequence[SubmittedFile],
    digest: str,
) -> None:
    """Other files for a submission, which waits for training again; its credits were the old's."""
    if digest != submission.files_digest:
        before = files_of(settings, submission)
        store(files, folder_of(settings, submission.id) / f"files-{digest}")
        after_commit(session, partial(_forget, settings, before))
    put_back(session, Submission.id == submission.id)
    own = SubmissionCredit.submission_id == submission.id
    session.execute(delete(SubmissionCredit).where(own))
    submission.files_digest = digest
    submission.submitted_at = db_now()
    session.flush()
    session.refresh(submission)


def _forget(settings: Settings, folder: Path) -> None:
    """Remove files that no row names any more; if they cannot be, they are in nobody's way."""
    with suppress(OSError):
        keeping.remove(settings.submissions_path, folder)


def submit_starting_kit(
    session: Session, settings: Settings, event_name: str, team_name: str
) -> Submission:
    """Submit the starting kit of the event's problem for a team. Raises as `submit` does."""
    event = find(session, Event, event_name)
    kit = kits.find_kit(event.problem.name, settings.kits_path)
    path = kits.starting_kit_of(kit)
    return submit(session, settings, event_name, team_name, kits.STARTING_KIT, path)


def find_submission(session: Session, event_name: str, team_name: str, name: str) -> Submission:
    """The submission of that event, team and name. Raises NotFound."""
    event, team = find_old(session, Event, event_name), find_old(session, Team, team_name)
    query = select(Submission).filter_by(event_id=event.id, team_id=team.id, name=name)
    submission = session.scalar(query)
    if submission is None:
        raise NotFound(
            f"The team {team_name} has no submission {printable(name)} in {event_name}.",
            f"See: inv print-submissions {event_name}",
        )
    return submission


def record_of(session: Session, submission: Submission) -> dict[str, Any] | None:
    """The run record of its scores; None of what is not scored, or was before records were kept."""
    found = session.get(RunRecord, (submission.id, submission.attempt))
    return None if found is None else found.record


def select_some(
    session: Session, event_name: str, team_name: str = "", name: str = ""
) -> ColumnElement[bool]:
    """What selects the submissions of an event, of a team or of a name. Raises NotFound."""
    if name:
        return Submission.id == find_submission(session, event_name, team_name, name).id
    which = Submission.event_id == find(session, Event, event_name).id
    if team_name:
        which &= Submission.team_id == find(session, Team, team_name).id
    return which


def list_submissions(
    session: Session,
    event_name: str,
    team_name: str | None = None,
    name: str | None = None,
    state: str | None = None,
) -> list[Submission]:
    """Submissions of an event, the oldest first; deleted ones only when asked for by state.

    Raises NotFound (event, team), InvalidValue (state).
    """
    query = (
        select(Submission)
        .join(Submission.team)
        .options(contains_eager(Submission.team))
        .where(Submission.event_id == find(session, Event, event_name).id)
        .order_by(Submission.id)
    )
    if team_name is not None:
        query = query.where(Submission.team_id == find(session, Team, team_name).id)
    if name is not None:
        query = query.where(Submission.name == name)
    if state is None:
        query = query.where(Submission.state != "deleted")
    else:
        query = query.where(Submission.state == check_state(state))
    return list(session.scalars(query))


def check_state(state: str) -> str:
    """Return `state` if it is one. Raises InvalidValue."""
    if state not in STATES:
        raise InvalidValue(
            f"{printable(state)} is no state of a submission.", f"States: {', '.join(STATES)}."
        )
    return state


def set_state(session: Session, submission: Submission, state: str) -> None:
    """Change a state by hand: `new` (train again) and `deleted` are a person's to set.

    Whoever trains it loses its lease. Raises InvalidValue, DataboardError (no legal step).
    """
    check_state(state)
    source = submission.state
    if state not in SET_BY_HAND:
        raise DataboardError(
            f"The state {state} is reached by training, not by hand.",
            f"Set one of: {', '.join(SET_BY_HAND)}.",
        )
    if state not in TRANSITIONS[source]:
        raise DataboardError(
            f"The submission {submission.name} is {source}; it cannot become {state}.",
            f"From {source} it goes to: {', '.join(TRANSITIONS[source])}.",
        )
    if state == NEW:
        put_back(session, Submission.id == submission.id)
    else:
        submission.state = state
        submission.worker = submission.lease_end = None


def put_back(session: Session, which: ColumnElement[bool]) -> int:
    """Put submissions back into the queue, without the scores or the failure they had.

    Returns how many.
    """
    chosen = select(Submission.id).where(which)
    count = len(session.execute(chosen.with_for_update()).all())
    for table in (SubmissionScore, FoldRun, RunRecord):
        session.execute(delete(table).where(table.submission_id.in_(chosen)))
    session.execute(update(Submission).where(which).values(state=NEW, lost_leases=0, **BLANK))
    return count


def cancel(session: Session, which: ColumnElement[bool]) -> int:
    """End what is being trained among `which`; returns how many.

    Each ends in the failure that its state leads to, with the kind `cancelled`: a legal step for
    every leased state, it leaves the submission visible, and its team may send it again. The
    worker, whose lease is gone, ends its processes when it looks, which is twice a second.
    """
    chosen = select(Submission.id).where(which, Submission.state.in_(LEASED))
    ids = session.scalars(chosen.with_for_update()).all()
    session.execute(
        update(Submission)
        .where(Submission.id.in_(ids))
        .values(
            state=case(ERROR_OF, value=Submission.state),
            worker=None,
            lease_end=None,
            ended_at=db_now(),
            error_kind=CANCELLED,
            error_message="Cancelled by a person.",
        )
        .execution_options(synchronize_session="fetch")
    )
    return len(ids)


def withdraw(session: Session, submission: Submission) -> None:
    """Take a submission back: it is hidden everywhere, and ends at once if it is being trained.

    Raises DataboardError: it is withdrawn already.
    """
    cancel(session, Submission.id == submission.id)
    session.refresh(submission, with_for_update=True)
    if submission.state == DELETED:
        raise DataboardError(
            f"The submission {submission.name} is withdrawn already.", "There is nothing to do."
        )
    set_state(session, submission, DELETED)
