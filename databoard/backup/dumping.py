"""Dumping the database whole, and as it was in one moment, counts included."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, inspect, select, text

from databoard import database, pgtools
from databoard.errors import DataboardError, NotFound
from databoard.model.submission import Submission

JOBS = 2
SQLITE = "databoard.db"
TakeSubmission = Callable[[int, str], object]  # its id, and the digest of its files


@dataclass(frozen=True)
class Dumped:
    """What was dumped."""

    kind: str
    database: str
    server: str
    revision: str
    rows: dict[str, int]


def dump(url: str, folder: Path, take_submission: TakeSubmission) -> Dumped:
    """Dump a database into an empty folder; `take_submission` is told each submission, by id.

    Raises NotFound without a database, DataboardError when it fails.
    """
    engine = database.open_engine(url)
    try:
        revision = database.current_revision(engine)
        if revision is None:
            raise NotFound(
                f"There is no Databoard database at {database.shown(engine.url)}.",
                "Make it with: inv db-upgrade",
            )
        dump_it = _dump_sqlite if engine.dialect.name == "sqlite" else _dump_postgresql
        return dump_it(engine, folder, revision, take_submission)
    finally:
        engine.dispose()


def count_rows(connection: Connection) -> dict[str, int]:
    """The rows of each table."""
    quote = connection.dialect.identifier_preparer.quote
    return {
        name: int(connection.scalar(text(f"SELECT count(*) FROM {quote(name)}")) or 0)  # noqa: S608 - a name cannot be bound
        for name in sorted(inspect(connection).get_table_names())
    }


def tell_submissions(connection: Connection, take_submission: TakeSubmission) -> None:
    """Tell each submission, in the order of ids."""
    rows = select(Submission.id, Submission.files_digest).order_by(Submission.id)
    for id_, digest in connection.execute(rows.execution_options(yield_per=1000)):
        take_submission(id_, digest)


def place_of(url: URL) -> str:
    """Where a SQLite database is: the machine, and the path."""
    return f"{platform.node()}:{Path(str(url.database)).resolve()}"


def sqlite_engine(path: Path) -> Engine:
    """An engine on a dumped file, which reading does not change."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True))


def copy_sqlite(source: Path, destination: Path) -> None:
    """One file's content into another's, in one transaction, while both are used.

    Raises DataboardError.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as here,
            closing(sqlite3.connect(destination)) as there,
        ):
            here.backup(there)
    except sqlite3.Error as error:
        raise DataboardError(
            f"{source} cannot be copied to {destination}: {error}.",
            "Look whether the disk is full, or fails.",
        ) from None


def _dump_postgresql(
    engine: Engine, folder: Path, revision: str, take_submission: TakeSubmission
) -> Dumped:
    with _one_moment(engine) as (connection, moment):
        # the lowest compression takes half the time, and a tenth more room
        options = ("--no-password", "--format=directory", "--no-owner", "--compress=1")
        where = (f"--jobs={JOBS}", f"--snapshot={moment}", f"--file={folder}")
        with pgtools.started(engine.url, "pg_dump", *options, *where) as process:
            rows = count_rows(connection)
            tell_submissions(connection, take_submission)
            _, said = process.communicate()
        if process.returncode:
            raise pgtools.failed(
                f"pg_dump of {database.shown(engine.url)} failed",
                said,
                "Check that the server runs, and that pg_dump is not older than it.",
            )
        server = f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"
    return Dumped("postgresql", str(engine.url.database), server, revision, rows)


@contextmanager
def _one_moment(engine: Engine) -> Iterator[tuple[Connection, str]]:
    """A connection that sees the database as it is now, and the name of this moment."""
    connected = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    with connected as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield connection, str(connection.scalar(text("SELECT pg_export_snapshot()")))


def _dump_sqlite(
    engine: Engine, folder: Path, revision: str, take_submission: TakeSubmission
) -> Dumped:
    copy = folder / SQLITE
    copy_sqlite(Path(str(engine.url.database)), copy)
    with closing(sqlite3.connect(copy)) as there:
        there.execute("PRAGMA journal_mode=DELETE")  # so that the one file is everything
        (said,) = there.execute("PRAGMA integrity_check").fetchone()
    if said != "ok":
        raise DataboardError(
            f"The database {engine.url.database} is damaged: {said}.",
            "Restore a snapshot: inv backups",
        )
    copied = sqlite_engine(copy)
    with copied.connect() as connection:
        tell_submissions(connection, take_submission)
        rows = count_rows(connection)
    copied.dispose()
    name = Path(str(engine.url.database)).name
    return Dumped("sqlite", name, place_of(engine.url), revision, rows)
