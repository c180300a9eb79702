"""Taking a snapshot: staged, checked, on the disk, renamed."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from databoard import config, keeping
from databoard.backup import checksums, owners, retention, scratch, server
from databoard.backup.checksums import Summing
from databoard.backup.copying import check_restored, copy_files, held
from databoard.backup.dumping import Dumped, dump
from databoard.backup.snapshot import MANIFEST, Manifest, Snapshot, next_name
from databoard.backup.store import JOBS_PATIENCE, Store
from databoard.config import Settings
from databoard.errors import DataboardError
from databoard.submissions import name_of_folder

TAKEN, SKIPPED = ".backup-taken", ".backup-skipped"  # notes in the folder of the submissions
Report = Callable[[str], None]

SIZES = """
cd "$name"
find . -type f -printf '%n %s %.6P\\n' | awk '
    { size += $2 } $1 == 1 { added += $2 } $3 ~ /^files\\// { files++ }
    END { printf "%.0f %.0f %.0f\\n", files, size, added }'
"""


class Busy(DataboardError):
    """Another backup of this deployment is being taken; `times` in a row now."""

    def __init__(self, times: int) -> None:
        self.times = times
        super().__init__(
            f"A backup is still running: this is number {times} in a row to step aside.",
            "Look for it: ps -ef | grep 'inv backup'",
        )


def take(settings: Settings, store: Store, report: Report = lambda step: None) -> Snapshot:
    """Take a snapshot of the database and the files, and remove those that no rule keeps.

    Raises Busy, DataboardError; then there is no new snapshot, and the others are as they were.
    """
    # The default is made where none was; once one was, its disk may be missing.
    is_first = not (settings.submissions_path / TAKEN).exists()
    if store.place.path == settings.own_store and is_first:
        store.make()
    report("Wait for the store")
    with _alone(settings), store.locked(patience=JOBS_PATIENCE):
        check_restored(settings.deployment_path)
        staged = store.begin()
        try:
            snapshots = store.snapshots()
            name = next_name(datetime.now(UTC), snapshots[-1].name if snapshots else None)
            with (
                keeping.keeping(settings.submissions_path),
                scratch.folder(settings.submissions_path) as folder,
            ):
                base = _sound(store, base_of(snapshots), folder)
                taking = _Taking(settings, store, name, staged, base, folder, report)
                manifest = taking.run()
            report("Write all to the disk")
            store.commit(staged, name)
        except BaseException:
            with suppress(DataboardError):  # the store may be what failed
                store.give_up(staged)
            raise
        (settings.submissions_path / TAKEN).touch()
        taken = Snapshot(name, manifest)
        for old in retention.superfluous([*snapshots, taken]):
            store.remove(old.name)
    return taken


def base_of(snapshots: Sequence[Snapshot]) -> Snapshot | None:
    """The snapshot that the next one links to: the newest.

    None when a file of its family is damaged: the link might be to the same damage.
    """
    damaged = {
        each.manifest.family if each.manifest else each.name
        for each in snapshots
        if each.is_damaged
    }
    newest = snapshots[-1] if snapshots else None
    if newest is None or newest.manifest is None or newest.manifest.family in damaged:
        return None
    return newest


def _sound(store: Store, base: Snapshot | None, folder: Path) -> Snapshot | None:
    """The same if its SHA256SUMS, which is fetched, is as it was written; else None."""
    if base is None or base.manifest is None:
        return None
    store.pull(base.name, folder, [f"--include=/{checksums.FILE}", "--exclude=*"])
    try:
        with (folder / checksums.FILE).open("rb") as written:
            return base if checksums.seal(written) == base.manifest.sums else None
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class _Taking:
    """A snapshot that is being made."""

    settings: Settings
    store: Store
    name: str
    staged: str  # its folder, until it is committed
    base: Snapshot | None
    scratch: Path  # has SHA256SUMS of the base
    report: Report

    def run(self) -> Manifest:
        began, taken_at = time.monotonic(), datetime.now(UTC)
        dumped, dump_folder = self._dump()
        self.report("Copy the files")
        base = self.base.name if self.base else None
        copy_files(self.settings.deployment_path, self.store, f"{self.staged}/files", base)
        self.report("Compute the checksums")
        missing = self._sum(dump_folder)
        about = self.scratch / "about"
        owners.note(self.settings.deployment_path, about / owners.FILE)
        line_of_owners = _line(about / owners.FILE)
        with (about / checksums.FILE).open("rb") as written:
            sums = checksums.seal(chain(written, [line_of_owners]))
        n_files, size, added = map(int, self.store.run(SIZES, name=self.staged).split())
        manifest = Manifest(
            site=self.settings.site,
            taken_at=f"{taken_at:%Y-%m-%dT%H:%M:%SZ}",
            seconds=round(time.monotonic() - began, 1),
            release=config.release(),
            revision=dumped.revision,
            kind=dumped.kind,
            database=dumped.database,
            server=dumped.server,
            rows=dumped.rows,
            n_files=n_files,
            size=size,
            added=added,
            sums=sums,
            family=self.base.manifest.family if self.base and self.base.manifest else self.name,
            missing=tuple(missing),
            tools=_tools(dumped),
        )
        (about / MANIFEST).write_text(manifest.text())
        with (about / checksums.FILE).open("ab") as file:
            file.write(_line(about / MANIFEST) + line_of_owners)
        self.store.send(about, self.staged)
        return manifest

    def _dump(self) -> tuple[Dumped, Path]:
        """Dump the database: into the store, or where no path leads there, here, and send it."""
        self.report("Dump the database")
        server.claim(self.settings.db_url, self.settings.site)
        here = self.store.here
        folder = (here / self.staged if here else self.scratch) / "database"
        folder.mkdir(exist_ok=True)
        with (self.scratch / "submissions").open("w") as file:
            dumped = dump(
                self.settings.db_url,
                folder,
                lambda id_, digest: file.write(f"{name_of_folder(id_)} {digest}\n"),
            )
        if here is None:
            self.store.send(folder, f"{self.staged}/database")
        return dumped, folder

    def _sum(self, dump_folder: Path) -> list[str]:
        """Write SHA256SUMS; returns the submissions in the dump whose files are not there.

        Raises DataboardError: what arrived in the store is not what was sent.
        """
        here, deployment = self.store.here, self.settings.deployment_path
        sources = (
            {
                b"database": here / self.staged / "database",
                b"files": here / self.staged / "files",
            }
            if here
            else {b"database": dump_folder, b"files": deployment}
        )
        before = self.scratch / checksums.FILE if self.base else None
        summing = Summing(self.store, self.staged, before, sources, self.scratch)
        missing = summing.write(self.scratch / "submissions")
        lost = [
            name for name in missing if any(self.settings.submissions_path.glob(f"{name}/files*/*"))
        ]
        if lost:
            raise DataboardError(f"The files of {lost[0]} were not copied.", "Repeat the command.")
        return missing


def _line(path: Path) -> bytes:
    """The line of SHA256SUMS for a file of the snapshot's own."""
    names = [path.name.encode()]
    return b"".join(checksums.lines(checksums.hashed(names, lambda name: os.fsencode(path))))


def _tools(dumped: Dumped) -> dict[str, str]:
    """The versions of what the snapshot was made with."""
    found = {"python": platform.python_version()}
    for name in ("rsync", *(["pg_dump"] if dumped.kind == "postgresql" else [])):
        done = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
        found[name] = done.stdout.partition("\n")[0].strip()
    return found


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One backup or restore of a deployment at a time. Raises Busy."""
    settings.submissions_path.mkdir(parents=True, exist_ok=True)
    skipped = settings.submissions_path / SKIPPED
    with held(settings.deployment_path) as is_ours:
        if not is_ours:
            times = len(skipped.read_bytes()) + 1 if skipped.exists() else 1
            skipped.write_bytes(b"." * times)
            raise Busy(times)
        skipped.unlink(missing_ok=True)
        yield
