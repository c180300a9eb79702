"""Deleting for good: what goes is said, goes whole, and nothing else goes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from databoard import database, removal, submissions
from databoard.config import Settings
from databoard.errors import DataboardError
from databoard.lookup import find
from databoard.model.base import Base
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, User
from databoard.model.problem import Problem
from databoard.model.submission import Submission, SubmissionCredit, SubmissionScore
from databoard.removal import Removal
from tests.test_leaderboard import add_scored, make_event

LEFT = {  # of 2 problems with an event each, 2 teams in each with 2 submissions
    "problem": (Problem, 2),
    "event": (Event, 2),
    "event_team": (EventTeam, 4),
    "submission": (Submission, 8),
    "submission_score": (SubmissionScore, 16),
    "submission_credit": (SubmissionCredit, 2),
    "team": (Team, 3),
    "user_account": (User, 2),
}
Find = Callable[[Session, Settings], Removal]
CASES: dict[str, tuple[Find, tuple[str, ...], dict[str, int], int]] = {
    "the submission one of saffron in autumn": (
        lambda *at: removal.of_submission(*at, "autumn", "saffron", "one"),
        ("1 submission with scores and files (1 scored)", "1 credit"),
        {"submission": 7, "submission_score": 14, "submission_credit": 1},
        1,
    ),
    "the sign-up of juniper to autumn": (
        lambda *at: removal.of_event_team(*at, "autumn", "juniper"),
        ("2 submissions with scores and files (2 scored)", "1 credit"),
        {"event_team": 3, "submission": 6, "submission_score": 12, "submission_credit": 1},
        2,
    ),
    "the user saffron": (
        lambda *at: removal.of_user(*at, "saffron"),
        (
            "the place in the team spices",
            "4 submissions with scores and files (4 scored)",
            "2 credits",
            "2 sign-ups",
            "1 team: saffron",
        ),
        {
            "event_team": 2,
            "submission": 4,
            "submission_score": 8,
            "submission_credit": 0,
            "team": 2,
            "user_account": 1,
        },
        4,
    ),
    "the event autumn": (
        lambda *at: removal.of_event(*at, "autumn"),
        ("4 submissions with scores and files (4 scored)", "1 credit", "2 sign-ups"),
        {
            "event": 1,
            "event_team": 2,
            "submission": 4,
            "submission_score": 8,
            "submission_credit": 1,
        },
        4,
    ),
    "the problem spring": (
        lambda *at: removal.of_problem(*at, "spring", from_disk=True),
        (
            "4 submissions with scores and files (4 scored)",
            "1 credit",
            "2 sign-ups",
            "1 event: spring",
            "the folder {deployment}/ramp-kits/spring",
            "the folder {deployment}/ramp-data/spring",
        ),
        {
            "problem": 1,
            "event": 1,
            "event_team": 2,
            "submission": 4,
            "submission_score": 8,
            "submission_credit": 1,
        },
        6,
    ),
}


@pytest.fixture(autouse=True)
def filled(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    """Two problems with an event each, two teams in each, two submissions of each."""
    with database.session_scope(engine) as session:
        for name in ("autumn", "spring"):
            event = make_event(session, True, name)
            ids = [
                add_scored(session, event, team, submission, (1.0, 1.0), (1.0, 1.0))
                for team in ("saffron", "juniper")
                for submission in ("one", "two")
            ]
            credit = {"submission_id": ids[2], "source_id": ids[0], "share": 0.5}
            session.execute(insert(SubmissionCredit).values(credit))
            for id_ in ids:
                (submissions.folder_of(settings, id_) / "files").mkdir(parents=True)
        members = [
            User(name=name, email=f"{name}@example.org", access_level=level)
            for name, level in (("saffron", "user"), ("juniper", "admin"))
        ]
        for member in members:
            team = find(session, Team, member.name)
            team.members.append(member)
        session.add(Team(name="spices", members=members))
    (settings.kits_path / "spring").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (settings.data_path / "spring").symlink_to(tmp_path / "elsewhere")


def counts(engine: Engine) -> dict[str, int]:
    with database.reading(engine) as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, (table, _) in LEFT.items()
        }


def everything() -> dict[str, int]:
    return {name: count for name, (_, count) in LEFT.items()}


@pytest.mark.parametrize("what", CASES)
def test_what_is_said_goes_with_its_files(
    engine: Engine, settings: Settings, tmp_path: Path, what: str
) -> None:
    look, lines, left, n_paths = CASES[what]
    with database.session_scope(engine) as session:
        found = look(session, settings)
    here = str(settings.deployment_path)
    assert (found.what, found.lines) == (
        what,
        tuple(line.replace("{deployment}", here) for line in lines),
    )
    assert len(found.paths) == n_paths and all(path.exists() for path in found.paths)
    assert counts(engine) == everything()  # looking changes nothing
    with database.session_scope(engine) as session:
        removal.carry_out(session, look(session, settings))
        assert all(path.exists() for path in found.paths)  # not before the commit
    assert counts(engine) == everything() | left
    assert not any(path.exists() or path.is_symlink() for path in found.paths)
    assert len([*settings.submissions_path.glob("submission_*")]) == left.get("submission", 8)
    assert (tmp_path / "elsewhere").is_dir()  # a link goes, not what it leads to


def test_what_is_rolled_back_keeps_its_files(engine: Engine, settings: Settings) -> None:
    with pytest.raises(RuntimeError), database.session_scope(engine) as session:
        removal.carry_out(session, removal.of_event(session, settings, "autumn"))
        raise RuntimeError("the power is gone")
    assert counts(engine) == everything()
    assert len([*settings.submissions_path.glob("submission_*")]) == 8


def test_files_that_cannot_be_removed_are_named_and_the_others_go(
    engine: Engine, settings: Settings
) -> None:
    with database.reading(engine) as session:
        first, *others = removal.of_event(session, settings, "autumn").paths
    shutil.rmtree(first)
    first.write_text("no folder")  # which not even root removes as one
    with pytest.raises(DataboardError) as caught, database.session_scope(engine) as session:
        removal.carry_out(session, removal.of_event(session, settings, "autumn"))
    assert str(caught.value) == (
        f"Deleted the event autumn, but 1 folder cannot be removed: {first} (Not a directory).\n"
        "Nothing refers to what is left: remove it by hand."
    )
    assert not any(path.exists() for path in others)
    assert counts(engine)["event"] == 1


def test_a_problem_keeps_its_kit_by_default(engine: Engine, settings: Settings) -> None:
    with database.session_scope(engine) as session:
        removal.carry_out(session, removal.of_problem(session, settings, "spring"))
    assert (settings.kits_path / "spring").is_dir() and (settings.data_path / "spring").exists()


@pytest.mark.parametrize("what", [what for what in CASES if "autumn" in what])
def test_what_is_being_trained_is_not_deleted(
    engine: Engine, settings: Settings, what: str
) -> None:
    with database.session_scope(engine) as session:
        event = session.scalars(select(Event).where(Event.name == "autumn")).one()
        of_autumn = update(Submission).where(Submission.event_id == event.id)
        submissions.put_back(session, Submission.event_id == event.id)
        leased = {"state": "training", "worker": "w", "lease_end": event.created_at}
        session.execute(of_autumn.values(leased))
    before = counts(engine)
    with pytest.raises(DataboardError) as caught, database.session_scope(engine) as session:
        CASES[what][0](session, settings)
    assert re.fullmatch(
        r"The submission one is being trained\.\nEnd it first: inv cancel autumn \w+ one",
        str(caught.value),
    )
    assert counts(engine) == before


def test_every_table_of_an_event_goes_with_it(engine: Engine, settings: Settings) -> None:
    """No row is left that names what is gone: the database says so itself."""
    with database.session_scope(engine) as session:
        for name in ("autumn", "spring"):
            removal.carry_out(session, removal.of_problem(session, settings, name))
    assert Base.metadata.tables.keys() >= LEFT.keys()
    assert counts(engine) == dict.fromkeys(LEFT, 0) | {"team": 3, "user_account": 2}


def test_the_only_admin_stays(engine: Engine, settings: Settings) -> None:
    with (
        pytest.raises(DataboardError, match="The user juniper is the only admin"),
        database.session_scope(engine) as session,
    ):
        removal.of_user(session, settings, "juniper")
    assert counts(engine) == everything()


def test_a_team_of_several_keeps_its_others(engine: Engine, settings: Settings) -> None:
    with database.session_scope(engine) as session:
        removal.carry_out(session, removal.of_user(session, settings, "saffron"))
    with database.reading(engine) as session:
        assert [user.name for user in find(session, Team, "spices").members] == ["juniper"]
