"""Verifying a snapshot: every checksum, and a real restore that is thrown away."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from databoard import database
from databoard.backup import checksums, scratch, server
from databoard.backup.dumping import SQLITE, count_rows, sqlite_engine, tell_submissions
from databoard.backup.snapshot import MANIFEST, Manifest, Snapshot, Verification
from databoard.backup.store import JOBS_PATIENCE, Store
from databoard.backup.take import Report
from databoard.config import Settings
from databoard.errors import DataboardError
from databoard.names import printable
from databoard.submissions import name_of_folder

SHOWN = 20  # faults
UNVERIFIED = timedelta(days=9)  # two days more than from one weekly verification to the next

LISTED = """
cd "$name"
find . -type f ! -path ./SHA256SUMS -printf '%P\\0' | LC_ALL=C sort -z -S 32M
"""
CHECKED = """
cd "$name"
LC_ALL=C sha256sum --check --quiet SHA256SUMS 2>/dev/null || true
"""


def verify(
    settings: Settings, store: Store, snapshot: Snapshot, report: Report = lambda step: None
) -> Verification:
    """Look at every byte, restore the database on trial, count, and note how it went.

    Raises DataboardError when it cannot be tried; that says nothing about the snapshot.
    """
    report("Wait for the store")
    with store.locked(shared=True, patience=JOBS_PATIENCE):
        verification = told(list(_faults(settings, store, snapshot, report)))
        store.mark(snapshot.name, verification)
    return verification


def told(faults: Sequence[str]) -> Verification:
    """How a verification ended that has found these."""
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return Verification(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", (*faults[:SHOWN], *more))


def wrong_sums(store: Store, name: str, manifest: Manifest) -> list[str]:
    """The files that are not as SHA256SUMS says, which is as the manifest says."""
    return list(_wrong_sums(store, name, manifest))


def trouble(snapshots: list[Snapshot], max_age: timedelta, now: datetime) -> str | None:
    """What monitoring has to tell: no snapshot, an old or a damaged one, none verified lately."""
    if not snapshots:
        return "There is no snapshot."
    newest = snapshots[-1]
    if newest.is_damaged:
        return f"The newest snapshot, {newest.name}, is damaged."
    if now - newest.at > max_age:
        return f"The newest snapshot, {newest.name}, is {hours(now - newest.at)} old."
    if newest.at - now > timedelta(hours=1):
        return f"The newest snapshot, {newest.name}, is of the future: the clock went back."
    if newest.manifest and newest.manifest.missing:
        return f"The snapshot {newest.name} lacks files of {newest.manifest.missing[0]}."
    verified = [each.at for each in snapshots if each.is_verified]
    if now - max([*verified, snapshots[0].at]) > UNVERIFIED:
        return f"No snapshot of the last {UNVERIFIED.days} days was verified."
    return None


def hours(age: timedelta) -> str:
    """As people say it."""
    count = age.total_seconds() / 3600
    return f"{count:.0f} hours" if count < 72 else f"{count / 24:.0f} days"


def _faults(settings: Settings, store: Store, snapshot: Snapshot, report: Report) -> Iterator[str]:
    manifest = snapshot.manifest
    if manifest is None:
        yield "manifest.json is damaged"
        return
    report("Compare the checksums, restore the database")
    with ThreadPoolExecutor(1) as pool:
        comparing = pool.submit(wrong_sums, store, snapshot.name, manifest)
        tried: list[str] | DataboardError | DBAPIError
        try:
            tried = list(_wrong_restore(settings, store, snapshot.name, manifest))
        except (DataboardError, DBAPIError) as error:
            tried = error
        wrong = comparing.result()
    yield from wrong
    if isinstance(tried, Exception):
        if not wrong:
            raise tried
        return  # no wonder
    yield from tried


def _wrong_sums(store: Store, name: str, manifest: Manifest) -> Iterator[str]:
    """What is not as SHA256SUMS says."""
    with tempfile.TemporaryDirectory(prefix="databoard-") as folder:
        listed = Path(folder, "listed")
        with listed.open("wb") as file:

            def take(chunk: bytes) -> None:
                file.write(chunk)

            store.run(LISTED, sink=take, name=name)
        try:
            with (
                store.fetched(name, checksums.FILE) as path,
                path.open("rb") as sums,
                listed.open("rb") as names,
            ):
                if checksums.seal(sums) != manifest.sums:
                    yield f"{checksums.FILE} has changed"
                sums.seek(0)
                pairs = checksums.read(sums)
                yield from _compared(store, name, pairs, checksums.records(names))
        except (checksums.Damaged, FileNotFoundError):
            yield f"{checksums.FILE} is damaged"


def _compared(
    store: Store, name: str, sums: Iterable[checksums.Sum], names: Iterable[bytes]
) -> Iterator[str]:
    """Each file against its line, both in one order."""
    here = store.here
    there = _actual(here / name if here else None, names)
    path, digest = next(there, (None, ""))
    for wanted, expected in sums:
        while path is not None and path < wanted:
            yield f"{shown(path)} is not among the checksums"
            path, digest = next(there, (None, ""))
        if path != wanted:
            yield f"{shown(wanted)} is missing"
            continue
        if digest not in ("", expected):
            yield _changed(shown(path))
        path, digest = next(there, (None, ""))
    while path is not None:
        yield f"{shown(path)} is not among the checksums"
        path, digest = next(there, (None, ""))
    if here is None:
        for line in store.run(CHECKED, name=name).splitlines():
            yield _changed(line.rpartition(":")[0])


def _changed(name: str) -> str:
    """SHA256SUMS is sealed but for the line of the manifest, which has the seal."""
    also = f", or its line in {checksums.FILE}" if name == MANIFEST else ""
    return f"{name} has changed{also}"


def _actual(folder: Path | None, names: Iterable[bytes]) -> Iterator[tuple[bytes | None, str]]:
    """The checksums of the files that are there; empty ones where the store compares them."""
    if folder is None:
        yield from ((name, "") for name in names)
        return
    root = os.fsencode(folder)
    yield from checksums.hashed(names, lambda name: os.path.join(root, name))


def shown(path: bytes) -> str:
    """A file's name for people."""
    return os.fsdecode(path) if os.fsdecode(path).isprintable() else printable(repr(path))


def _wrong_restore(
    settings: Settings, store: Store, name: str, manifest: Manifest
) -> Iterator[str]:
    """What is not in the restored database as the manifest says."""
    with (
        local_folder(settings, store, f"{name}/database") as folder,
        _restored(settings, folder, manifest) as connection,
    ):
        rows = count_rows(connection)
        for table in sorted({*rows, *manifest.rows}):
            found, wanted = rows.get(table), manifest.rows.get(table)
            if found != wanted:
                yield f"the table {table} has {found} rows, not {wanted}"
        yield from _without_files(store, name, manifest, connection)


@contextmanager
def local_folder(settings: Settings, store: Store, path: str) -> Iterator[Path]:
    """A folder of the store as one of this machine, meanwhile."""
    if store.here is not None:
        yield store.here / path
        return
    with scratch.folder(settings.submissions_path) as folder:
        store.pull(path, folder)
        yield folder


@contextmanager
def _restored(settings: Settings, folder: Path, manifest: Manifest) -> Iterator[Connection]:
    """A connection to the database of a dump, which is thrown away afterwards."""
    if manifest.kind == "sqlite":
        engine = sqlite_engine(folder / SQLITE)
        with engine.connect() as connection:
            yield connection
        engine.dispose()
        return
    url = database.open_engine(settings.db_url).url
    if url.get_backend_name() != "postgresql":
        raise DataboardError(
            "A dump of PostgreSQL is verified on a PostgreSQL server.",
            "Let DATABOARD_DB_URL name a database on one: another is made beside it meanwhile.",
        )
    with server.throw_away(url, "_verify") as there:
        server.restore_dump(folder, there)
        engine = create_engine(there, poolclass=NullPool)
        with engine.connect() as connection:
            yield connection


def _without_files(
    store: Store, name: str, manifest: Manifest, connection: Connection
) -> Iterator[str]:
    """The submissions in the database whose files are not in the snapshot."""
    with tempfile.TemporaryFile("w+") as file, suppress(FileNotFoundError):
        tell_submissions(
            connection, lambda id_, digest: file.write(f"{name_of_folder(id_)} {digest}\n")
        )
        file.seek(0)
        with store.fetched(name, checksums.FILE) as path, path.open("rb") as sums:
            watch = checksums.Watch(file)
            for _ in watch.over(checksums.read(sums)):
                pass
        for folder in watch.missing:
            if folder not in manifest.missing:
                yield f"the files of {folder} are missing"
