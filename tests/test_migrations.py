"""Migrations in a copy of their folder, on both databases: whole or not at all, one at a time, and
which code works after them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, inspect, select, text

from databoard import database, migration
from databoard.config import ROOT
from databoard.errors import DataboardError
from databoard.migration import Migration, breaking
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Problem, Workflow
from tasks.command import explain
from tasks.database import db_current

HEAD = database.head_revision()
OURS = database.MIGRATIONS
OLDEST = migration.read(migration.files(OURS)[HEAD]).oldest_code  # that works with HEAD
PUT_RIGHT = "The database is as it was. Mend the migration, then: inv db-upgrade"
Add = Callable[..., Path]


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, which a test may add to."""
    unwanted = shutil.ignore_patterns("__pycache__")
    copy = shutil.copytree(OURS, tmp_path / "50% migrations", ignore=unwanted)
    monkeypatch.setattr(database, "MIGRATIONS", copy)
    return copy


@pytest.fixture
def add(migrations: Path) -> Add:
    """add("9000", 'op.execute("...")') writes one more; without `oldest` it says nothing of it."""

    def write(id_: str, body: str = "pass", oldest: str = "", top: str = "") -> Path:
        path = migrations / "versions" / f"{id_}_more.py"
        says = f"oldest_code = {oldest!r}\n" if oldest else ""
        path.write_text(
            f'"""Say more.\n\nAt length.\n"""\nimport sys\nimport sqlalchemy as sa\n'
            f"from alembic import op\n{top}\n"
            f"revision, down_revision = {id_!r}, {database.head_revision()!r}\n{says}"
            f"def upgrade():\n    {body}\n"
        )
        return path

    return write


@pytest.fixture
def old_code(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and the code is the one without what was added."""
    return lambda: monkeypatch.setattr(database, "MIGRATIONS", OURS)


@pytest.fixture
def new_engine(database_url: str) -> Iterator[Engine]:
    """An engine on a database that is not there yet, or has no tables."""
    engine = database.open_engine(database_url)
    yield engine
    engine.dispose()


def compatibility(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT revision, oldest_code FROM {migration.TABLE}"))
        return [(revision, oldest) for revision, oldest in rows]


def everything(engine: Engine) -> object:
    """Revision, record, tables with their columns, and a table's rows."""
    inspector = inspect(engine)
    tables = {
        table: [column["name"] for column in inspector.get_columns(table)]
        for table in inspector.get_table_names()
    }
    with database.reading(engine) as session:
        teams = session.scalars(select(Team.name).order_by(Team.id)).all()
    return database.current_revision(engine), compatibility(engine), tables, teams


# -- which code works after which


def test_a_new_database_says_which_code_it_needs(engine: Engine) -> None:
    assert compatibility(engine) == [(HEAD, OLDEST)]


def test_a_database_of_older_code_is_upgraded(engine: Engine, migrated_url: str, add: Add) -> None:
    add("9000", 'op.execute("CREATE TABLE more (id INTEGER)")', HEAD)
    with pytest.raises(DataboardError) as caught:
        database.check(engine)
    assert str(caught.value) == (
        f"The database at {database.shown(engine.url)} is at revision {HEAD}, this code needs "
        "9000.\nUpgrade it with: inv db-upgrade"
    )
    database.upgrade(migrated_url)
    database.check(engine)
    assert inspect(engine).has_table("more")


@pytest.mark.parametrize(
    ("says", "recorded"),
    [
        (["0001"], "0001"),
        ([""], "9000"),
        (["9000"], "9000"),
        (["0001", "0001"], "0001"),
        (["", "0001"], "9000"),  # the last one alone would do
        (["0001", ""], "9001"),
        (["0001", "9000"], "9000"),
    ],
    ids=str,
)
def test_older_code_serves_what_it_works_with(
    engine: Engine,
    migrated_url: str,
    add: Add,
    old_code: Callable[[], None],
    says: list[str],
    recorded: str,
) -> None:
    for number, oldest in enumerate(says, start=9000):
        add(str(number), oldest=oldest)
    newest = database.head_revision()
    pending = database.pending(engine)
    database.upgrade(migrated_url)
    assert compatibility(engine) == [(newest, recorded)]
    assert database.pending(engine) == []

    old_code()
    unknown = (
        f"The database at {database.shown(engine.url)} is at revision {newest}, which this code "
        f"does not know (its newest is {HEAD}).\nInstall the version of Databoard that made it."
    )
    assert database.may_serve(engine) == (recorded <= HEAD)
    assert (breaking(pending, HEAD) == []) == (recorded <= HEAD)
    if recorded <= HEAD:
        database.check(engine)
    else:
        with pytest.raises(DataboardError) as caught:
            database.check(engine)
        assert str(caught.value) == unknown
    for change in (database.upgrade, lambda url: database.new_migration(url, "it")):
        with pytest.raises(DataboardError) as caught:
            change(migrated_url)
        assert str(caught.value) == unknown
    assert database.pending(engine) == []
    assert database.current_revision(engine) == newest


def test_what_was_upgraded_one_by_one_is_as_restrictive(
    engine: Engine, migrated_url: str, add: Add
) -> None:
    for number in ("9000", "9001"):
        add(number, oldest=HEAD if number == "9001" else "")
        database.upgrade(migrated_url)
    assert compatibility(engine) == [("9001", "9000")]


def test_a_database_from_before_the_record(
    engine: Engine, migrated_url: str, add: Add, old_code: Callable[[], None]
) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {migration.TABLE}"))
    database.check(engine)
    add("9000", oldest=HEAD)
    assert not database.may_serve(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9000'"))
    old_code()
    assert not database.may_serve(engine)  # nobody said that it may
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{HEAD}'"))
    database.upgrade(migrated_url)
    assert compatibility(engine) == [(HEAD, OLDEST)]


def test_a_promise_is_for_one_revision(
    engine: Engine, migrated_url: str, add: Add, old_code: Callable[[], None]
) -> None:
    add("9000", oldest=HEAD)
    database.upgrade(migrated_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9001'"))
    old_code()
    assert not database.may_serve(engine)


def test_pending(engine: Engine, tmp_path: Path, add: Add) -> None:
    ours = [migration.read(path) for path in migration.files(OURS).values()]
    assert ours[0] == Migration("0001", "first tables", "0001")
    assert database.pending(engine) == []
    add("9000", oldest=HEAD)
    add("9001")
    more = [Migration("9000", "Say more.", HEAD), Migration("9001", "Say more.", "9001")]
    assert database.pending(engine) == more
    assert database.pending(database.open_engine(f"sqlite:///{tmp_path}/new.db")) == ours + more


def test_breaking() -> None:
    adds, drops = Migration("0006", "adds", "0004"), Migration("0007", "drops", "0006")
    assert breaking([adds, drops], "0003") == [adds, drops]
    assert breaking([adds, drops], "0005") == [drops]
    assert breaking([adds, drops], "0006") == breaking([], "0001") == []


def test_to_see_what_is_pending_is_cheap(tmp_path: Path) -> None:
    script = (
        "import sys; from databoard import database as d; "
        f"engine = d.open_engine('sqlite:///{tmp_path}/x.db'); "
        "assert d.pending(engine) and not d.may_serve(engine); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "sqlalchemy" in done.stdout.split() and "alembic" not in done.stdout.split()


@pytest.mark.parametrize(
    ("line", "oldest"),
    [
        ("", "0007"),
        ('oldest_code = "0005"', "0005"),
        ('oldest_code: str = "0005"', "0005"),
        ('revision, oldest_code = "0007", "0005"', "0005"),
        ('oldest_code = revision = "0007"', "0007"),
        ('oldest_code = "0008"', None),
        ('oldest_code = "first"', None),
        ("oldest_code = 5", None),
        ("oldest_code = revision", None),
    ],
)
def test_what_a_file_says(tmp_path: Path, line: str, oldest: str | None) -> None:
    path = tmp_path / "0007_index_the_members.py"
    path.write_text(f"raise SystemExit  # it is not run\n{line}\n")
    if oldest is not None:
        assert migration.read(path) == Migration("0007", "index the members", oldest)
        return
    with pytest.raises(DataboardError) as caught:
        migration.read(path)
    assert str(caught.value) == (
        "The migration 0007_index_the_members.py has an oldest_code that is no revision up to its "
        'own.\nWrite one as text: oldest_code = "0007"'
    )


# -- whole or not at all

CREATE = 'op.execute("CREATE TABLE half_done (id INTEGER)")'
INSERT = "op.execute(\"INSERT INTO team (name, created_at) VALUES ('half', CURRENT_TIMESTAMP)\")"
HALF = f"{CREATE}; {INSERT}; "
FAILURES = {
    "Python": ({"body": HALF + "raise ValueError('a\\nb')"}, "ValueError: a"),
    "nothing said": ({"body": HALF + "raise KeyError"}, "KeyError"),
    "deep": ({"body": HALF + "sa.Column(1, 2)"}, None),
    "ours": ({"body": HALF + "import databoard.errors as e; raise e.NotFound('No.')"}, "No."),
    "exit": ({"body": HALF + "sys.exit(0)"}, "SystemExit: 0"),
    "SQL": ({"body": HALF + 'op.execute("DROP TABLE nowhere")'}, None),
    "constraint": ({"body": HALF + INSERT}, None),
    "import": ({"top": "import nowhere"}, "ModuleNotFoundError: No module named 'nowhere'"),
    "syntax": ({"body": HALF + "=="}, "SyntaxError: invalid syntax (9001_more.py, line 11)"),
}


@pytest.mark.parametrize(("how", "reason"), FAILURES.values(), ids=FAILURES.keys())
def test_a_migration_that_fails_leaves_the_database_as_it_was(
    engine: Engine, migrated_url: str, add: Add, how: dict[str, str], reason: str | None
) -> None:
    with database.session_scope(engine) as session:
        session.add(Team(name="saffron"))
    add("9000", 'op.execute("CREATE TABLE good (id INTEGER)"); op.execute("DELETE FROM team")')
    bad = add("9001", **how)
    before = everything(engine)
    with pytest.raises(DataboardError) as caught:
        database.upgrade(migrated_url)
    start = "The migration 9001_more.py failed: "
    assert caught.value.message.startswith(start + (reason or ""))
    assert reason is None or caught.value.message == start + reason
    assert len(caught.value.message.splitlines()) == 1 and len(caught.value.message) > len(start)
    assert explain(caught.value) == f"{caught.value.message}\n{PUT_RIGHT}"
    assert everything(engine) == before
    bad.unlink()
    database.upgrade(migrated_url)
    assert database.current_revision(engine) == "9000" and inspect(engine).has_table("good")


def test_a_new_database_whose_last_migration_fails(
    new_engine: Engine, database_url: str, add: Add
) -> None:
    add("9000", "raise ValueError")
    with pytest.raises(DataboardError, match=r"9000_more\.py failed: ValueError"):
        database.upgrade(database_url)
    assert database.current_revision(new_engine) is None
    assert inspect(new_engine).get_table_names() == []


@pytest.mark.filterwarnings("ignore:Revision 8000")
def test_migrations_that_do_not_follow_each_other(
    engine: Engine, migrated_url: str, add: Add
) -> None:
    path = add("9000")
    path.write_text(path.read_text().replace(repr(HEAD), "'8000'"))
    with pytest.raises(DataboardError, match=r"^The migrations failed: .*8000"):
        database.upgrade(migrated_url)


# -- rows that refer to each other
def add_teams(engine: Engine) -> None:
    with database.session_scope(engine) as session:
        problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
        event = Event(name="iris", title="Iris", problem=problem, n_folds=1, folds_digest="0" * 64)
        session.add(EventTeam(event=event, team=Team(name="saffron")))


def test_to_change_a_table_keeps_the_rows_that_refer_to_it(
    engine: Engine, migrated_url: str, add: Add
) -> None:
    """On SQLite Alembic makes the table anew: to drop the old one would delete them, or fail."""
    add_teams(engine)
    batch = 'op.batch_alter_table("{}", recreate="{}")'
    how = "always" if engine.dialect.name == "sqlite" else "never"
    column = 'batch.add_column(sa.Column("more", sa.Text()))'
    event, team = (
        f"with {batch.format(table, how)} as batch: {column}" for table in ("event", "team")
    )
    add("9000", f"{event}\n    {team}")
    database.upgrade(migrated_url)
    with database.reading(engine) as session:
        assert len(session.scalars(select(EventTeam.team_id)).all()) == 1
        assert session.scalars(text("SELECT more FROM event")).all() == [None]
    with pytest.raises(Exception, match=r"(?i)foreign key"), engine.begin() as connection:
        connection.execute(insert(EventTeam).values(event_id=12345, team_id=12345))


def test_a_table_that_is_made_anew_keeps_its_triggers(
    engine: Engine, migrated_url: str, add: Add
) -> None:
    if engine.dialect.name != "sqlite":
        return  # a table is never made anew
    triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
    with engine.connect() as connection:
        before = connection.scalars(triggers).all()
    column = 'batch.add_column(sa.Column("more", sa.Text()))'
    add("9000", f'with op.batch_alter_table("submission", recreate="always") as batch: {column}')
    database.upgrade(migrated_url)
    with engine.connect() as connection:
        assert connection.scalars(triggers).all() == before
    assert "submission_state" in before and "board_of_submission_update" in before


def test_a_migration_that_leaves_rows_without_what_they_refer_to(
    engine: Engine, migrated_url: str, add: Add
) -> None:
    add_teams(engine)
    add("9000", 'op.execute("DELETE FROM team")')
    before = everything(engine)
    with pytest.raises(DataboardError) as caught:
        database.upgrade(migrated_url)
    if engine.dialect.name == "sqlite":
        assert caught.value.message == (
            "The migrations failed: rows of event_team refer to no row of team"
        )
    assert caught.value.hint == PUT_RIGHT
    assert everything(engine) == before


# -- one at a time

UPGRADE = """
import sys
from pathlib import Path
from databoard import database
database.MIGRATIONS = Path(sys.argv[2])
database.upgrade(sys.argv[1])
"""


def start_upgrade(url: str, migrations: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", UPGRADE, url, migrations],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def has_waiter(engine: Engine, other: subprocess.Popen[str]) -> bool:
    """Whether somebody waits for the lock."""
    if engine.dialect.name == "sqlite":  # tells nobody: but it has the file open
        files = Path(f"/proc/{other.pid}/fd").iterdir()
        return any(file.resolve() == Path(engine.url.database or "") for file in files)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return connection.execute(text(query)).scalar() == 1


def test_of_two_upgrades_one_waits_and_finds_nothing_to_do(
    engine: Engine, migrated_url: str, migrations: Path, add: Add, tmp_path: Path
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    add(
        "9000",
        f'op.execute("CREATE TABLE more (id INTEGER)"); print("begun", file=open({str(begun)!r}, '
        f'"a"))\n    while not Path({str(go)!r}).exists(): time.sleep(0.01)',
        top="import time; from pathlib import Path",
    )
    first = start_upgrade(migrated_url, migrations)
    wait_until(lambda: begun.exists() or first.poll() is not None)
    second = start_upgrade(migrated_url, migrations)
    wait_until(lambda: has_waiter(engine, second))
    assert first.poll() is None and second.poll() is None
    assert database.current_revision(engine) == HEAD
    go.touch()
    for process in (first, second):
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    assert begun.read_text() == "begun\n"
    assert compatibility(engine) == [("9000", "9000")]


def test_many_make_one_database(new_engine: Engine, database_url: str) -> None:
    processes = [start_upgrade(database_url, OURS) for _ in range(5)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 5
    database.check(new_engine)


# -- commands


def test_a_migration_is_written_from_what_differs(
    engine: Engine, migrated_url: str, migrations: Path
) -> None:
    with pytest.raises(DataboardError) as caught:
        database.new_migration(migrated_url, "nothing")
    assert str(caught.value) == (
        "The models and the database do not differ.\nThere is nothing to migrate."
    )
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_team_member_user_id"))
    number = f"{int(HEAD) + 1:04d}"
    path = database.new_migration(migrated_url, "Index the members")
    assert path == migrations / "versions" / f"{number}_index_the_members.py"
    assert "Code back to this revision works after this migration, too" in path.read_text()
    assert migration.TABLE not in path.read_text()  # it is of no model, and stays
    assert migration.read(path) == Migration(number, "Index the members", number)
    with pytest.raises(DataboardError, match=f"this code needs {number}"):
        database.new_migration(migrated_url, "again")
    database.upgrade(migrated_url)
    assert database.current_revision(engine) == number
    indexes = inspect(engine).get_indexes("team_member")
    assert [index["name"] for index in indexes] == ["ix_team_member_user_id"]


def test_a_migration_is_written_that_older_code_bears(
    engine: Engine, migrated_url: str, add: Add
) -> None:
    add("9000")
    add("9001", oldest=HEAD)
    database.upgrade(migrated_url)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_team_member_user_id"))
    path = database.new_migration(migrated_url, "Index the members", compatible=True)
    assert migration.read(path) == Migration("9002", "Index the members", "9000")


def test_revisions_are_told(
    migrated_url: str,
    add: Add,
    old_code: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(**options: bool) -> str:
        db_current.body(None, **options)
        return capsys.readouterr().out

    monkeypatch.setenv("DATABOARD_DB_URL", migrated_url)
    here = {"database": HEAD, "code": HEAD, "pending": [], "compatible": True}
    assert json.loads(told(json=True)) == here
    assert told() == f"database: {HEAD}, code: {HEAD}\n"
    add("9000", oldest=HEAD)
    lacks = {"id": "9000", "title": "Say more.", "oldest_code": HEAD}
    behind = here | {"code": "9000", "pending": [lacks], "compatible": False}
    assert json.loads(told(json=True)) == behind
    assert told() == (
        f"database: {HEAD}, code: 9000\npending: 9000 Say more. (code from {HEAD} on works after "
        "it)\n"
    )
    database.upgrade(migrated_url)
    old_code()
    assert json.loads(told(json=True)) == here | {"database": "9000"}
    assert told() == f"database: 9000, code: {HEAD}\n"


def test_revisions_of_no_database(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOARD_DB_URL", database_url)
    db_current.body(None, json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["database"], said["compatible"]) == (None, False)
    assert [each["id"] for each in said["pending"]] == database.revisions()
