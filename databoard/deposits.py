"""Submissions that a kit brings along: `deposited_submissions/TEAM/NAME/`, to try an event with."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard import kits, people, submissions
from databoard.config import Settings
from databoard.errors import DataboardError, NotFound
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.submission import Submission

FOLDER = "deposited_submissions"


@dataclass(frozen=True)
class Deposit:
    """What became of a deposited submission: an error, or None when it was submitted."""

    team: str
    name: str
    error: DataboardError | None = None


def submit_deposited(session: Session, settings: Settings, event_name: str) -> list[Deposit]:
    """Sign the teams up and submit what the kit of the event brings; what is there already stays.

    One that cannot be submitted does not hold up the others. Raises NotFound, KitError.
    """
    event = find(session, Event, event_name)
    folder = kits.find_kit(event.problem.name, settings.kits_path) / FOLDER
    paths = sorted(path for path in folder.glob("*/*") if path.is_dir())
    if not paths:
        raise NotFound(
            f"The kit {event.problem.name} brings no submissions along.",
            f"Put them into {folder}/TEAM/NAME/.",
        )
    there = select(Team.name, Submission.name).join(Submission.team)
    present = {tuple(row) for row in session.execute(there.where(Submission.event_id == event.id))}
    deposits = []
    for path in paths:
        team, name = path.parent.name, path.name
        if (team, name) in present:
            continue
        try:
            with session.begin_nested():
                row = find(session, Team, team)
                if session.get(EventTeam, (event.id, row.id)) is None:
                    people.sign_up_team(session, event_name, team)
                    session.flush()
                submissions.submit(session, settings, event_name, team, name, path)
        except DataboardError as error:
            deposits.append(Deposit(team, name, error))
        else:
            deposits.append(Deposit(team, name))
    return deposits
