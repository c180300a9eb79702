"""Deposited submissions: those that a kit of the older layout brings along, to try it with."""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard import kits
from databoard.config import Settings
from databoard.errors import NotFound
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.submission import Submission
from databoard.names import check_name
from databoard.people import sign_up_team
from databoard.submissions import submit

DEPOSITED = "deposited_submissions"


def submit_deposited(
    session: Session, settings: Settings, event_name: str
) -> list[tuple[str, str, bool]]:
    """Sign up each team of `deposited_submissions/TEAM/SUBMISSION`, and submit what is new.

    Returns team, submission, and whether it is new. Raises NotFound (no such folder, or a team
    that is not registered), and as `sign_up_team` and `submit` do.
    """
    event = find(session, Event, event_name)
    folder = kits.find_kit(event.problem.name, settings.kits_path) / DEPOSITED
    paths = [path for team in _folders(folder) for path in _folders(team)]
    if not paths:
        raise NotFound(
            f"The kit {event.problem.name} has no deposited submissions.",
            f"Put them into {folder}/TEAM/SUBMISSION.",
        )
    done = []
    for path in paths:
        name, team_name = check_name("submission", path.name), path.parent.name
        team = find(session, Team, check_name("team", team_name))
        if session.get(EventTeam, (event.id, team.id)) is None:
            sign_up_team(session, event_name, team_name)
            session.flush()
        taken = select(Submission.id).filter_by(event_id=event.id, team_id=team.id, name=name)
        is_new = session.scalar(taken) is None
        if is_new:
            submit(session, settings, event_name, team_name, name, path)
        done.append((team_name, name, is_new))
    return done


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    )
