"""A test site with production's data, in which nobody can be recognised.

It is made beside what serves, and takes its place in one moment. The database of before is kept
until the next copy; production is never opened: only its snapshots are read.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import URL, create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from databoard import database, pgtools
from databoard.backup import exchange, server
from databoard.backup.dumping import count_rows, place_of
from databoard.backup.pseudonyms import Pseudonymised, key_of, pseudonymise
from databoard.backup.restore import (
    check_sums,
    restoring,
    switch,
    usable,
)
from databoard.backup.snapshot import Manifest, Snapshot
from databoard.backup.staged import Staged, StagedSqlite, staged_database
from databoard.backup.store import Store
from databoard.backup.take import Report
from databoard.backup.verify import local_folder
from databoard.config import Settings
from databoard.errors import DataboardError

ELSEWHERE = "Name a test site: inv prod-db-to-test --target=test"


@dataclass(frozen=True)
class Copied:
    """What is in the copy, and where that of before is kept."""

    pseudonymised: Pseudonymised
    rows: dict[str, int]
    database_before: str | None
    files_before: Path | None


def copy_to_test(
    settings: Settings,
    store: Store,
    snapshot: Snapshot,
    admins: Collection[str] = (),
    report: Report = lambda step: None,
) -> Copied:
    """Let the site of these settings have the data of a snapshot of production.

    Until all is there and checked, what serves is not touched. Raises DataboardError; then it is as
    it was.
    """
    manifest = usable(snapshot)
    refuse_production(settings, manifest)
    deployment = settings.deployment_path
    staged = staged_database(settings, manifest, "_copying")
    with restoring(deployment, staged), store.locked(shared=True):
        if not snapshot.is_verified:
            report("Compare the checksums")
            check_sums(store, snapshot.name, manifest)
        report("Restore the database")
        with local_folder(settings, store, f"{snapshot.name}/database") as folder:
            staged.fill(folder, manifest)
        report("Replace names and addresses")
        done, rows = _pseudonymise(staged.there, key_of(deployment), admins)
        report("Look for addresses that are left")
        _check_nothing_left(staged, done)
        report("Copy the files")
        exchange.stage(deployment, store, snapshot.name)
        report("Switch to them")
        kept = switch(deployment, staged, "old")
    return Copied(done, rows, kept.database, _keep_files(kept.files))


def refuse_site(settings: Settings) -> None:
    """Raise DataboardError when these are the settings of production."""
    if settings.site == "production":
        raise DataboardError("This is production: nothing is copied to it.", ELSEWHERE)


def refuse_production(settings: Settings, manifest: Manifest) -> None:
    """Raise DataboardError when the destination is where the snapshot comes from, whatever names
    it is reached by."""
    refuse_site(settings)
    url = database.open_engine(settings.db_url).url
    if url.get_backend_name() == "postgresql":
        with server.connected(url) as connection:
            site = server.site_of(connection, url.database) or settings.site
    else:
        site = manifest.site if place_of(url) == manifest.server else settings.site
    if site == manifest.site:
        raise DataboardError(
            f"{database.shown(url)} is the database that the snapshot is of.", ELSEWHERE
        )


def _pseudonymise(
    url: URL, key: bytes, admins: Collection[str]
) -> tuple[Pseudonymised, dict[str, int]]:
    engine = create_engine(url, poolclass=NullPool)
    with Session(engine) as session, session.begin():
        done = pseudonymise(session, key, admins)
    with engine.connect() as connection:
        return done, count_rows(connection)


def _check_nothing_left(staged: Staged, done: Pseudonymised) -> None:
    """Raise DataboardError when an address of production is anywhere in the dump of the copy."""
    if isinstance(staged, StagedSqlite):
        staged.vacuum()  # or what was overwritten would still be in the file
        with staged.file.open("rb") as file:
            found = done.addresses.first_in(file)
    else:
        dump = ("pg_dump", "--no-password", "--format=plain", "--no-owner")
        with pgtools.started(staged.there, *dump) as process:
            found = done.addresses.first_in(cast(BinaryIO, process.stdout))
            errors = process.communicate()[1] if found is None else b""
        if found is None and process.returncode:
            raise pgtools.failed("The copy cannot be looked through", errors, "Repeat the command.")
    if found is not None:
        raise DataboardError(
            "A mail address of production is still in the copy; it was thrown away.",
            "Tell the developers: pseudonyms.py does not know where it stands.",
        )


def _keep_files(files: Path | None) -> Path | None:
    """The files of before, in place of those of before them."""
    if files is None:
        return None
    kept = files.with_name("before-copy")
    shutil.rmtree(kept, ignore_errors=True)
    return files.rename(kept)
