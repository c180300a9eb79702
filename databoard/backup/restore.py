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


def comparison(settings: Settings, manifest: Manifest) -> list[tuple[str, int | None, int]]:
    """Tables, their rows today (None without the table), and their rows in the snapshot; at the end
    the files.
    """
    engine = database.open_engine(settings.db_url)
    here: dict[str, int] = {}
    with suppress(DBAPIError, DataboardError):
        if database.current_revision(engine) is not None:
            with engine.execution_options(reads_only=True).connect() as connection:
                here = count_rows(connection)
    engine.dispose()
    tables = [(table, here.get(table), rows) for table, rows in manifest.rows.items()]
    return [*tables, ("(files)", _count_files(settings), manifest.n_files)]


def restore(
    settings: Settings, store: Store, snapshot: Snapshot, report: Report = lambda step: None
) -> Kept:
    """Bring database and files back to a snapshot; what was there is kept beside.

    What serves is not touched until everything is there. Raises DataboardError; then it is as it
    was.
    """
    manifest = usable(snapshot)
    staged = staged_database(settings, manifest)
    with restoring(settings.deployment_path, staged), store.locked(shared=True):
        report("Compare the checksums")
        check_sums(store, snapshot.name, manifest)
        report("Copy the files")
        stage_files(settings.deployment_path, store, snapshot.name)
        report("Restore the database")
        with local_folder(store, f"{snapshot.name}/database") as folder:
            staged.fill(folder, manifest)
        report("Switch to them")
        return switch(settings.deployment_path, staged)


@contextmanager
def restoring(deployment: Path, staged: Staged) -> Iterator[None]:
    """Nobody else restores or backs up meanwhile; what is staged goes when it does not succeed.

    What a killed one has left is put right first. Raises DataboardError.
    """
    deployment.mkdir(parents=True, exist_ok=True)
    with held(deployment) as is_ours:
        if not is_ours:
            raise DataboardError(
                "A backup or another restore of this deployment is running.",
                "Wait for it, then repeat the command.",
            )
        recover(deployment, staged)
        try:
            yield
        except BaseException:
            with suppress(DataboardError):
                staged.give_up()
            shutil.rmtree(deployment / STAGED, ignore_errors=True)
            raise


def switch(deployment: Path, staged: Staged, kept: str = "before-{at}") -> Kept:
    """Let staged files and database serve; both or neither. Raises DataboardError."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%f")
    files = exchange_files(deployment, at)
    try:
        before = staged.take_over(at, kept.format(at=at))
    except BaseException:
        shutil.rmtree(put_back(files), ignore_errors=True)
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


def _count_files(settings: Settings) -> int:
    """As many as a snapshot would have."""
    notes = len(list(settings.submissions_path.glob(".*")))
    folders = [settings.deployment_path / folder for folder in FOLDERS]
    return sum(len(names) for folder in folders for _, _, names in os.walk(folder)) - notes


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
