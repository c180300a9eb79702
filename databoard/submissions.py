"""Submitting: files and a row, in one transaction; and what may become of a submission by hand."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session, contains_eager

from databoard import kits
from databoard.config import Settings
from databoard.errors import AlreadyThere, DataboardError, InvalidValue, NotFound
from databoard.files import open_plain
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Workflow
from databoard.model.states import NEW, SET_BY_HAND, STATES, TRANSITIONS
from databoard.model.submission import BLANK, FoldRun, Submission, SubmissionScore
from databoard.names import check_name, printable

MAX_FILE_SIZE = 100 * 1024**2
IGNORED = ("__pycache__", "training_output")  # left behind by ramp-test


@dataclass(frozen=True)
class SubmittedFile:
    """One file of a submission, read."""

    name: str
    content: bytes


def folder_of(settings: Settings, submission_id: int) -> Path:
    """Where a submission lives: `files/`, and `predictions/<attempt>/` once it is scored."""
    return settings.submissions_path / f"submission_{submission_id:09d}"


def submit(
    session: Session,
    settings: Settings,
    event_name: str,
    team_name: str,
    name: str,
    path: Path,
    may_have_more: bool = False,
) -> Submission:
    """Submit the folder `path` (or the one file, where the workflow has one element).

    What the workflow does not know is refused, or with `may_have_more` left out.

    Raises NotFound, AlreadyThere, InvalidValue (a file is missing, too much, too large, or no
    plain file), DataboardError (the team is not signed up).
    """
    check_name("submission", name)
    event, team = find(session, Event, event_name), find(session, Team, team_name)
    if session.get(EventTeam, (event.id, team.id)) is None:
        raise DataboardError(
            f"The team {team_name} is not signed up to {event_name}.",
            f"Sign it up: inv sign-up-team {event_name} {team_name}",
        )
    taken = select(Submission.id).filter_by(event_id=event.id, team_id=team.id, name=name)
    if session.scalar(taken) is not None:
        raise AlreadyThere(
            f"The team {team_name} already has a submission {name} in {event_name}.",
            "Choose another name.",
        )
    files = read_files(path, event.problem.workflow, may_have_more)
    submission = Submission(event=event, team=team, name=name, files_digest=digest_of(files))
    session.add(submission)
    session.flush()
    _store(files, folder_of(settings, submission.id))
    return submission


def submit_starting_kit(
    session: Session, settings: Settings, event_name: str, team_name: str
) -> Submission:
    """Submit the starting kit of the event's problem for a team. Raises as `submit` does."""
    event = find(session, Event, event_name)
    kit = kits.find_kit(event.problem.name, settings.kits_path)
    path = kits.starting_kit_of(kit)
    is_older = path.parent == kit  # then the data and the notebook are there, too
    return submit(session, settings, event_name, team_name, kits.STARTING_KIT, path, is_older)


def read_files(path: Path, workflow: Workflow, may_have_more: bool = False) -> list[SubmittedFile]:
    """Read the files of a submission: exactly one per workflow element.

    A code element `x` is the file `x.py`; a data or text element may have any suffix. Raises
    InvalidValue.
    """
    if path.is_file() and len(workflow.elements) == 1:
        present = {path.name: path}
    elif path.is_dir():
        present = {
            entry.name: entry
            for entry in sorted(path.iterdir())
            if not entry.name.startswith(".") and entry.name not in IGNORED
        }
    else:
        raise InvalidValue(f"There is no folder {path}.", "Give the folder with the files.")
    chosen: dict[str, Path] = {}
    for element in workflow.elements:
        wanted = element.type.name
        if element.type.kind == "code":
            matches = [file for file in present if file == f"{wanted}.py"]
        else:
            matches = [file for file in present if Path(file).stem == wanted]
        if len(matches) != 1:
            suffix = ".py" if element.type.kind == "code" else ".*"
            count = f"{len(matches)} files" if matches else "no file"
            raise InvalidValue(
                f"The submission has {count} {wanted}{suffix}.",
                f"The workflow {workflow.name} wants one file for each of: "
                f"{', '.join(workflow.element_names)}.",
            )
        chosen[matches[0]] = present[matches[0]]
    extra = sorted(set(present) - set(chosen))
    if extra and not may_have_more:
        raise InvalidValue(
            f"The submission has a file {printable(extra[0])}, which the workflow "
            f"{workflow.name} does not know.",
            f"Leave just: {', '.join(chosen)}.",
        )
    return [SubmittedFile(name, _read(file)) for name, file in chosen.items()]


def digest_of(files: Sequence[SubmittedFile]) -> str:
    """A fingerprint of names and contents: SHA-256."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(f"{file.name}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return digest.hexdigest()


def find_submission(session: Session, event_name: str, team_name: str, name: str) -> Submission:
    """The submission of that event, team and name. Raises NotFound."""
    event, team = find(session, Event, event_name), find(session, Team, team_name)
    query = select(Submission).filter_by(event_id=event.id, team_id=team.id, name=name)
    submission = session.scalar(query)
    if submission is None:
        raise NotFound(
            f"The team {team_name} has no submission {printable(name)} in {event_name}.",
            f"See: inv print-submissions {event_name}",
        )
    return submission


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
    for table in (SubmissionScore, FoldRun):
        session.execute(delete(table).where(table.submission_id.in_(chosen)))
    session.execute(update(Submission).where(which).values(state=NEW, lost_leases=0, **BLANK))
    return count


def _read(path: Path) -> bytes:
    """Read a plain file: no link, no device, not too large. Raises InvalidValue."""
    try:
        file = open_plain(path)
    except OSError as error:
        raise InvalidValue(
            f"The file {printable(path.name)} cannot be read: {error.strerror}.",
            "Submit plain files, no links.",
        ) from error
    if file is None:
        raise InvalidValue(f"{printable(path.name)} is not a plain file.", "Submit plain files.")
    with file:
        content = file.read(MAX_FILE_SIZE + 1)
    if len(content) > MAX_FILE_SIZE:
        raise InvalidValue(
            f"The file {printable(path.name)} is larger than {MAX_FILE_SIZE // 1024**2} MB.",
            "Submit less.",
        )
    return content


def _store(files: Sequence[SubmittedFile], folder: Path) -> None:
    """Write the files, whole or not at all.

    The caller's transaction is not committed yet: a folder that is already there was left by
    one that never was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
        staged = Path(incoming) / folder.name
        (staged / "files").mkdir(parents=True)
        for file in files:
            with (staged / "files" / file.name).open("xb") as target:
                target.write(file.content)
                target.flush()
                os.fsync(target.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)
