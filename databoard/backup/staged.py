"""A database that is made beside the one that serves, and takes its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from databoard import database
from databoard.backup import server
from databoard.backup.dumping import SQLITE, copy_sqlite, count_rows
from databoard.backup.snapshot import Manifest
from databoard.config import Settings
from databoard.errors import DataboardError


def staged_database(settings: Settings, manifest: Manifest, suffix: str = "_restoring") -> Staged:
    """What becomes the database of these settings. Raises DataboardError: of the other kind."""
    url = database.open_engine(settings.db_url).url
    if url.get_backend_name() != manifest.kind:
        kinds = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
        raise DataboardError(
            f"The snapshot is of {kinds[manifest.kind]}; {database.shown(url)} is not.",
            "Let DATABOARD_DB_URL name the database to restore to.",
        )
    kind = StagedSqlite if manifest.kind == "sqlite" else StagedPostgresql
    return kind(url, suffix, settings.site)


@dataclass(frozen=True)
class StagedPostgresql:
    """A database on the same server, which takes the name of the one that serves."""

    url: URL
    suffix: str
    site: str

    @property
    def there(self) -> URL:
        return server.beside(self.url, self.suffix)

    def fill(self, folder: Path, manifest: Manifest) -> None:
        """Restore a dump into it, and bring it to this code's revision. Raises DataboardError."""
        with server.connected(self.url) as connection:
            server.create(connection, self.there.database)
        server.restore_dump(folder, self.there)
        engine = create_engine(self.there, poolclass=NullPool)
        with engine.connect() as connection:
            _check_rows(count_rows(connection), manifest)
        database.upgrade(self.there.render_as_string(hide_password=False))
        with server.connected(self.url) as connection:
            server.call(connection, self.there.database, self.site)

    def take_over(self, at: str, kept: str) -> str | None:
        """Let it serve; returns where the one before is `kept`, and one kept so before goes.

        Raises DataboardError.
        """
        before = server.beside(self.url, f"_{kept.replace('-', '_').lower()}")
        with server.connected(self.url) as connection:
            server.drop(connection, before.database)
        is_kept = server.swap(self.there, self.url, before)
        return before.database if is_kept else None

    def has_taken_over(self, at: str) -> bool:
        """Whether it serves since then, or serves no more; asked after a killed restore."""
        with server.connected(self.url) as connection:
            return not server.exists(connection, self.there.database)

    def give_up(self) -> None:
        """Remove it."""
        with server.connected(self.url) as connection:
            server.drop(connection, self.there.database)


@dataclass(frozen=True)
class StagedSqlite:
    """A file beside the one that serves, whose content is exchanged: others have it open."""

    url: URL
    suffix: str
    site: str

    @property
    def path(self) -> Path:
        return Path(str(self.url.database))

    @property
    def file(self) -> Path:
        return self.path.with_name(f"{self.path.name}{self.suffix}")

    @property
    def there(self) -> URL:
        return self.url.set(database=str(self.file))

    def fill(self, folder: Path, manifest: Manifest) -> None:
        """Restore a dump into it, and bring it to this code's revision. Raises DataboardError."""
        self.give_up()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _copy(folder / SQLITE, self.file)
        engine = create_engine(self.there, poolclass=NullPool)
        with engine.connect() as connection:
            _check_rows(count_rows(connection), manifest)
        database.upgrade(self.there.render_as_string())

    def take_over(self, at: str, kept: str) -> str | None:
        """Let it serve; returns where the one before is `kept`. Raises DataboardError."""
        before = None
        if self.path.exists():
            before = self.path.with_name(f"{self.path.name}.{kept}")
            _copy(self.path, before)
        with closing(sqlite3.connect(self.file)) as there:
            there.execute(f"PRAGMA user_version = {crc32(at.encode()) >> 1}")
        _copy(self.file, self.path)
        self.give_up()
        return str(before) if before else None

    def has_taken_over(self, at: str) -> bool:
        """Whether it serves since then, or serves no more; asked after a killed restore."""
        if not self.file.exists():
            return True
        with closing(sqlite3.connect(self.path)) as here:
            (mark,) = here.execute("PRAGMA user_version").fetchone()
        return bool(mark == crc32(at.encode()) >> 1)

    def vacuum(self) -> None:
        """Let the file hold nothing that was overwritten."""
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def give_up(self) -> None:
        """Remove it."""
        for path in self.file.parent.glob(f"{self.file.name}*"):  # with its -wal and -shm
            path.unlink()


Staged = StagedPostgresql | StagedSqlite


def _check_rows(rows: dict[str, int], manifest: Manifest) -> None:
    for table, count in manifest.rows.items():
        if rows.get(table) != count:
            raise DataboardError(
                f"The restored table {table} has {rows.get(table)} rows, not {count}.",
                "Choose another snapshot: inv backups",
            )


def _copy(source: Path, destination: Path) -> None:
    if not destination.exists():
        destination.touch(mode=0o600)
    copy_sqlite(source, destination)
