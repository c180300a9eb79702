"""PostgreSQL's programs: killed, cut off, without rights, and without a password to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import make_url

from databoard import database, pgtools
from databoard.backup import server
from databoard.backup.dumping import dump
from databoard.errors import DataboardError
from tests.backup.board import Board
from tests.backup.child import children
from tests.conftest import unique_name
from tests.postgres import Cluster
from tests.training.deployment import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True),
]


def cluster_of(board: Board) -> Cluster:
    assert board.cluster is not None
    return board.cluster


@contextmanager
def held_up(board: Board) -> Iterator[None]:
    """Whoever dumps waits: another has locked a table."""
    with board.engine.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE workflow IN ACCESS EXCLUSIVE MODE")
        yield


def pg_dumps(pid: int) -> list[psutil.Process]:
    try:
        below = psutil.Process(pid).children(recursive=True)
        return [each for each in below if each.name() == "pg_dump"]
    except psutil.NoSuchProcess:
        return []


def check_good(board: Board) -> None:
    board.take()
    assert not list(board.site_path.glob("*.partial"))
    with board.restored_elsewhere() as other:
        assert other.rows() == board.rows() and other.tree() == board.tree()


def test_pg_dump_is_killed(board: Board) -> None:
    before = board.take()
    with children(board) as backups:
        with held_up(board):
            pid = backups.start()
            until(lambda: pg_dumps(pid))
            for each in pg_dumps(pid):
                each.kill()
        assert backups.end() == 1
        assert "pg_dump of postgresql://databoard:***@" in backups.said()
    assert board.snapshots() == [before]
    check_good(board)


def test_pg_dump_ends_with_the_backup(board: Board) -> None:
    with children(board) as backups, held_up(board):
        pid = backups.start()
        until(lambda: pg_dumps(pid))
        dumps = pg_dumps(pid)
        backups.kill(pid)
        psutil.wait_procs(dumps, timeout=20)
        assert not any(each.is_running() for each in dumps)
    check_good(board)


def test_the_connection_is_cut(board: Board) -> None:
    before = board.take()
    name = make_url(board.settings.db_url).database
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with children(board) as backups:
        with pytest.raises(Exception, match="terminat"), held_up(board):
            pid = backups.start()
            until(lambda: pg_dumps(pid))
            cluster_of(board).execute(cut)
            board.rows()
            raise AssertionError("terminate")
        assert backups.end() == 1
        assert backups.said()
    board.engine.dispose()
    assert board.snapshots() == [before]
    check_good(board)


def test_no_password_is_to_be_seen(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    password = r"it's:a\secret%?#"
    role = unique_name()
    cluster = cluster_of(board)
    cluster.execute(
        f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{password.replace(chr(39), chr(39) * 2)}'"
    )
    url = make_url(board.settings.db_url).set(username=role, password=password)
    text = url.render_as_string(hide_password=False)
    try:
        for name in ("PGPASSWORD", "PGPASSFILE"):
            monkeypatch.setenv(name, "of another database")
        monkeypatch.setenv("DATABOARD_DB_URL", text)
        other = replace(board, settings=replace(board.settings, db_url=text))
        with children(other, DATABOARD_DB_URL=text) as backups:
            with held_up(board):
                pid = backups.start()
                until(lambda: pg_dumps(pid))
                for each in pg_dumps(pid):
                    seen = Path(f"/proc/{each.pid}/cmdline").read_bytes()
                    seen += Path(f"/proc/{each.pid}/environ").read_bytes()
                    assert b"secret" not in seen and b"PGPASSWORD" not in seen
            assert backups.end() == 0, backups.said()
        assert other.verify().faults == ()  # pg_restore, too
    finally:
        cluster.execute(f"DROP ROLE {role}")


@pytest.fixture
def weak_url(board: Board) -> Iterator[str]:
    """The database as a role that owns it, and may not make others."""
    cluster, role = cluster_of(board), unique_name()
    name = make_url(board.settings.db_url).database
    cluster.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'weak' IN ROLE databoard")
    yield f"postgresql://{role}:weak@127.0.0.1:{cluster.port}/{name}"
    cluster.execute(f"DROP OWNED BY {role}")
    cluster.execute(f"DROP ROLE {role}")


def test_a_role_that_may_not_make_databases(board: Board, weak_url: str) -> None:
    weak = replace(board, settings=replace(board.settings, db_url=weak_url))
    role = make_url(weak_url).username
    taken = weak.take()
    for what in (weak.verify, weak.restore):
        with pytest.raises(DataboardError) as told:
            what()
        assert told.value.message == (
            f"The role {role} of {database.shown(make_url(weak_url))} may not make databases."
        )
        assert told.value.hint == f'Let it, as a superuser: ALTER ROLE "{role}" CREATEDB'
    assert weak.snapshots() == [taken]  # this says nothing about it
    assert board.lacking() == []


def test_a_role_that_may_makes_and_swaps_them(board: Board, weak_url: str) -> None:
    """No superuser is needed; and those who are connected come back to the new one."""
    cluster, role = cluster_of(board), make_url(weak_url).username
    cluster.execute(f"ALTER ROLE {role} CREATEDB")
    name = unique_name()
    url = weak_url.rpartition("/")[0] + f"/{name}"
    with server.connected(make_url(url)) as connection:
        server.create(connection, name)
    database.upgrade(url)
    own = replace(board, settings=replace(board.settings, db_url=url))
    engine = database.open_engine(url)
    connection = engine.connect()
    board.take()  # of the same deployment, with another database
    assert own.verify().faults == ()
    kept = own.restore()
    assert kept.database is not None and kept.database.startswith(f"{name}_before_")
    other = replace(own, engine=engine)
    assert other.rows() == board.rows()
    connection.close()
    engine.dispose()
    for each in (name, kept.database):
        cluster.execute(f'DROP DATABASE "{each}" WITH (FORCE)')


def test_what_others_have_open_is_not_swapped(board: Board, weak_url: str) -> None:
    """A connection of another role keeps the database: then all is as it was."""
    cluster, role = cluster_of(board), make_url(weak_url).username
    cluster.execute(f"ALTER ROLE {role} CREATEDB")
    weak = replace(board, settings=replace(board.settings, db_url=weak_url))
    cluster.execute(f"REVOKE databoard FROM {role}")
    name = make_url(weak_url).database
    cluster.execute(f'ALTER DATABASE "{name}" OWNER TO {role}')
    board.take()
    rows, tree = board.rows(), board.tree()
    with board.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(DataboardError, match="is being accessed by other users"):
            weak.restore()
    cluster.execute(f'ALTER DATABASE "{name}" OWNER TO databoard')
    assert (board.rows(), board.tree()) == (rows, tree)
    with server.connected(make_url(board.settings.db_url)) as here:
        assert not server.exists(here, f"{name}_restoring")


def test_by_the_socket_and_what_else_a_url_says(board: Board, tmp_path: Path) -> None:
    cluster = cluster_of(board)
    name = make_url(board.settings.db_url).database
    url = f"postgresql://databoard@/{name}?host={cluster.folder}&port={cluster.port}"
    folder = tmp_path / "dump"
    folder.mkdir()
    assert dump(url, folder, lambda id_, digest: None).rows["submission"] == 3
    wrong = f"{url}&sslmode=require"
    done = pgtools.run(database.open_engine(wrong).url, "psql", "-X", "--command=SELECT 1")
    assert done.returncode == 0  # sslmode says nothing about sockets
    tcp = f"{board.settings.db_url}?sslmode=require"
    done = pgtools.run(database.open_engine(tcp).url, "psql", "-X", "--command=SELECT 1")
    assert done.returncode != 0 and b"SSL" in done.stderr


def test_what_verifications_have_left_goes(board: Board) -> None:
    taken = board.take()
    cluster = cluster_of(board)
    name = make_url(board.settings.db_url).database
    for left in (f"{name}_verify_1", f"{name}_verify_of_mine"):
        cluster.execute(f'CREATE DATABASE "{left}"')
    with children(board) as verifications:
        verifications.start("verify 45")  # kills itself in between
        assert verifications.end() in (0, -9)
    assert board.verify(taken.name).faults == ()
    with server.connected(make_url(board.settings.db_url)) as connection:
        assert server._named(connection, f"{name}_verify") == [f"{name}_verify_of_mine"]
    cluster.execute(f'DROP DATABASE "{name}_verify_of_mine"')
