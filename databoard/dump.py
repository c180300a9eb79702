"""A dump of the database in one file."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL

from databoard import database
from databoard.errors import AlreadyThere, DataboardError, NotFound


def dump(url: str, path: Path, force: bool = False) -> None:
    """Write the database to a file that only its owner reads: pg_dump's custom format, or SQLite.

    The file is there whole or not at all. Raises AlreadyThere, unless `force`; NotFound without a
    database; DataboardError when pg_dump fails.
    """
    if path.exists() and not force:
        raise AlreadyThere(f"{path} is there already.", "Choose another name, or add --force.")
    engine = database.open_engine(url)
    if database.current_revision(engine) is None:
        raise NotFound(
            f"There is no Databoard database at {database.shown(engine.url)}.",
            "Make it with: inv db-upgrade",
        )
    engine.dispose()
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 600
    try:
        if engine.dialect.name == "postgresql":
            _dump_postgresql(engine.url, partial)
        else:
            _dump_sqlite(str(engine.url.database), partial)
        os.fsync(descriptor)
        os.rename(partial, path)
    finally:
        os.close(descriptor)
        Path(partial).unlink(missing_ok=True)


def restore(url: str, path: Path) -> None:
    """Bring the database back to a dump, whole or not at all; what is newer in it is lost.

    Raises NotFound without the file; DataboardError when it cannot be restored.
    """
    if not path.is_file():
        raise NotFound(f"There is no dump {path}.", "See the folder backups/.")
    parsed = database.open_engine(url).url
    if parsed.get_backend_name() == "postgresql":
        _restore_postgresql(parsed, path)
    else:
        _dump_sqlite(str(path), str(parsed.database))


def _restore_postgresql(url: URL, path: Path) -> None:
    psql = ["psql", "-qX", "--no-password", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    with password_file(url) as environment:
        sql = subprocess.run(
            ["pg_restore", "--no-owner", "--file=-", str(path)], capture_output=True, check=False
        )
        done = (
            subprocess.run(
                psql,
                env=environment,
                input=b"DROP OWNED BY CURRENT_USER CASCADE;\n" + sql.stdout,
                capture_output=True,
                check=False,
            )
            if sql.returncode == 0
            else sql
        )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise DataboardError(
            f"{path} cannot be restored to {database.shown(url)}: {reason[0]}",
            "The database is as it was.",
        )


def _dump_postgresql(url: URL, path: str) -> None:
    with password_file(url) as environment:
        pg_dump = ["pg_dump", "--no-password", "--format=custom", "--no-owner", f"--file={path}"]
        try:
            done = subprocess.run(
                pg_dump, env=environment, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise NotFound(
                "There is no pg_dump on this machine.", "Debian: apt-get install postgresql-client"
            ) from None
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise DataboardError(
            f"pg_dump of {database.shown(url)} failed: {reason[0].removeprefix('pg_dump: ')}",
            "Check that the server runs, and that pg_dump is not older than it.",
        )


def _dump_sqlite(source: str, path: str) -> None:
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(path)) as there:
        here.backup(there)


@contextmanager
def password_file(url: URL) -> Iterator[dict[str, str]]:
    """The environment in which PostgreSQL's programs find the database, and its password in a file
    that is gone afterwards."""
    port, name = str(url.port or 5432), url.database or ""
    where = {"PGHOST": url.host or "", "PGPORT": port, "PGUSER": url.username or ""}
    with tempfile.NamedTemporaryFile("w", prefix="databoard-") as file:  # mode 600
        password = str(url.password or "")
        fields = [url.host or "*", port, name, url.username or "*", password]
        file.write(":".join(re.sub(r"([\\:])", r"\\\1", field) for field in fields) + "\n")
        file.flush()
        yield {**os.environ, **where, "PGDATABASE": name, "PGPASSFILE": file.name}
