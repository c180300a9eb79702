"""Sandboxes: the files a team works on in the browser, one per workflow element."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from databoard import kits
from databoard.config import Settings
from databoard.errors import InvalidValue
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.sandbox import SandboxFile
from databoard.model.submission import Submission
from databoard.names import printable
from databoard.submissions import submit
from databoard.submitted import SubmittedFile, read_files

MAX_SIZE = 10 * 1024**2  # bytes of a file


def files_of(session: Session, settings: Settings, event: Event, team: Team) -> list[SubmittedFile]:
    """The files of a team's sandbox in the order of the workflow.

    What it has not saved yet is the starting kit's. Raises NotFound: there is no kit.
    """
    saved = {
        Path(file.name).stem: SubmittedFile(file.name, file.content)
        for file in session.scalars(select(SandboxFile).where(_own(event, team)))
    }
    names = event.problem.workflow.element_names
    if not all(name in saved for name in names):
        kit = kits.find_kit(event.problem.name, settings.kits_path)
        given = read_files(kits.starting_kit_of(kit), event.problem.workflow)
        saved = {Path(file.name).stem: file for file in given} | saved
    return [saved[name] for name in names if name in saved]


def save(session: Session, event: Event, team: Team, files: Mapping[str, bytes]) -> None:
    """Keep files under names such as `estimator.py`; those of the same element are replaced.

    Raises InvalidValue: the workflow does not know the name, or a file is too large.
    """
    session.get(EventTeam, (event.id, team.id), with_for_update=True)  # one after the other
    for name, content in files.items():
        element = check_name_of_file(event, name)
        if len(content) > MAX_SIZE:
            raise InvalidValue(
                f"{printable(name)} is larger than {MAX_SIZE // 1024**2} MB.",
                "Submit it from a shell: the page on programs says how.",
            )
        # the same element under another suffix goes
        own = _own(event, team) & (
            (SandboxFile.name == element)
            | SandboxFile.name.startswith(f"{element}.", autoescape=True)
        )
        session.execute(delete(SandboxFile).where(own))
        session.add(SandboxFile(event_id=event.id, team_id=team.id, name=name, content=content))
        session.flush()


def reset(session: Session, event: Event, team: Team) -> None:
    """Begin anew with the starting kit."""
    session.execute(delete(SandboxFile).where(_own(event, team)))


def check_name_of_file(event: Event, name: str) -> str:
    """The element that a file is of. Raises InvalidValue."""
    stem, _, suffix = name.partition(".")
    for element in event.problem.workflow.elements:
        is_right = suffix == "py" if element.type.kind == "code" else suffix.isalnum()
        if element.type.name == stem and is_right and name.isascii() and len(name) <= 80:
            return stem
    wanted = [
        f"{element.type.name}.{'py' if element.type.kind == 'code' else '*'}"
        for element in event.problem.workflow.elements
    ]
    raise InvalidValue(
        f"{printable(name[:80])} is no file of this event.", f"It wants {', '.join(wanted)}."
    )


def submit_files(
    session: Session,
    settings: Settings,
    event: Event,
    team: Team,
    name: str,
    files: list[SubmittedFile],
    *,
    is_admin: bool = False,
) -> Submission:
    """Submit files for a team. Raises as `submissions.submit`."""
    with tempfile.TemporaryDirectory(prefix="databoard-") as folder:
        for file in files:
            check_name_of_file(event, file.name)
            Path(folder, file.name).write_bytes(file.content)
        return submit(
            session, settings, event.name, team.name, name, Path(folder), is_admin=is_admin
        )


def _own(event: Event, team: Team) -> ColumnElement[bool]:
    return (SandboxFile.event_id == event.id) & (SandboxFile.team_id == team.id)
