"""Users, teams and sign-ups, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard import people
from databoard.errors import AlreadyThere, DataboardError, InvalidValue, NotFound
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, User
from databoard.model.problem import Problem, Workflow


@pytest.fixture
def event(session: Session) -> Event:
    problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
    event = Event(name="iris", title="Iris", problem=problem, n_folds=1, folds_digest="0" * 64)
    session.add(event)
    return event


def test_a_user_has_a_team_of_the_same_name(session: Session) -> None:
    people.create_user(session, "saffron", " Saffron@Example.ORG ", " Saffron ", "Crocus")
    session.flush()
    session.expire_all()
    user = session.scalars(select(User)).one()
    team = session.scalars(select(Team)).one()
    assert (user.name, user.email, user.access_level) == ("saffron", "saffron@example.org", "asked")
    assert (user.firstname, user.lastname, user.password_hash) == ("Saffron", "Crocus", None)
    assert (team.name, team.members) == ("saffron", [user])
    assert user.created_at.tzinfo is not None


def test_a_password_is_stored_as_its_argon2id_hash(session: Session) -> None:
    user = people.create_user(session, "saffron", "s@example.org", password="correct horse")
    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$")
    assert "$m=7168,t=5,p=1$" in user.password_hash
    assert people.is_password(user.password_hash, "correct horse")
    assert not people.is_password(user.password_hash, "correct horse ")
    assert people.hash_password("correct horse") != user.password_hash  # salted


@pytest.mark.parametrize("level", ["asked", "not_confirmed"])
def test_who_asked_is_let_in_once(session: Session, level: str) -> None:
    people.create_user(session, "saffron", "s@example.org", access_level=level)
    people.approve_user(session, "saffron")
    session.flush()
    session.expire_all()
    assert session.scalars(select(User.access_level)).one() == "user"
    with pytest.raises(DataboardError, match=r"^The user saffron is already approved\.\nThere is"):
        people.approve_user(session, "saffron")


@pytest.mark.parametrize("level", ["user", "admin"])
def test_a_team_of_approved_members_signs_up(session: Session, event: Event, level: str) -> None:
    people.create_user(session, "saffron", "s@example.org", access_level=level)
    people.sign_up_team(session, "iris", "saffron")
    session.flush()
    session.expire_all()
    signed_up = session.scalars(select(EventTeam)).one()
    assert (signed_up.event.name, signed_up.team.name) == ("iris", "saffron")


def test_all_members_are_approved_before_their_team_signs_up(
    session: Session, event: Event
) -> None:
    people.create_user(session, "saffron", "s@example.org", access_level="user")
    juniper = people.create_user(session, "juniper", "j@example.org")
    session.flush()
    team = session.scalars(select(Team).where(Team.name == "saffron")).one()
    team.members.append(juniper)
    with pytest.raises(DataboardError) as caught:
        people.sign_up_team(session, "iris", "saffron")
    assert str(caught.value) == (
        "juniper of the team saffron is not approved.\nApprove first: inv approve-user juniper"
    )


Do = Callable[[Session], object]
ADDRESS = "Write name@host.domain in ASCII; a host of other letters begins with xn--."
MISTAKES: list[tuple[Do, type[DataboardError], str]] = [
    (
        lambda session: people.create_user(session, "saffron", "other@example.org"),
        AlreadyThere,
        "There is already a user saffron.\nChoose another name.",
    ),
    (
        lambda session: people.create_user(session, "free_team", "other@example.org"),
        AlreadyThere,
        "There is already a team free_team.\nChoose another name.",
    ),
    (
        lambda session: people.create_user(session, "other", "SAFFRON@example.org"),
        AlreadyThere,
        "The mail address saffron@example.org already belongs to the user saffron.\n"
        "Use that account, or another address.",
    ),
    (
        lambda session: people.create_user(session, "other", "o@example.org", firstname="a\x1bb"),
        InvalidValue,
        "The first name 'a\\x1bb' cannot be stored.\nUse at most 100 printable characters.",
    ),
    (
        lambda session: people.create_user(session, "other", "o@example.org", lastname="x" * 101),
        InvalidValue,
        f"The last name '{'x' * 40}' cannot be stored.\nUse at most 100 printable characters.",
    ),
    (
        lambda session: people.create_user(session, "other", "o@example.org", password="short"),
        InvalidValue,
        "The password is too short.\nUse at least 8 characters.",
    ),
    (
        lambda session: people.create_user(
            session, "a", "o@example.org", password="secret\udcff12"
        ),
        InvalidValue,
        "The password is not text.\nType it in UTF-8.",
    ),
    (
        lambda session: people.approve_user(session, "safron"),
        NotFound,
        "There is no user 'safron'.\nDid you mean saffron?",
    ),
    (
        lambda session: people.sign_up_team(session, "irsi", "saffron"),
        NotFound,
        "There is no event 'irsi'.\nDid you mean iris?",
    ),
    (
        lambda session: people.sign_up_team(session, "iris", "zebra"),
        NotFound,
        "There is no team 'zebra'.\nAdd it with: inv create-user",
    ),
    (
        lambda session: people.sign_up_team(session, "iris", "free_team"),
        AlreadyThere,
        "The team free_team is already signed up to iris.\nThere is nothing to do.",
    ),
]
ADDRESSES = ("", "saffron", "a@b", "a@@b.org", "a b@c.org", "<a>@c.org", "a@c.org\nBcc: x")
ADDRESSES += ("a..b@c.org", ".a@c.org", "a.@c.org", "\xe4@c.org", "a@b\xfccher.org", "a@-c.org")
ADDRESSES += ("a\x1bb@c.org", "a\udcff@c.org", "a@c..org", "a" * 250 + "@c.org", "A@-\xe9.org")
MISTAKES += [
    (
        lambda session, email=email: people.create_user(session, "other", email),
        InvalidValue,
        f"{email.lower()!r} is not a mail address.\n{ADDRESS}",
    )
    for email in ADDRESSES
]


@pytest.mark.parametrize(("do", "kind", "said"), MISTAKES, ids=[m[2][:40] for m in MISTAKES])
def test_mistakes(
    session: Session, event: Event, do: Do, kind: type[DataboardError], said: str
) -> None:
    people.create_user(session, "saffron", "saffron@example.org")
    session.add(EventTeam(event=event, team=Team(name="free_team")))
    session.flush()
    with pytest.raises(kind) as caught:
        do(session)
    assert str(caught.value) == said
    assert not session.new and not session.dirty
