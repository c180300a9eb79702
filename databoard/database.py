"""Engines, transactions, migrations, and the few places where the two dialects differ."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from databoard import migration
from databoard.config import ROOT
from databoard.errors import DataboardError, InvalidValue
from databoard.migration import Migration
from databoard.names import printable

MIGRATIONS = ROOT / "migrations"
AFTER_COMMIT = "databoard.after_commit"
UPGRADING = 0x64617461  # our advisory lock in PostgreSQL: any number that nobody else takes


def open_engine(url: str) -> Engine:
    """An engine on `sqlite:///path` or `postgresql://user:password@host/name`.

    Its errors show statements without their values: hashes of passwords, notes on people.
    Raises InvalidValue for any other URL.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "postgresql":
        options = {"options": "-c timezone=utc"}
        return create_engine(
            parsed,
            pool_pre_ping=True,
            connect_args=options,
            hide_parameters=True,
            use_native_hstore=False,  # or each connection would ask whether there is such a type
        )
    engine = create_engine(parsed, connect_args={"timeout": 60}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def session_scope(engine: Engine) -> Iterator[Session]:
    """A session that writes: committed at the end, rolled back on any error."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session
    for do in session.info.get(AFTER_COMMIT, ()):
        do()


def after_commit(session: Session, do: Callable[[], object]) -> None:
    """What a `session_scope` does once it is committed, such as removing files."""
    session.info.setdefault(AFTER_COMMIT, []).append(do)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that only reads; on SQLite it waits for no writer."""
    with Session(engine.execution_options(reads_only=True), expire_on_commit=False) as session:
        yield session


def check(engine: Engine) -> None:
    """Raise DataboardError unless this code may use the database."""
    if may_serve(engine):
        return
    here, wanted = current_revision(engine), head_revision()
    if here is None:
        raise DataboardError(
            f"There is no Databoard database at {shown(engine.url)}.",
            "Make it with: inv db-upgrade",
        )
    _check_known(engine.url, here)
    raise DataboardError(
        f"The database at {shown(engine.url)} is at revision {here}, this code needs {wanted}.",
        "Upgrade it with: inv db-upgrade",
    )


def may_serve(engine: Engine) -> bool:
    """Whether the database is at this code's revision, or at a newer one that bears this code."""
    with _looking(engine) as connection:
        here, wanted = _revision(connection), head_revision()
        if here == wanted:
            return True
        if connection is None or here is None or here in revisions():
            return False
        oldest = migration.oldest_code(connection, here)
        return oldest is not None and oldest <= wanted


def current_revision(engine: Engine) -> str | None:
    """The revision the database is at; None when it has no tables (or is not there)."""
    with _looking(engine) as connection:
        return _revision(connection)


def pending(engine: Engine) -> list[Migration]:
    """This code's migrations that the database lacks, oldest first."""
    here = current_revision(engine)
    files = migration.files(MIGRATIONS)
    return [migration.read(path) for id_, path in files.items() if here is None or id_ > here]


def unreachable(url: URL, error: DBAPIError) -> DataboardError:
    """What to tell a person whose database does not answer. Never shows the password."""
    reason = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
    if isinstance(error, OperationalError) and url.get_backend_name() == "postgresql":
        return DataboardError(
            f"The database {shown(url)} does not answer: {reason}",
            "Check DATABOARD_DB_URL, and that the server runs.",
        )
    if isinstance(error, IntegrityError):  # what was free when it was looked up
        return DataboardError(
            f"Somebody else stored the same just now: {reason}", "Repeat the command."
        )
    if isinstance(error, OperationalError):
        hint = "Check that its disk is not full, and who may write to it."
    else:
        hint = "Check that DATABOARD_DB_URL is the one."
    return DataboardError(f"The database {shown(url)} refused: {reason}", hint)


def revisions() -> list[str]:
    """Revision ids of the migrations, oldest first."""
    return list(migration.files(MIGRATIONS))


def head_revision() -> str:
    """The newest revision of this code, read from the file names: Alembic is slow to import."""
    return revisions()[-1]


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest revision, making it if need be.

    All migrations are one transaction; who comes second waits. Raises DataboardError when one
    fails, or when the database is of newer code.
    """
    with _migrating(url) as engine, engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # on SQLite the transaction waits by itself
            connection.execute(text(f"SELECT pg_advisory_xact_lock({UPGRADING})"))
        _check_known(engine.url, _revision(connection))
        migration.run(connection, MIGRATIONS)


def new_migration(url: str, message: str, compatible: bool = False) -> Path:
    """Write the migration from the database at `url` to the models. Returns its file.

    `compatible`: today's code works with the schema after it, too.
    Raises DataboardError when nothing differs.
    """
    engine = open_engine(url)
    check(engine)
    _check_known(engine.url, current_revision(engine))
    engine.dispose()
    with _migrating(url) as engine, engine.connect() as connection:
        return migration.write(connection, MIGRATIONS, message, compatible)


def shown(url: URL) -> str:
    """The URL as people write it, without its password."""
    url = url.difference_update_query(["password"])
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


@contextmanager
def _looking(engine: Engine) -> Iterator[Connection | None]:
    """A connection that only reads; None without SQLite's file, which is not made by looking."""
    path = _sqlite_path(engine.url)
    if path is not None and not path.exists():
        yield None
        return
    try:
        with engine.execution_options(reads_only=True).connect() as connection:
            yield connection
    except DBAPIError as error:
        raise unreachable(engine.url, error) from error


def _revision(connection: Connection | None) -> str | None:
    if connection is None or not connection.dialect.has_table(connection, "alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return str(row[0]) if row else None


def _check_known(url: URL, revision: str | None) -> None:
    if revision is not None and revision not in revisions():
        raise DataboardError(
            f"The database at {shown(url)} is at revision {revision}, which this code does "
            f"not know (its newest is {head_revision()}).",
            "Install the version of Databoard that made it.",
        )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # either may quote a part of the password
        raise InvalidValue(
            "DATABOARD_DB_URL is not a database URL.",
            "Use postgresql://user:password@host/name or sqlite:////absolute/path.db.",
        ) from None
    if "@" in f"{parsed.host}{parsed.database}" and parsed.host:
        raise InvalidValue(
            "DATABOARD_DB_URL has more than one @.", "In a password write %40 for @, and %2F for /."
        )
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg2"):
        # Named, since SQLAlchemy's default driver for PostgreSQL changes with its version.
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise InvalidValue(
        f"DATABOARD_DB_URL names the database kind {printable(parsed.drivername)}.",
        "Use postgresql://user:password@host/name or sqlite:////absolute/path.db.",
    )


def _sqlite_path(url: URL) -> Path | None:
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that reads first and writes later would fail at once, without waiting, when
    # another has written in between: so writers take the lock when they begin.
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _set(pragma: str, connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _migrating(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    path = _sqlite_path(engine.url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It will hold password hashes: nobody else reads it.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        # Alembic changes a table by making another and dropping the first, which would delete
        # the rows that refer to it; and triggers name it meanwhile. This cannot be changed within a
        # transaction.
        for pragma in ("foreign_keys=OFF", "legacy_alter_table=ON"):
            event.listen(engine, "connect", partial(_set, pragma))
    try:
        yield engine
    except DBAPIError as error:
        raise unreachable(engine.url, error) from error
    finally:
        engine.dispose()
