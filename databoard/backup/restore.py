"""Restoring a snapshot: everything is made beside what serves, then takes its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from databoard import database
from databoard.backup import exchange
from databoard.backup.copying import FOLDERS, held
from databoard.backup.dumping import count_rows
from databoard.backup.snapshot import Manifest, Snapshot
from databoard.backup.staged import Staged, staged_database
from databoard.backup.store import Store
from databoard.backup.take import Report
from databoard.backup.verify import local_folder, told, wrong_sums
from databoard.config import Settings
from databoard.errors import DataboardError


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
        exchange.stage(settings.deployment_path, store, snapshot.name)
        report("Restore the database")
        with local_folder(settings, store, f"{snapshot.name}/database") as folder:
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
        exchange.recover(deployment, staged.has_taken_over)
        try:
            yield
        except BaseException:
            with suppress(DataboardError):
                staged.give_up()
            exchange.give_up(deployment)
            raise


def switch(deployment: Path, staged: Staged, kept: str = "before-{at}") -> Kept:
    """Let staged files and database serve; both or neither. Raises DataboardError."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%f")
    files = exchange.exchange(deployment, at)
    try:
        before = staged.take_over(at, kept.format(at=at))
    except BaseException:
        shutil.rmtree(exchange.put_back(files), ignore_errors=True)
        raise
    return Kept(before, exchange.finish(files))


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


def _count_files(settings: Settings) -> int:
    """As many as a snapshot would have."""
    notes = len(list(settings.submissions_path.glob(".*")))
    folders = [settings.deployment_path / folder for folder in FOLDERS]
    return sum(len(names) for folder in folders for _, _, names in os.walk(folder)) - notes
