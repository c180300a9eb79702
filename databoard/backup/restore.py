"""Restoring a snapshot: everything is made beside what serves, then takes its place."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from databoard import database
from databoard.backup import owners, server
from databoard.backup.copying import FOLDERS
from databoard.backup.dumping import SQLITE, copy_sqlite, count_rows
from databoard.backup.snapshot import FORM, Manifest, Snapshot
from databoard.backup.store import Store
from databoard.backup.take import Report
from databoard.backup.verify import local_folder
from databoard.config import Settings
from databoard.errors import DataboardError

STAGED = ".restoring"  # in the deployment
UNFINISHED = ".unfinished"


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
    at = datetime.now(UTC).strftime(FORM)
    staged = staged_database(settings, manifest)
    with store.locked(shared=True):
        put_back(settings.deployment_path)
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
                for undone in put_back(settings.deployment_path):
                    shutil.rmtree(undone, ignore_errors=True)
                raise
        except BaseException:
            with suppress(DataboardError):
                staged.give_up()
            shutil.rmtree(settings.deployment_path / STAGED, ignore_errors=True)
            raise
    return Kept(before, finish_files(files))


def usable(snapshot: Snapshot) -> Manifest:
    """The manifest of a snapshot that is not known to be damaged. Raises DataboardError."""
    if snapshot.manifest is not None and not snapshot.is_damaged:
        return snapshot.manifest
    fault = snapshot.verification.faults[0] if snapshot.verification else "manifest.json"
    raise DataboardError(
        f"The snapshot {snapshot.name} is damaged: {fault}.", "Choose another: inv backups"
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
        _copy(self.there, self.path)
        self.give_up()
        return str(kept) if kept else None

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
    kept = deployment / f"before-restore-{at}{UNFINISHED}"
    kept.mkdir()
    for folder in FOLDERS:
        if (deployment / folder).exists():
            (deployment / folder).rename(kept / folder)
        if (deployment / STAGED / folder).exists():
            (deployment / STAGED / folder).rename(deployment / folder)
    return kept


def put_back(deployment: Path) -> list[Path]:
    """Undo an exchange that was not finished; returns where what served meanwhile is now."""
    undone = []
    for kept in deployment.glob(f"before-restore-*{UNFINISHED}"):
        aside = kept.with_name(f"{kept.name.removesuffix(UNFINISHED)}.undone")
        aside.mkdir()
        for folder in list(kept.iterdir()):
            serving = deployment / folder.name
            if serving.exists():
                serving.rename(aside / folder.name)
            folder.rename(serving)
        kept.rmdir()
        undone.append(aside)
    return undone


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
