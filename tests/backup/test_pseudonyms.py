"""Production's data on a test site: nobody is recognised, boards stay, production is never it."""

from __future__ import annotations

import io
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.orm import Session

from databoard import database, leaderboard
from databoard.backup.mails import Addresses
from databoard.backup.place import Place
from databoard.backup.pseudonyms import KEY
from databoard.backup.restore import restore
from databoard.backup.store import Store, opened
from databoard.backup.take import take
from databoard.backup.testcopy import copy_to_test, refuse_production
from databoard.config import Settings
from databoard.errors import DataboardError, NotFound
from databoard.lookup import find
from databoard.model.audit import Interaction
from databoard.model.base import Base
from databoard.model.people import AccessToken, SentMail, Team, User
from databoard.model.problem import Keyword
from databoard.model.sandbox import SandboxFile
from databoard.model.site import BoardVersion, SiteKey
from databoard.model.submission import Submission
from tests.conftest import unique_name
from tests.test_leaderboard import add_scored, make_event

TABLES = Base.metadata.sorted_tables
PEOPLE = ("ada", "emmy", "grace")
TROUBLE = "ValueError: ask Ada@Uni.example, or mailto=emmy@uni.example."


@pytest.fixture
def production(engine: Engine, settings: Settings) -> Settings:
    """A site with people, teams, scores, and addresses where nobody would look for them."""
    with database.session_scope(engine) as session:
        event = make_event(session, is_lower_the_better=True)
        for number, name in enumerate(PEOPLE):
            add_scored(session, event, name, "first", (number, number), (number, number))
            user = User(
                name=name,
                email=f"{name}@uni.example",
                firstname=name.title(),
                lastname="Surname",
                password_hash="$argon2id$x",
                access_level="user",
                hidden_notes=f"{name} pays by card",
            )
            team = find(session, Team, name)
            team.members.append(user)
        session.flush()
        session.add(Keyword(name="k", kind="data_domain", description="by grace@uni.example"))
        session.add(SentMail(user_id=1, kind="password", occasion="x"))
        session.add(Interaction(kind="wrote to emmy", user_id=1, address="192.0.2.7"))
        session.add(AccessToken(user_id=1, name="Surname", digest="0" * 64))
        session.add(SiteKey(name="web", value="pays by card"))
        draft = {"event_id": event.id, "team_id": 1, "name": "a.py", "content": b"uni.example"}
        session.execute(insert(SandboxFile).values(**draft))
        failed = {"event_id": event.id, "team_id": 1, "name": "failed", "files_digest": "0" * 64}
        error = {"error_kind": "exception", "error_message": TROUBLE}
        session.execute(insert(Submission).values(state="training_error", **failed, **error))
    return replace(settings, site="production")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with opened(Place(settings.own_store), "production") as store:
        store.make()
        yield store


@pytest.fixture
def test_site(
    production: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """Another deployment, whose empty database is of the same kind."""
    folder = tmp_path / "test-deployment"
    folder.mkdir()
    other = replace(production, site="test", deployment_path=folder)
    if production.db_url.startswith("sqlite"):
        other = replace(other, db_url=f"sqlite:///{folder / 'databoard.db'}")
        database.upgrade(other.db_url)
        yield other
        return
    cluster, name = request.getfixturevalue("postgresql"), unique_name()
    with cluster.database(name) as url:
        database.upgrade(url)
        try:
            yield replace(other, db_url=url)
        finally:
            cluster.execute(f'DROP DATABASE IF EXISTS "{name}_old" WITH (FORCE)')


@contextmanager
def looking(settings: Settings) -> Iterator[Session]:
    engine = database.open_engine(settings.db_url)
    with database.reading(engine) as session:
        yield session
    engine.dispose()


def everything(settings: Settings) -> str:
    """All that is in the database, as text."""
    with looking(settings) as session:
        return repr([session.execute(select(table)).all() for table in TABLES])


def board(settings: Settings) -> list[tuple[object, ...]]:
    with looking(settings) as session:
        found = leaderboard.public(session, leaderboard.load_event(session, "autumn"))
    return [tuple(row) for row in found.rows]


def test_nobody_is_recognised_and_the_boards_stay(
    production: Settings, store: Store, test_site: Settings
) -> None:
    before = board(production)
    copied = copy_to_test(test_site, store, take(production, store), ["ada"])
    assert (copied.pseudonymised.n_users, copied.pseudonymised.n_teams) == (3, 3)
    text_ = everything(test_site)
    for secret in ("uni.example", "Surname", "pays by card", "emmy", "Grace"):
        assert secret not in text_, secret
    with looking(test_site) as session:
        ada = find(session, User, "ada")
        assert (ada.password_hash, ada.email) == ("$argon2id$x", "ada@example.org")
        others = session.scalars(select(User).where(User.name != "ada")).all()
        assert all(user.password_hash is None and user.firstname == "" for user in others)
        for user in others:
            assert user.name.startswith("user_") and user.email == f"{user.name}@example.org"
            assert [member.name for member in find(session, Team, user.name).members] == [user.name]
        for table in (SentMail, Interaction, AccessToken, SiteKey, SandboxFile):
            assert session.scalar(select(table)) is None
        versions = session.scalars(select(BoardVersion.version)).all()
    with looking(production) as session:
        original = session.scalars(select(BoardVersion.version)).all()
    assert versions and set(versions).isdisjoint(original)
    after = board(test_site)
    assert [row[1:] for row in after] == [row[1:] for row in before]
    assert {row[0] for row in after}.isdisjoint({"emmy", "grace"})


def test_the_same_person_has_the_same_pseudonym_again(
    production: Settings, store: Store, test_site: Settings
) -> None:
    snapshot = take(production, store)
    copy_to_test(test_site, store, snapshot)
    first = board(test_site)
    copied = copy_to_test(test_site, store, snapshot)
    assert board(test_site) == first
    assert copied.database_before is not None
    key = test_site.deployment_path / KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_files_come_along_and_those_of_before_are_kept_until_the_next(
    production: Settings, store: Store, test_site: Settings
) -> None:
    (production.submissions_path / "submission_000000001" / "files").mkdir(parents=True)
    code = production.submissions_path / "submission_000000001" / "files" / "estimator.py"
    code.write_text("x = 1\n")
    snapshot = take(production, store)
    test_site.submissions_path.mkdir()
    (test_site.submissions_path / "old").write_text("old")
    for kept in ("old", "submission_000000001"):
        copied = copy_to_test(test_site, store, snapshot)
        assert copied.files_before == test_site.deployment_path / "before-copy"
        assert (copied.files_before / "submissions" / kept).exists()
        path = test_site.submissions_path / "submission_000000001" / "files" / "estimator.py"
        assert path.read_text() == "x = 1\n"
    names = sorted(path.name for path in test_site.deployment_path.iterdir())
    assert [name for name in names if "restor" in name or "unfinished" in name] == []


def test_an_admin_who_is_not_there(production: Settings, store: Store, test_site: Settings) -> None:
    before = everything(test_site)
    with pytest.raises(NotFound) as caught:
        copy_to_test(test_site, store, take(production, store), ["nobody"])
    assert caught.value.message == "There is no user 'nobody' in production."
    assert everything(test_site) == before


STEPS = ("exchange.stage", "switch", "_pseudonymise", "_check_nothing_left")


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_the_test_site_as_it_was(
    production: Settings,
    store: Store,
    test_site: Settings,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    snapshot = take(production, store)
    test_site.submissions_path.mkdir()
    (test_site.submissions_path / "old").write_text("old")
    before = everything(test_site)

    def fail(*_: object) -> None:
        raise DataboardError("no luck")

    monkeypatch.setattr(f"databoard.backup.testcopy.{step}", fail)
    with pytest.raises(DataboardError, match="no luck"):
        copy_to_test(test_site, store, snapshot)
    assert everything(test_site) == before
    assert (test_site.submissions_path / "old").read_text() == "old"
    monkeypatch.undo()
    copy_to_test(test_site, store, snapshot)
    assert "user_" in everything(test_site)


REPORTS = (
    "Restore the database",
    "Replace names and addresses",
    "Look for addresses that are left",
    "Copy the files",
    "Switch to them",
)


@pytest.mark.parametrize("step", REPORTS)
def test_a_copy_killed_at_any_step_leaves_the_test_site_as_it_was(
    production: Settings, store: Store, test_site: Settings, step: str
) -> None:
    snapshot = take(production, store)
    test_site.submissions_path.mkdir()
    (test_site.submissions_path / "old").write_text("old")
    before = everything(test_site)

    def die(said: str) -> None:
        if said == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        try:
            copy_to_test(test_site, store, snapshot, report=die)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert everything(test_site) == before
    assert (test_site.submissions_path / "old").read_text() == "old"
    copy_to_test(test_site, store, snapshot)
    assert "user_" in everything(test_site)


def test_an_address_that_stays_ends_the_copy(
    production: Settings, store: Store, test_site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands: here in a table that the models do not know."""
    snapshot = take(production, store)
    engine = database.open_engine(production.db_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE strange (said TEXT)"))
        connection.execute(text("INSERT INTO strange VALUES ('EMMY@uni.example')"))
    engine.dispose()
    snapshot = take(production, store)
    before = everything(test_site)
    with pytest.raises(DataboardError) as caught:
        copy_to_test(test_site, store, snapshot)
    assert caught.value.message == (
        "A mail address of production is still in the copy; it was thrown away."
    )
    assert everything(test_site) == before


def test_production_is_never_the_destination(production: Settings, store: Store) -> None:
    """Not under another site's name, and whatever its database is called."""
    snapshot = take(production, store)
    assert snapshot.manifest is not None
    with pytest.raises(DataboardError, match="This is production: nothing is copied to it"):
        refuse_production(production, snapshot.manifest)
    for url in {production.db_url, production.db_url.replace("127.0.0.1", "localhost")}:
        disguised = replace(production, site="test", db_url=url)
        with pytest.raises(DataboardError, match="is the database that the snapshot is of"):
            copy_to_test(disguised, store, snapshot)
    restore(production, store, snapshot)
    with pytest.raises(DataboardError, match="is the database that the snapshot is of"):
        copy_to_test(replace(production, site="test"), store, snapshot)


# -- addresses in text

ADDRESSES = Addresses({"ada@uni.example": "user_1@example.org", "é@uni.example": "user_2@x.org"})


@pytest.mark.parametrize(
    "before, after",
    [
        (TROUBLE, "ValueError: ask user_1@example.org, or mailto=emmy@uni.example."),
        ("<ada@uni.example>", "<user_1@example.org>"),
        ("to=ADA@UNI.EXAMPLE.", "to=user_1@example.org."),
        ("é@uni.example", "user_2@x.org"),
        ("ada@uni.example.org", "user_1@example.org.org"),
        ("bada@uni.example", "buser_1@example.org"),
        ("ada@uni", "ada@uni"),
        ("@ ada@ @uni.example", "@ ada@ @uni.example"),
        ("nothing", "nothing"),
    ],
)
def test_addresses_are_replaced_whatever_stands_around_them(before: str, after: str) -> None:
    assert ADDRESSES.replace(before) == after


@given(st.binary(max_size=50), st.integers(0, 3_000_000), st.binary(max_size=50))
def test_an_address_is_found_wherever_it_stands_in_a_file(
    before: bytes, gap: int, after: bytes
) -> None:
    data = b" " * gap + before + b" ada@uni.example " + after
    assert ADDRESSES.first_in(io.BytesIO(data)) == "ada@uni.example"
    assert ADDRESSES.first_in(io.BytesIO(b" " * gap + b"ada@uni")) is None
