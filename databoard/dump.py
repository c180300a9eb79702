"""A dump of the database in one file."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from databoard import database, pgtools
from databoard.errors import AlreadyThere, NotFound


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
    done = pgtools.run(url, "pg_restore", "--no-owner", "--file=-", str(path))
    if done.returncode == 0:
        psql = ("psql", "-qX", "--no-password", "--single-transaction", "--set=ON_ERROR_STOP=1")
        anew = b"DROP OWNED BY CURRENT_USER CASCADE;\n" + done.stdout
        done = pgtools.run(url, *psql, stdin=anew)
    if done.returncode:
        what = f"{path} cannot be restored to {database.shown(url)}"
        raise pgtools.failed(what, done.stderr, "The database is as it was.")


def _dump_postgresql(url: URL, path: str) -> None:
    pg_dump = ("pg_dump", "--no-password", "--format=custom", "--no-owner", f"--file={path}")
    done = pgtools.run(url, *pg_dump)
    if done.returncode:
        hint = "Check that the server runs, and that pg_dump is not older than it."
        raise pgtools.failed(f"pg_dump of {database.shown(url)} failed", done.stderr, hint)


def _dump_sqlite(source: str, path: str) -> None:
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(path)) as there:
        here.backup(there)
