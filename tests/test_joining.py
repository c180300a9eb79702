"""Teams that ask to take part, and are answered; two at once, too."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select

from databoard import database, joining, people
from databoard.errors import AlreadyThere, DataboardError, NotFound
from databoard.lookup import find
from databoard.model.event import Event, EventTeam, SignUpRequest
from databoard.model.people import Team, User
from databoard.model.problem import Problem, Workflow


@pytest.fixture(autouse=True)
def event(engine: Engine) -> None:
    """The event autumn, and the users saffron, juniper and, not let in yet, sorrel."""
    with database.session_scope(engine) as session:
        problem = Problem(name="clouds", title="Clouds", workflow=Workflow(name="Estimator"))
        session.add(Event(name="autumn", title="A", problem=problem, n_folds=1, folds_digest="0"))
        for name, level in {"saffron": "user", "juniper": "user", "sorrel": "asked"}.items():
            people.create_user(session, name, f"{name}@example.org", access_level=level)


def ask(engine: Engine, team: str) -> bool:
    with database.session_scope(engine) as session:
        return joining.ask_to_join(
            session, find(session, Event, "autumn"), find(session, Team, team)
        )


def answer(engine: Engine, team: str, is_yes: bool) -> None:
    with database.session_scope(engine) as session:
        joining.answer(session, find(session, Event, "autumn"), find(session, Team, team), is_yes)


def state(engine: Engine) -> tuple[list[str], list[str]]:
    """The teams that ask, and those that take part."""
    with database.reading(engine) as session:
        asking = [request.team.name for request in joining.requests(session)]
        return asking, list(session.scalars(select(Team.name).join(EventTeam).order_by(Team.name)))


def set_event(engine: Engine, **values: object) -> None:
    with database.session_scope(engine) as session:
        for name, value in values.items():
            setattr(find(session, Event, "autumn"), name, value)


def test_an_admin_answers(engine: Engine) -> None:
    assert not ask(engine, "saffron") and not ask(engine, "juniper")
    assert state(engine) == (["saffron", "juniper"], [])
    with pytest.raises(AlreadyThere, match="The team saffron has asked already"):
        ask(engine, "saffron")
    answer(engine, "saffron", True)
    answer(engine, "juniper", False)
    assert state(engine) == ([], ["saffron"])
    with pytest.raises(AlreadyThere, match=r"The team saffron takes part already\."):
        ask(engine, "saffron")
    for team in ("saffron", "juniper"):
        with pytest.raises(NotFound, match=f"The team {team} does not ask to join autumn"):
            answer(engine, team, True)
    assert not ask(engine, "juniper")  # a no is not for ever


def test_where_sign_ups_are_free_nobody_asks(engine: Engine) -> None:
    assert not ask(engine, "saffron")
    set_event(engine, is_sign_up_controlled=False)
    assert ask(engine, "saffron") and ask(engine, "juniper")
    assert state(engine) == ([], ["juniper", "saffron"])


def test_who_may_not_ask(engine: Engine) -> None:
    with pytest.raises(DataboardError, match=r"sorrel of the team sorrel is not approved yet\."):
        ask(engine, "sorrel")
    with database.session_scope(engine) as session:
        team = find(session, Team, "saffron")
        team.members.append(find(session, User, "juniper"))
    with pytest.raises(DataboardError, match="saffron"):  # an event has teams of one by default
        ask(engine, "saffron")
    assert state(engine) == ([], [])


@pytest.mark.parametrize("is_free", [False, True], ids=["controlled", "free"])
def test_many_clicks_are_one_request(engine: Engine, is_free: bool) -> None:
    set_event(engine, is_sign_up_controlled=not is_free)
    barrier = threading.Barrier(6)

    def click(_: int) -> str:
        barrier.wait()
        try:
            return str(ask(engine, "saffron"))
        except DataboardError as error:
            return type(error).__name__

    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(click, range(6)))
    assert got.count(str(is_free)) == 1 and got.count("AlreadyThere") == 5
    with database.reading(engine) as session:
        assert len(session.scalars(select(SignUpRequest)).all()) == (not is_free)
