"""Migrations, constraints and transactions, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from databoard import database, migration
from databoard.errors import DataboardError, InvalidValue
from databoard.model.base import db_now
from databoard.model.event import Event, EventScoreType, EventTeam
from databoard.model.people import Team, User
from databoard.model.problem import Problem, ScoreType, Workflow, WorkflowElementType
from databoard.model.states import FAILED, LEASED, STATES, TRANSITIONS
from databoard.model.submission import FoldRun, Submission, SubmissionTransition
from databoard.model.tables import Base
from tests.postgres import Cluster

NOW = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def event(session: Session) -> Event:
    """An event with one team."""
    problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
    event = Event(name="iris", title="Iris", problem=problem, n_folds=1, folds_digest="0" * 64)
    session.add(EventTeam(event=event, team=Team(name="saffron")))
    session.flush()
    return event


def in_state(state: str) -> dict[str, object]:
    """The columns of a submission that must fit its state."""
    leased, failed = state in LEASED, state in FAILED
    return {
        "state": state,
        "worker": "w" if leased else None,
        "lease_end": NOW if leased else None,
        "error_kind": "exception" if failed else None,
    }


def constraints(connection: Connection) -> dict[str, list[tuple[str, ...]]]:
    """Check constraints and foreign keys, which Alembic does not compare in full."""
    inspector = inspect(connection)
    return {
        table: sorted(
            (str(check["name"]), " ".join(check["sqltext"].split()))
            for check in inspector.get_check_constraints(table)
        )
        + sorted(
            (str(key["name"]), str(key["constrained_columns"]), str(key["options"]))
            for key in inspector.get_foreign_keys(table)
        )
        for table in sorted(set(inspector.get_table_names()) - {"alembic_version", migration.TABLE})
    }


def test_models_and_migrations_do_not_differ(database_url: str) -> None:
    database.upgrade(database_url)
    engine = database.open_engine(database_url)
    with engine.begin() as connection:
        names = {str(index["name"]) for index in inspect(connection).get_indexes("submission")}
        assert {"ix_submission_queue", "ix_submission_lease_end"} <= names  # over a part of it
        context = MigrationContext.configure(
            connection, opts={"include_name": migration.include_name}
        )
        assert compare_metadata(context, Base.metadata) == []
        migrated = constraints(connection)
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    with engine.begin() as connection:
        assert constraints(connection) == migrated
    engine.dispose()


def test_upgrading_again_changes_nothing(migrated_url: str, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        session.add(Team(name="saffron"))
    database.upgrade(migrated_url)
    with database.reading(engine) as session:
        assert session.scalars(select(Team.name)).all() == ["saffron"]
    assert database.current_revision(engine) == database.head_revision()


def test_transitions_are_those_of_the_model(session: Session) -> None:
    rows = session.execute(select(SubmissionTransition.source, SubmissionTransition.target))
    of_model = {(source, target) for source in TRANSITIONS for target in TRANSITIONS[source]}
    assert {(source, target) for source, target in rows} == of_model


@pytest.mark.parametrize("source", STATES)
def test_the_database_refuses_every_other_change_of_state(
    session: Session, event: Event, source: str
) -> None:
    team_id = session.scalars(select(Team.id)).one()
    values = {"event_id": event.id, "team_id": team_id, "files_digest": "0" * 64}
    for target in STATES:
        row = insert(Submission).values(name=target, **values, **in_state(source))
        id_ = session.execute(row.returning(Submission.id)).scalar_one()
        change = update(Submission).where(Submission.id == id_).values(**in_state(target))
        if target in TRANSITIONS[source] or target == source:
            session.execute(change)
            continue
        savepoint = session.begin_nested()
        with pytest.raises(DBAPIError, match="illegal change of state"):
            session.execute(change)
        savepoint.rollback()
        state = select(Submission.state).where(Submission.id == id_)
        assert session.scalars(state).one() == source


NAMELESS = [Team(name=""), Workflow(name=""), WorkflowElementType(name="", kind="code")]
SCORE = {"name": "acc", "is_lower_the_better": False}
WRONG = {
    "kind": WorkflowElementType(name="estimator", kind="program"),
    "bounds": ScoreType(**SCORE, minimum=1.0, maximum=1.0),
    "bounds turned": ScoreType(**SCORE, minimum=float("inf"), maximum=0.0),
    "access": User(name="juniper", email="j@example.org", access_level="root"),
    "email": User(name="juniper", email="J@example.org"),
    "same name": Team(name="saffron"),
    "no name": Team(name=None),
} | {f"empty name of {row.__tablename__}": row for row in NAMELESS}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG.keys())
def test_constraints_hold_in_the_database(session: Session, event: Event, row: Base) -> None:
    values = {
        column.name: getattr(row, column.name)
        for column in row.__table__.columns
        if column.name in row.__dict__
    }
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(type(row)).values(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"score_kind": "max"},
        {"n_folds": 0},
        {"time_limit": 0},
        {"memory_limit": -1},
        {"name": ""},
        {"title": None},
        {"problem_id": 12345},
    ],
    ids=str,
)
def test_constraints_of_events(session: Session, event: Event, values: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Event).values(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"state": "lost"},
        {"state": "training"},  # no lease
        {"worker": "w", "lease_end": NOW},  # leased, but waiting
        {"state": "scored", "error_kind": "exception"},
        {"state": "training_error"},  # no reason
        {"name": ""},
        {"team_id": 12345},
        {"event_id": 12345},
    ],
    ids=str,
)
def test_constraints_of_submissions(
    session: Session, event: Event, values: dict[str, object]
) -> None:
    good = {"event_id": event.id, "team_id": session.scalars(select(Team.id)).one(), "name": "s"}
    good |= {"files_digest": "0" * 64, "state": "new"}
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(Submission).values(**(good | values)))
    session.execute(insert(Submission).values(**good))
    with pytest.raises(IntegrityError), session.begin_nested():  # the same name again
        session.execute(insert(Submission).values(**good))


def test_only_teams_that_are_signed_up_submit(session: Session, event: Event) -> None:
    other = Team(name="juniper")
    session.add(other)
    session.flush()
    row = {"event_id": event.id, "team_id": other.id, "name": "s", "files_digest": "0" * 64}
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(Submission).values(**row))


@pytest.mark.parametrize("table", ["event", "team", "problem", "workflow", "event_team"])
def test_what_is_referred_to_stays(session: Session, event: Event, table: str) -> None:
    team_id = session.scalars(select(Team.id)).one()
    session.add(Submission(event=event, team_id=team_id, name="s", files_digest="0" * 64))
    session.flush()
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text(f"DELETE FROM {table}"))


def test_what_belongs_to_a_submission_goes_with_it(session: Session, event: Event) -> None:
    team_id = session.scalars(select(Team.id)).one()
    submission = Submission(event=event, team_id=team_id, name="s", files_digest="0" * 64)
    session.add(submission)
    session.flush()
    times = {"train_time": 1.0, "valid_time": 1.0, "test_time": 1.0, "max_memory": 1.0}
    session.execute(insert(FoldRun).values(submission_id=submission.id, fold=0, **times))
    session.execute(text("DELETE FROM submission"))
    assert session.scalars(select(FoldRun.fold)).all() == []


def test_the_same_score_or_place_twice_in_an_event(session: Session, event: Event) -> None:
    scores = [ScoreType(**SCORE | {"name": name}, minimum=0.0, maximum=1.0) for name in "ab"]
    session.add_all(scores)
    session.flush()

    def add(score: ScoreType, position: int) -> None:
        values = {"event_id": event.id, "score_type_id": score.id, "position": position}
        with session.begin_nested():
            session.execute(insert(EventScoreType).values(**values, precision=2))

    add(scores[0], 0)
    for score, position in ((scores[0], 1), (scores[1], 0)):
        with pytest.raises(IntegrityError):
            add(score, position)
    add(scores[1], 1)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=45))], ids=str)
def test_times_are_aware_and_utc(session: Session, event: Event, zone: timezone) -> None:
    event.created_at = NOW.astimezone(zone)
    session.flush()
    session.expire_all()
    assert event.created_at == NOW
    assert event.created_at.utcoffset() == timedelta(0)
    assert session.scalars(select(Event).where(Event.created_at <= NOW)).one() is event
    event.created_at = datetime(2024, 2, 29)
    with pytest.raises(StatementError, match="a time without a zone"):
        session.flush()


def test_the_clock_is_that_of_the_database(session: Session, event: Event) -> None:
    before, after = session.execute(select(db_now(), db_now(90))).one()
    assert before.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - before) < timedelta(seconds=10)
    assert timedelta(seconds=89) < after - before < timedelta(seconds=91)
    assert abs(event.created_at - before) < timedelta(seconds=10)


def test_a_transaction_is_whole_or_not_at_all(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), database.session_scope(engine) as session:
        session.add(Team(name="saffron"))
        session.flush()
        raise ZeroDivisionError
    with database.reading(engine) as session:
        assert session.scalars(select(Team)).all() == []


def test_readers_do_not_wait_for_a_writer(engine: Engine) -> None:
    with database.session_scope(engine) as writing:
        writing.add(Team(name="saffron"))
        writing.flush()
        with database.reading(engine) as session:
            assert session.scalars(select(Team)).all() == []
    with database.reading(engine) as session:
        assert len(session.scalars(select(Team)).all()) == 1


def test_sqlite_keeps_foreign_keys_a_write_ahead_log_and_its_file_to_itself(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "databoard.db"
    database.upgrade(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    engine = database.open_engine(f"sqlite:///{path}")
    for _ in range(2):
        with engine.connect() as connection:
            pragmas = ("foreign_keys", "journal_mode", "busy_timeout")
            values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        assert values == [1, "wal", 60_000]
        engine.dispose()


@pytest.mark.parametrize("kind", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_postgresql_is_psycopg2(kind: str) -> None:
    engine = database.open_engine(f"{kind}://user:p%40ss@host/name")
    assert (engine.dialect.name, engine.dialect.driver) == ("postgresql", "psycopg2")
    assert engine.url.password == "p@ss"
    assert database.shown(engine.url) == "postgresql://user:***@host/name"


FORM = "Use postgresql://user:password@host/name or sqlite:////absolute/path.db."
NOT_A_URL = f"DATABOARD_DB_URL is not a database URL.\n{FORM}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("databoard", NOT_A_URL),
        ("postgresql://u:secret@host:port/d", NOT_A_URL),
        ("mysql://u:secret@host/d", "DATABOARD_DB_URL names the database kind 'mysql'.\n" + FORM),
        ("postgresql+asyncpg://u@h/d", None),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        (
            "postgresql://u:sec@ret@host/d",
            "DATABOARD_DB_URL has more than one @.\nIn a password write %40 for @, and %2F for /.",
        ),
        ("postgresql://u:s@e/cret@host/d", None),
    ],
)
def test_wrong_urls(url: str, said: str | None) -> None:
    with pytest.raises(InvalidValue) as caught:
        database.open_engine(url)
    assert said is None or str(caught.value) == said
    assert "ret" not in str(caught.value)


@pytest.mark.parametrize(
    "do", [database.upgrade, lambda url: database.check(database.open_engine(url))]
)
@pytest.mark.parametrize("query", ["", "?password=secret"])
def test_an_unreachable_server(do: Callable[[str], None], query: str) -> None:
    with pytest.raises(DataboardError) as caught:
        do(f"postgresql://gardener:secret@127.0.0.1:1/challenges{query}")
    assert str(caught.value) == (
        "The database postgresql://gardener:***@127.0.0.1:1/challenges does not answer: "
        'connection to server at "127.0.0.1", port 1 failed: Connection refused\n'
        "Check DATABOARD_DB_URL, and that the server runs."
    )


def test_a_wrong_password_is_not_shown(postgresql: Cluster) -> None:
    url = postgresql.url("nowhere").replace("not-a-secret", "wrong-secret")
    with pytest.raises(DataboardError) as caught:
        database.check(database.open_engine(url))
    assert "password authentication failed" in caught.value.message
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "databoard.db"
    path.write_text("a shopping list " * 100)
    with pytest.raises(DataboardError) as caught:
        database.check(database.open_engine(f"sqlite:///{path}"))
    assert str(caught.value) == (
        f"The database sqlite:///{path} refused: file is not a database\n"
        "Check that DATABOARD_DB_URL is the one."
    )


def test_who_comes_second_is_told_so(engine: Engine) -> None:
    with database.session_scope(engine) as session:
        session.add(Team(name="saffron"))
    with pytest.raises(IntegrityError) as caught, database.session_scope(engine) as session:
        session.add(Team(name="saffron"))
    told = database.unreachable(engine.url, caught.value)
    assert told.message.startswith("Somebody else stored the same just now: ")
    assert told.hint == "Repeat the command."


def test_errors_show_no_values(engine: Engine) -> None:
    with pytest.raises(IntegrityError) as caught, database.session_scope(engine) as session:
        session.add(
            User(name="a", email="a@example.org", password_hash="$argon2", access_level="x")
        )
    assert "hidden due to hide_parameters=True" in str(caught.value)


@pytest.fixture
def shown(engine: Engine) -> str:
    return database.shown(engine.url)


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_a_database_that_was_never_made(database_url: str) -> None:
    engine = database.open_engine(database_url)
    assert database.current_revision(engine) is None
    with pytest.raises(DataboardError) as caught:
        database.check(engine)
    assert str(caught.value) == (
        f"There is no Databoard database at {database.shown(engine.url)}.\n"
        "Make it with: inv db-upgrade"
    )
    if engine.dialect.name == "sqlite":
        assert not Path(engine.url.database or "").exists()  # looking makes nothing
    engine.dispose()


def test_a_database_of_this_code(engine: Engine) -> None:
    database.check(engine)


def upgrade(engine: Engine) -> None:
    database.upgrade(engine.url.render_as_string(hide_password=False))


@pytest.mark.parametrize("do", [database.check, upgrade])
def test_a_database_of_newer_code(engine: Engine, shown: str, do: Callable[[Engine], None]) -> None:
    set_revision(engine, "9999")
    with pytest.raises(DataboardError) as caught:
        do(engine)
    assert str(caught.value) == (
        f"The database at {shown} is at revision 9999, which this code does not know (its newest "
        f"is {database.head_revision()}).\nInstall the version of Databoard that made it."
    )


def test_a_database_of_something_else(database_url: str) -> None:
    engine = database.open_engine(database_url)
    if engine.dialect.name == "sqlite":
        sqlite3.connect(engine.url.database or "").close()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE team (id INTEGER)"))
    said = r"The migration 0001_first_tables\.py failed: .*team.* already exists"
    with pytest.raises(DataboardError, match=said):
        database.upgrade(database_url)
    assert inspect(engine).get_table_names() == ["team"]
    engine.dispose()
