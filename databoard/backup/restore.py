"""Restoring a snapshot: everything is made beside what serves, then takes its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from zlib import crc32

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from databoard import database
from databoard.backup import owners, server
from databoard.backup.copying import FOLDERS, UNFINISHED, held
from databoard.backup.dumping import SQLITE, copy_sqlite, count_rows
from databoard.backup.snapshot import Manifest, Snapshot
from databoard.backup.store import Store
from databoard.backup.take import Report
from databoard.backup.verify import local_folder, told, wrong_sums
from databoard.config import Settings
from databoard.errors import DataboardError

STAGED, BEFORE = ".restoring", "before-restore-"  # in the deployment


@dataclass(frozen=True)
class Kept:
    """Where what was there before is; None when nothing was."""

    database: str | None
    files: Path | None


class Staged(Protocol):
    """A database that is made beside the one that serves."""

    def fill(self, folder: Path, manifest: Manifest) -> None:
        """Restore a dump into it, and bring it to this code's revision. Raises DataboardError."""

    def take_over(self, at: str) -> str | None:
        """Let it serve; returns where the one before is kept. Raises DataboardError."""

    def has_taken_over(self, at: str) -> bool:
        """Whether it serves since then, or serves no more; asked after a killed restore."""

    def give_up(self) -> None:
        """Remove it."""


def comparison(settings: Settings, manifest: Manifest) -> list[tuple[str, int | None, int]]:
    """Tables, their rows today (None without the table), and their rows in the snapshot."""
    engine = database.open_engine(settings.db_url)
    here: dict[str, int] = {}
    with suppress(DBAPIError, DataboardError):
        if database.current_revision(engine) is not None:
            with engine.execution_options(reads_only=True).connect() as connection:
                here = count_rows(connection)
    engine.dispose()
    return [(table, here.get(table), rows) for table, rows in manifest.rows.items()]


def restore(
    settings: Settings, store: Store, snapshot: Snapshot, report: Report = lambda step: None
) -> Kept:
    """Bring database and files back to a snapshot; what was there is kept beside.

    What serves is not touched until everything is there. Raises DataboardError; then it is as it
    was.
    """
    manifest = usable(snapshot)
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%f")
    staged = staged_database(settings, manifest)
    settings.deployment_path.mkdir(parents=True, exist_ok=True)
    with _alone(settings.deployment_path), store.locked(shared=True):
        recover(settings.deployment_path, staged)
        report("Compare the checksums")
        check_sums(store, snapshot.name, manifest)
        try:
            report("Copy the files")
            stage_files(settings.deployment_path, store, snapshot.name)
            report("Restore the database")
            with local_folder(store, f"{snapshot.name}/database") as folder:
                staged.fill(folder, manifest)
            report("Switch to them")
            files = exchange_files(settings.deployment_path, at)
            try:
                before = staged.take_over(at)
            except BaseException:
                shutil.rmtree(put_back(files), ignore_errors=True)
                raise
        except BaseException:
            with suppress(DataboardError):
                staged.give_up()
            shutil.rmtree(settings.deployment_path / STAGED, ignore_errors=True)
            raise
    return Kept(before, finish_files(files))


@contextmanager
def _alone(deployment: Path) -> Iterator[None]:
    with held(deployment) as is_ours:
        if not is_ours:
            raise DataboardError(
                "A backup or another restore of this deployment is running.",
                "Wait for it, then repeat the command.",
            )
        yield


def usable(snapshot: Snapshot) -> Manifest:
    """The manifest of a snapshot that is not known to be damaged. Raises DataboardError."""
    if snapshot.manifest is not None and not snapshot.is_damaged:
        return snapshot.manifest
    faults = snapshot.verification.faults if snapshot.verification else ()
    raise damaged(snapshot.name, faults or ["manifest.json"])


def check_sums(store: Store, name: str, manifest: Manifest) -> None:
    """Raise DataboardError, and note it, unless every file is as it was written."""
    if faults := wrong_sums(store, name, manifest):
        store.mark(name, told(faults))
        raise damaged(name, faults)


def damaged(name: str, faults: Sequence[str]) -> DataboardError:
    return DataboardError(
        f"The snapshot {name} is damaged: {faults[0]}.", "Choose another: inv backups"
    )


def staged_database(settings: Settings, manifest: Manifest, suffix: str = "_restoring") -> Staged:
    """What becomes the database of these settings. Raises DataboardError: of the other kind."""
    url = database.open_engine(settings.db_url).url
    if url.get_backend_name() != manifest.kind:
        kinds = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
        raise DataboardError(
            f"The snapshot is of {kinds[manifest.kind]}; {database.shown(url)} is not.",
            "Let DATABOARD_DB_URL name the database to restore to.",
        )
    return StagedSqlite(url) if manifest.kind == "sqlite" else StagedPostgresql(url, suffix)


@dataclass(frozen=True)
class StagedPostgresql:
    """A database on the same server, which takes the name of the one that serves."""

    url: URL
    suffix: str = "_restoring"
    kept: str = "_before_{at}"

    @property
    def there(self) -> URL:
        return server.beside(self.url, self.suffix)

    def fill(self, folder: Path, manifest: Manifest) -> None:
        with server.connected(self.url) as connection:
            server.create(connection, self.there.database)
        server.restore_dump(folder, self.there)
        engine = create_engine(self.there, poolclass=NullPool)
        with engine.connect() as connection:
            _check_rows(count_rows(connection), manifest)
        database.upgrade(self.there.render_as_string(hide_password=False))

    def take_over(self, at: str) -> str | None:
        kept = server.beside(self.url, self.kept.format(at=at.lower()))
        is_kept = server.swap(self.there, self.url, kept)
        return kept.database if is_kept else None

    def has_taken_over(self, at: str) -> bool:
        with server.connected(self.url) as connection:
            return not server.exists(connection, self.there.database)

    def give_up(self) -> None:
        with server.connected(self.url) as connection:
            server.drop(connection, self.there.database)


@dataclass(frozen=True)
class StagedSqlite:
    """A file beside the one that serves, whose content is exchanged: others have it open."""

    url: URL

    @property
    def path(self) -> Path:
        return Path(str(self.url.database))

    @property
    def there(self) -> Path:
        return self.path.with_name(f"{self.path.name}.restoring")

    def fill(self, folder: Path, manifest: Manifest) -> None:
        self.give_up()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _copy(folder / SQLITE, self.there)
        engine = create_engine(f"sqlite:///{self.there}", poolclass=NullPool)
        with engine.connect() as connection:
            _check_rows(count_rows(connection), manifest)
        database.upgrade(f"sqlite:///{self.there}")

    def take_over(self, at: str) -> str | None:
        kept = None
        if self.path.exists():
            kept = self.path.with_name(f"{self.path.name}.before-{at}")
            _copy(self.path, kept)
        with closing(sqlite3.connect(self.there)) as there:
            there.execute(f"PRAGMA user_version = {crc32(at.encode()) >> 1}")
        _copy(self.there, self.path)
        self.give_up()
        return str(kept) if kept else None

    def has_taken_over(self, at: str) -> bool:
        if not self.there.exists():
            return True
        with closing(sqlite3.connect(self.path)) as here:
            (mark,) = here.execute("PRAGMA user_version").fetchone()
        return bool(mark == crc32(at.encode()) >> 1)

    def give_up(self) -> None:
        for path in self.there.parent.glob(f"{self.there.name}*"):  # with its -wal and -shm
            path.unlink()


def stage_files(deployment: Path, store: Store, name: str) -> None:
    """Copy a snapshot's files into the deployment, beside those that serve."""
    staged = deployment / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True, mode=0o700)
    store.pull(f"{name}/files", staged)
    with store.fetched(name, owners.FILE) as file:
        owners.give_back(file, staged)


def exchange_files(deployment: Path, at: str) -> Path:
    """Let the staged folders take the places of those that serve; returns where these are now."""
    kept = deployment / f"{BEFORE}{at}{UNFINISHED}"
    kept.mkdir()
    for folder in FOLDERS:
        if os.path.lexists(deployment / folder):
            (deployment / folder).rename(kept / folder)
        if os.path.lexists(deployment / STAGED / folder):
            (deployment / STAGED / folder).rename(deployment / folder)
    return kept


def recover(deployment: Path, staged: Staged) -> None:
    """What a killed restore has exchanged stays if its database serves, and else is put back."""
    for kept in deployment.glob(f"{BEFORE}*{UNFINISHED}"):
        if staged.has_taken_over(kept.name.removeprefix(BEFORE).removesuffix(UNFINISHED)):
            finish_files(kept)
        else:
            aside = put_back(kept)
            with suppress(OSError):  # it keeps what served meanwhile
                aside.rmdir()


def put_back(kept: Path) -> Path:
    """Undo an exchange that was not finished; returns where what served meanwhile is now."""
    aside = kept.with_name(f"{kept.name.removesuffix(UNFINISHED)}.undone")
    aside.mkdir(exist_ok=True)  # by one that was killed
    for folder in list(kept.iterdir()):
        serving = kept.parent / folder.name
        if os.path.lexists(serving):
            serving.rename(aside / folder.name)
        folder.rename(serving)
    kept.rmdir()
    return aside


def finish_files(kept: Path) -> Path | None:
    """The exchange stays."""
    done = kept.with_name(kept.name.removesuffix(UNFINISHED))
    kept.rename(done)
    shutil.rmtree(kept.parent / STAGED, ignore_errors=True)
    if any(done.iterdir()):
        return done
    done.rmdir()
    return None


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
