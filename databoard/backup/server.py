"""Databases beside the one that serves: made, filled, and put in its place by one rename."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from databoard import database, pgtools
from databoard.backup.dumping import JOBS
from databoard.errors import DataboardError

SITE = "databoard site: "  # in the comment of a database
MAX_NAME = 63  # bytes of a name in PostgreSQL


@contextmanager
def connected(url: URL) -> Iterator[Connection]:
    """A connection to the server of a database, not to it; each statement for itself.

    Raises DataboardError: the server does not answer, or the role may not do it.
    """
    engine = create_engine(
        url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            yield connection
    except ProgrammingError as error:
        if "permission denied to create database" not in str(error.orig):
            raise database.unreachable(url, error) from None
        raise DataboardError(
            f"The role {url.username} of {database.shown(url)} may not make databases.",
            f'Let it, as a superuser: ALTER ROLE "{url.username}" CREATEDB',
        ) from None
    except DBAPIError as error:
        raise database.unreachable(url, error) from None


def claim(url: str, site: str) -> None:
    """Let a PostgreSQL database say whose it is, unless it says so already."""
    parsed = database.open_engine(url).url
    if parsed.get_backend_name() == "postgresql":
        with connected(parsed) as connection:
            if exists(connection, parsed.database) and not site_of(connection, parsed.database):
                call(connection, parsed.database, site)


def call(connection: Connection, name: str | None, site: str) -> None:
    """Write into a database's comment which site it is of: a copy of another name has no comment,
    and who reaches it by another name finds it."""
    said = _comment(connection, name)
    kept = [line for line in said.splitlines() if not line.startswith(SITE)]
    says = {"says": "\n".join([*kept, f"{SITE}{site}"])}
    literal = connection.scalar(text("SELECT quote_literal(:says)"), says)
    connection.exec_driver_sql(f"COMMENT ON DATABASE {_quoted(connection, name)} IS {literal}")


def site_of(connection: Connection, name: str | None) -> str | None:
    """The site that a database is of; None when it does not say."""
    lines = _comment(connection, name).splitlines()
    return next((line.removeprefix(SITE) for line in lines if line.startswith(SITE)), None)


def _comment(connection: Connection, name: str | None) -> str:
    found = text(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name"
    )
    return str(connection.scalar(found, {"name": name}) or "")


def beside(url: URL, suffix: str) -> URL:
    """A name beside the database's own."""
    name = (url.database or "").encode()[: MAX_NAME - len(suffix)].decode(errors="ignore")
    return url.set(database=f"{name}{suffix}")


def exists(connection: Connection, name: str | None) -> bool:
    """Whether there is a database of that name."""
    found = text("SELECT EXISTS (SELECT FROM pg_database WHERE datname = :name)")
    return bool(connection.scalar(found, {"name": name}))


def create(connection: Connection, name: str | None) -> None:
    """Make an empty database, in place of one of that name that was left."""
    drop(connection, name)
    connection.execute(text(f"CREATE DATABASE {_quoted(connection, name)} TEMPLATE template0"))


def drop(connection: Connection, name: str | None) -> None:
    """Remove a database, whoever uses it."""
    connection.execute(text(f"DROP DATABASE IF EXISTS {_quoted(connection, name)} WITH (FORCE)"))


@contextmanager
def throw_away(url: URL, suffix: str) -> Iterator[URL]:
    """An empty database beside the one at `url`, meanwhile; what the killed have left goes, too."""
    there = beside(url, f"{suffix}_{os.getpid()}")
    with connected(url) as connection:
        prefix = str(beside(url, f"{suffix}_").database)
        for left in _named(connection, prefix):
            if left.removeprefix(prefix).isdigit():
                with suppress(DBAPIError):  # it is in use
                    connection.execute(text(f"DROP DATABASE {_quoted(connection, left)}"))
        create(connection, there.database)
        try:
            with create_engine(there, poolclass=NullPool).connect():  # as long as it is in use
                yield there
        finally:
            with suppress(DBAPIError):
                drop(connection, there.database)


def _named(connection: Connection, prefix: str | None) -> list[str]:
    found = text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)")
    return list(connection.scalars(found, {"prefix": prefix}))


def restore_dump(folder: Path, url: URL) -> None:
    """Fill an empty database from a dump. Raises DataboardError."""
    options = ("--no-password", "--no-owner", "--no-acl", "--exit-on-error", f"--jobs={JOBS}")
    done = pgtools.run(url, "pg_restore", *options, f"--dbname={url.database}", str(folder))
    if done.returncode:
        raise pgtools.failed(
            f"The dump {folder} cannot be restored to {database.shown(url)}",
            done.stderr,
            "The database that serves is as it was.",
        )


def swap(new: URL, serving: URL, kept: URL) -> bool:
    """Let a database serve under the name of another one, which is kept; both or neither.

    Whoever is connected is sent away, and comes back to the new one. Returns whether there was
    another one. Raises DataboardError.
    """
    with connected(serving) as connection, _sent_away(serving):
        connection.exec_driver_sql("BEGIN")
        try:
            is_there = exists(connection, serving.database)
            if is_there:
                _rename(connection, serving.database, kept.database)
            _rename(connection, new.database, serving.database)
            connection.exec_driver_sql("COMMIT")
            return is_there
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise


@contextmanager
def _sent_away(url: URL) -> Iterator[None]:
    """All connections to a database are ended, those of late ones too: a renaming waits for that,
    and meanwhile new ones wait for the renaming.
    """
    ended = Event()
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = :name AND usename = current_user"
    )

    def send_away() -> None:
        with suppress(DataboardError), connected(url) as connection:
            while not ended.wait(0.02):
                connection.execute(others, {"name": url.database})

    thread = Thread(target=send_away)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _rename(connection: Connection, old: str | None, new: str | None) -> None:
    names = (_quoted(connection, name) for name in (old, new))
    connection.execute(text("ALTER DATABASE {} RENAME TO {}".format(*names)))


def _quoted(connection: Connection, name: str | None) -> str:
    return connection.dialect.identifier_preparer.quote(name or "")
