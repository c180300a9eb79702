"""Users of a roster: added and signed up by name."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from databoard import batch, people, roster
from databoard.database import reading, session_scope
from databoard.errors import AlreadyThere, InvalidValue, NotFound
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, User
from databoard.model.problem import Problem, Workflow
from tests.test_roster import ADA, EMMY, HEAD


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def passwords_of(file: Path, out: Path) -> roster.People:
    """Passwords for a file, its lines in another order."""
    roster.write_passwords(roster.read(file), out)
    head, *lines = out.read_text().splitlines()
    random.Random(1).shuffle(lines)
    out.write_text("\n".join([head, *lines]) + "\n")
    return roster.read(out, with_passwords=True)


def test_users_are_added_with_the_password_of_their_name(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    names = [f"user{number}" for number in range(6)]
    lines = "".join(f"First,Last,{name.upper()}@example.org,{name},note\n" for name in names)
    file.write_text(HEAD + lines)
    secret = passwords_of(file, tmp_path / "out")
    counts: list[int] = []
    outcome = batch.add_users(engine, roster.read(file), secret, counts.append)
    assert outcome == batch.Outcome(6, 0, ())
    assert counts == [1, 2, 3, 4, 5, 6]
    with reading(engine) as session:
        users = {user.name: user for user in session.scalars(select(User))}
        for row in secret.rows:
            user = users[row.name]
            assert people.is_password(str(user.password_hash), row.password)
            assert (user.email, user.access_level) == (f"{row.name}@example.org", "user")
            assert user.hidden_notes == "note"
            assert [member.name for member in find(session, Team, row.name).members] == [row.name]
    again = batch.add_users(engine, roster.read(file), secret)
    assert again == batch.Outcome(0, 6, ())


def test_who_is_there_otherwise_is_skipped_and_the_others_go_on(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    with session_scope(engine) as session:
        people.create_user(session, "lovelace", "ada@example.org")
        people.create_user(session, "emmy", "noether@example.org")
        session.add(Team(name="engines"))
    more = "G,H,grace@example.org,grace,\nE,E,engines@example.org,engines,\n"
    file.write_text(HEAD + ADA + EMMY + more)
    outcome = batch.add_users(engine, roster.read(file), passwords_of(file, tmp_path / "out"))
    assert outcome == batch.Outcome(
        1,
        0,
        (
            "line 2: ada has the mail address ada@example.org, which belongs to the user lovelace.",
            "line 3: the user emmy is there already, with another mail address.",
            "line 5: there is already a team engines.",
        ),
    )
    with reading(engine) as session:
        assert sorted(session.scalars(select(User.name))) == ["emmy", "grace", "lovelace"]


def test_without_a_password_nobody_is_added(engine: Engine, file: Path, tmp_path: Path) -> None:
    file.write_text(HEAD + ADA)
    secret = passwords_of(file, tmp_path / "out")
    file.write_text(HEAD + ADA + EMMY)
    with pytest.raises(InvalidValue) as caught:
        batch.add_users(engine, roster.read(file), secret)
    assert caught.value.message == "1 user without a password, first emmy."
    with reading(engine) as session:
        assert session.scalars(select(User)).all() == []


def test_they_are_signed_up(engine: Engine, file: Path) -> None:
    with session_scope(engine) as session:
        people.create_user(session, "ada", "ada@example.org", access_level="user")
        people.create_user(session, "emmy", "emmy@example.org")  # she waits for approval
        problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
        folds = {"n_folds": 1, "folds_digest": "0" * 64}
        session.add(Event(name="iris", title="Iris", problem=problem, **folds))
    file.write_text(HEAD + ADA + EMMY + "G,H,grace@example.org,grace,\n")
    with session_scope(engine) as session:
        outcome = batch.sign_up(session, roster.read(file), "iris")
    assert outcome == batch.Outcome(
        1,
        0,
        (
            "line 3: emmy of the team emmy is not approved.",
            "line 4: there is no user grace.",
        ),
    )
    with session_scope(engine) as session:
        assert batch.sign_up(session, roster.read(file), "iris").before == 1
        assert [row.team.name for row in session.scalars(select(EventTeam))] == ["ada"]
        with pytest.raises(NotFound):
            batch.sign_up(session, roster.read(file), "rose")


def test_nobody_is_signed_up_for_somebody_else(engine: Engine, file: Path) -> None:
    with session_scope(engine) as session:
        people.create_user(session, "lovelace", "ada@example.org", access_level="user")
        people.create_user(session, "emmy", "noether@example.org", access_level="user")
        session.add(Team(name="grace"))
        problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
        folds = {"n_folds": 1, "folds_digest": "0" * 64}
        session.add(Event(name="iris", title="Iris", problem=problem, **folds))
    file.write_text(HEAD + ADA + EMMY + "G,H,grace@example.org,grace,\n")
    with session_scope(engine) as session:
        outcome = batch.sign_up(session, roster.read(file), "iris")
        assert session.scalars(select(EventTeam)).all() == []
    assert outcome == batch.Outcome(
        0,
        0,
        (
            "line 2: ada has the mail address ada@example.org, which belongs to the user lovelace.",
            "line 3: the user emmy is there already, with another mail address.",
            "line 4: there is no user grace.",
        ),
    )


def test_made_up_users_have_names_that_are_free(engine: Engine, tmp_path: Path) -> None:
    with session_scope(engine) as session:
        session.add(Team(name="test_user_002"))
    for out, names in (("a", ["test_user_001", "test_user_003"]), ("b", ["test_user_004"])):
        outcome = batch.add_made_up(engine, len(names), tmp_path / out)
        assert outcome == batch.Outcome(len(names), 0, ())
        rows = roster.read(tmp_path / out, with_passwords=True).rows
        assert [row.name for row in rows] == names
        with reading(engine) as session:
            for row in rows:
                user = find(session, User, row.name)
                assert people.is_password(str(user.password_hash), row.password)
    with pytest.raises(AlreadyThere):
        batch.add_made_up(engine, 1, tmp_path / "b")
