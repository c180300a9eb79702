"""Deleting for good: what would go is known first; files go once the rows are gone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from databoard import keeping
from databoard.config import Settings
from databoard.database import after_commit
from databoard.errors import DataboardError, NotFound
from databoard.lookup import find_old
from databoard.model.base import Base, Named
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, TeamMember, User
from databoard.model.problem import Problem
from databoard.model.states import LEASED
from databoard.model.submission import Submission, SubmissionCredit
from databoard.names import counted
from databoard.submissions import find_submission, folder_of
from databoard.teams import check_not_the_only_admin

SHOWN = 5  # paths that cannot be removed, at most
Rows = tuple[type[Base], ColumnElement[bool]]


@dataclass(frozen=True)
class Removal:
    """What goes: its sentence, what goes with it, rows in the order of deleting, and paths."""

    what: str
    lines: tuple[str, ...]
    rows: tuple[Rows, ...]
    paths: tuple[Path, ...]
    submissions: Path  # the folder of all


def of_submission(
    session: Session, settings: Settings, event_name: str, team_name: str, name: str
) -> Removal:
    """A submission with its scores, credits and files. Raises NotFound, DataboardError."""
    submission = find_submission(session, event_name, team_name, name)
    what = f"the submission {name} of {team_name} in {event_name}"
    return _removal(session, settings, what, Submission.id == submission.id)


def of_event_team(session: Session, settings: Settings, event_name: str, team_name: str) -> Removal:
    """A sign-up with all submissions of the team to the event. Raises NotFound, DataboardError."""
    event, team = find_old(session, Event, event_name), find_old(session, Team, team_name)
    if session.get(EventTeam, (event.id, team.id)) is None:
        raise NotFound(
            f"The team {team_name} is not signed up to {event_name}.", "See: inv list-teams"
        )
    which = (EventTeam.event_id == event.id) & (EventTeam.team_id == team.id)
    own = (Submission.event_id == event.id) & (Submission.team_id == team.id)
    what = f"the sign-up of {team_name} to {event_name}"
    return _removal(session, settings, what, own, (EventTeam, which))


def of_event(session: Session, settings: Settings, name: str) -> Removal:
    """An event with its sign-ups and submissions. Raises NotFound, DataboardError."""
    event = find_old(session, Event, name)
    return _removal(
        session,
        settings,
        f"the event {name}",
        Submission.event_id == event.id,
        (EventTeam, EventTeam.event_id == event.id),
        (Event, Event.id == event.id),
    )


def of_problem(session: Session, settings: Settings, name: str, from_disk: bool = False) -> Removal:
    """A problem with its events; `from_disk`: its kit and data too. Raises NotFound,
    DataboardError.
    """
    problem = find_old(session, Problem, name)
    own = select(Event.id).where(Event.problem_id == problem.id)
    kit = [settings.kits_path / name, settings.data_path / name] if from_disk else []
    return _removal(
        session,
        settings,
        f"the problem {name}",
        Submission.event_id.in_(own),
        (EventTeam, EventTeam.event_id.in_(own)),
        (Event, Event.problem_id == problem.id),
        (Problem, Problem.id == problem.id),
        paths=[path for path in kit if path.exists() or path.is_symlink()],
    )


def of_user(session: Session, settings: Settings, name: str) -> Removal:
    """A user with the teams that nobody else is in, their sign-ups and submissions.

    Raises NotFound, DataboardError (the only admin).
    """
    user = find_old(session, User, name)
    check_not_the_only_admin(session, user)
    mine = select(Team).join(TeamMember).where(TeamMember.user_id == user.id).order_by(Team.id)
    teams = session.scalars(mine.with_for_update(of=Team)).all()  # nobody joins them now
    others = select(TeamMember.team_id).where(TeamMember.user_id != user.id)
    own = select(TeamMember.team_id).where(
        TeamMember.user_id == user.id, TeamMember.team_id.not_in(others)
    )
    ids = session.scalars(own).all()  # once the user is gone, the query finds none
    return _removal(
        session,
        settings,
        f"the user {name}",
        Submission.team_id.in_(ids),
        (EventTeam, EventTeam.team_id.in_(ids)),
        (Team, Team.id.in_(ids)),
        (User, User.id == user.id),
        lines=[f"the place in the team {team.name}" for team in teams if team.id not in ids],
    )


def carry_out(session: Session, removal: Removal) -> None:
    """Delete the rows; the files go when the caller's transaction is committed."""
    for table, which in removal.rows:
        session.execute(delete(table).where(which))
    session.expire_all()
    after_commit(session, partial(_remove_all, removal))


def _removal(
    session: Session,
    settings: Settings,
    what: str,
    which: ColumnElement[bool],
    *others: Rows,
    paths: Sequence[Path] = (),
    lines: Sequence[str] = (),
) -> Removal:
    """Lock what goes, so that nothing is added to it meanwhile, and look through it."""
    for table, others_which in reversed(others):
        session.execute(select(table).where(others_which).with_for_update()).all()
    found = session.execute(
        select(Submission.id, Submission.name, Submission.state)
        .where(which)
        .order_by(Submission.id)
        .with_for_update()
    ).all()
    if running := [row for row in found if row.state in LEASED]:
        one = session.get_one(Submission, running[0].id)
        raise DataboardError(
            f"The submission {one.name} is being trained.",
            f"End it first: inv cancel {one.event.name} {one.team.name} {one.name}",
        )
    lines = list(lines)
    if submissions := Counter(row.state for row in found):
        states = ", ".join(f"{count} {state}" for state, count in sorted(submissions.items()))
        lines.append(f"{counted(len(found), 'submission')} with scores and files ({states})")
    owed = SubmissionCredit.source_id.in_(select(Submission.id).where(which))
    own = SubmissionCredit.submission_id.in_(select(Submission.id).where(which))
    credits = session.scalar(select(func.count()).where(owed | own))
    if credits:
        lines.append(counted(credits, "credit"))
    nouns = {EventTeam: "sign-up", Event: "event", Team: "team"}
    for table, others_which in others[:-1]:
        rows = session.scalars(select(table).where(others_which)).all()
        if rows:
            names = [row.name for row in rows if isinstance(row, Named)]
            lines.append(counted(len(rows), nouns[table]) + f": {', '.join(names)}" * bool(names))
    folders = [folder_of(settings, row.id) for row in found]
    lines += [f"the folder {path}" for path in paths]
    going: tuple[Rows, ...] = ((Submission, which), *others)
    return Removal(what, tuple(lines), going, (*folders, *paths), settings.submissions_path)


def _remove_all(removal: Removal) -> None:
    """Remove all paths that can be. Raises DataboardError when some cannot."""
    left = []
    for path in removal.paths:
        try:
            keeping.remove(removal.submissions, path)
        except OSError as error:
            left.append(f"{path} ({error.strerror})")
    if left:
        raise DataboardError(
            f"Deleted {removal.what}, but {counted(len(left), 'folder')} cannot be removed: "
            f"{', '.join(left[:SHOWN])}{' and more' * (len(left) > SHOWN)}.",
            "Nothing refers to what is left: remove it by hand.",
        )
