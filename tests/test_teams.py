"""Teams of several members, access levels, and admins of events."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from databoard import people, teams
from databoard.database import session_scope
from databoard.errors import AlreadyThere, DataboardError, InvalidValue
from databoard.lookup import find
from databoard.model.event import Event
from databoard.model.people import Team, User
from databoard.model.problem import Problem, Workflow


@pytest.fixture
def users(session: Session) -> None:
    """Three users, and the event iris for teams of two."""
    for name in ("ada", "grace", "emmy"):
        people.create_user(session, name, f"{name}@example.org", access_level="user")
    problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
    folds = {"n_folds": 1, "folds_digest": "0" * 64}
    session.add(Event(name="iris", title="Iris", problem=problem, max_members=2, **folds))
    session.flush()


def told(error: pytest.ExceptionInfo[DataboardError]) -> tuple[str, str]:
    return error.value.message, error.value.hint


@pytest.mark.usefixtures("users")
def test_a_team_grows_as_its_events_allow(session: Session) -> None:
    teams.add_team(session, "engines", ["ada"])
    session.flush()
    people.sign_up_team(session, "iris", "engines")
    session.flush()
    teams.add_member(session, "engines", "grace")
    session.flush()
    assert [user.name for user in find(session, Team, "engines").members] == ["ada", "grace"]
    with pytest.raises(DataboardError) as caught:
        teams.add_member(session, "engines", "emmy")
    assert told(caught) == (
        "The event iris allows teams of 2; engines would have 3 members.",
        "Allow more: inv update-event iris --max-members=3",
    )
    with pytest.raises(AlreadyThere, match=r"^The user ada is in the team engines already"):
        teams.add_member(session, "engines", "ada")


@pytest.mark.usefixtures("users")
def test_a_team_that_is_too_large_is_not_signed_up(session: Session) -> None:
    teams.add_team(session, "all", ["ada", "grace", "emmy"])
    session.flush()
    with pytest.raises(
        DataboardError, match=r"^The event iris allows teams of 2; all would have 3"
    ):
        people.sign_up_team(session, "iris", "all")


@pytest.mark.usefixtures("users")
def test_a_user_s_own_team_stays_alone(session: Session) -> None:
    with pytest.raises(DataboardError) as caught:
        teams.add_member(session, "ada", "grace")
    assert told(caught) == (
        "The team ada is that of the user of this name.",
        "Make another one: inv add-team NAME ada,grace",
    )


@pytest.mark.usefixtures("users")
def test_access_levels(session: Session) -> None:
    assert teams.set_access_level(session, "ada", "admin") == "user"
    assert find(session, User, "ada").access_level == "admin"
    with pytest.raises(DataboardError) as caught:
        teams.set_access_level(session, "ada", "user")
    assert told(caught) == (
        "The user ada is the only admin.",
        "Make another one first: inv set-access-level",
    )
    teams.set_access_level(session, "grace", "admin")
    assert teams.set_access_level(session, "ada", "user") == "admin"
    with pytest.raises(InvalidValue, match=r"^'root' is no access level"):
        teams.set_access_level(session, "ada", "root")


@pytest.mark.usefixtures("users")
def test_admins_of_an_event(session: Session) -> None:
    teams.make_event_admin(session, "iris", "ada")
    session.flush()
    assert [user.name for user in find(session, Event, "iris").admins] == ["ada"]
    with pytest.raises(AlreadyThere, match=r"^The user ada is an admin of iris already"):
        teams.make_event_admin(session, "iris", "ada")


def both_at_once(engine: Engine, *changes: Callable[[Session], object]) -> list[str]:
    """Do each in a transaction of its own, the others before the first has ended; what failed."""
    begun, failed = threading.Barrier(len(changes)), []

    def change(do: Callable[[Session], object]) -> None:
        begun.wait()
        try:
            with session_scope(engine) as session:
                do(session)
        except DataboardError as error:
            failed.append(error.message)

    threads = [threading.Thread(target=change, args=(do,)) for do in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


@pytest.mark.parametrize("turn", range(5))
def test_two_admins_do_not_depose_each_other(engine: Engine, turn: int) -> None:
    with session_scope(engine) as session:
        for name in ("ada", "emmy"):
            people.create_user(session, name, f"{name}@example.org", access_level="admin")
    failed = both_at_once(
        engine,
        lambda session: teams.set_access_level(session, "ada", "user"),
        lambda session: teams.set_access_level(session, "emmy", "user"),
    )
    assert len(failed) == 1 and failed[0].endswith(" is the only admin.")


@pytest.mark.parametrize("turn", range(5))
def test_a_team_does_not_grow_while_it_signs_up(engine: Engine, turn: int) -> None:
    with session_scope(engine) as session:
        for name in ("ada", "emmy"):
            people.create_user(session, name, f"{name}@example.org", access_level="user")
        problem = Problem(name="rose", title="Rose", workflow=Workflow(name="Estimator"))
        folds = {"n_folds": 1, "folds_digest": "0" * 64}
        session.add(Event(name="rose", title="Rose", problem=problem, max_members=1, **folds))
        session.flush()
        teams.add_team(session, "poets", ["ada"])
    failed = both_at_once(
        engine,
        lambda session: people.sign_up_team(session, "rose", "poets"),
        lambda session: teams.add_member(session, "poets", "emmy"),
    )
    assert failed == ["The event rose allows teams of 1; poets would have 2 members."]
