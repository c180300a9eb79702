"""Snapshots taken and verified, against pg_dump, rsync and pg_restore by hand."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from large_site import Site, large_site
from measure import Row, arguments, interleave, postgresql, report, run

if TYPE_CHECKING:
    from tests.postgres import Cluster

MEMORY = 200.0  # MB


class Backups:
    """Ours and by hand, each with its own store."""

    def __init__(self, site: Site) -> None:
        self.site, self.store, self.hand = site, site.folder / "store", site.folder / "hand"

    def first(self) -> float:
        """Seconds of the first snapshot."""
        shutil.rmtree(self.store, ignore_errors=True)
        self.store.mkdir()
        return self.site.inv("backup", "--new-store", f"--store={self.store}")

    def again(self) -> float:
        """Seconds of one after which only the dump is new."""
        return self.site.inv("backup", f"--store={self.store}")

    def verified(self) -> float:
        return self.site.inv("verify-backup", f"--store={self.store}")

    def added(self) -> float:
        """The new files of the newest snapshot, in percent of all files' size."""
        folder = max((self.store / "production").glob("*Z")) / "files"
        files = [path.stat() for path in folder.rglob("*") if path.is_file()]
        new = sum(file.st_size for file in files if file.st_nlink == 1)
        return 100 * new / sum(file.st_size for file in files)

    def first_by_hand(self) -> float:
        shutil.rmtree(self.hand, ignore_errors=True)
        self.hand.mkdir()
        return self._dump("first") + self._copy("first")

    def again_by_hand(self) -> float:
        shutil.rmtree(self.hand / "again", ignore_errors=True)
        link = f"--link-dest={self.hand / 'first/files'}"
        return self._dump("again") + self._copy("again", link)

    def restored_by_hand(self) -> float:
        with self.site.cluster.database("by_hand"):
            dump = self.hand / "first/database"
            return self.site.tool("pg_restore", "--jobs=2", dump, database="by_hand")

    def _dump(self, name: str) -> float:
        (self.hand / name).mkdir()
        folder = self.hand / name / "database"
        return self.site.tool("pg_dump", "--format=directory", "--jobs=2", f"--file={folder}")

    def _copy(self, name: str, *options: str) -> float:
        files = f"{self.site.deployment}/submissions"
        return run("rsync", "-a", *options, files, self.hand / name / "files")


def measure(cluster: Cluster, megabytes: int, n_files: int, rounds: int) -> list[Row]:
    with large_site(cluster, megabytes, n_files) as site:
        both = Backups(site)
        first, by_hand = interleave(rounds, both.first, both.first_by_hand)
        again, linked = interleave(rounds, both.again, both.again_by_hand)
        added = both.added()
        verified, restored = interleave(rounds, both.verified, both.restored_by_hand)
        store = f"--store={both.store}"
        peaks = [site.peak("backup", store), site.peak("verify-backup", store)]
    return [
        Row("first backup / pg_dump -j2 + rsync -a", first, by_hand, 1.15),
        Row("again / pg_dump -j2 + rsync -a --link-dest", again, linked, 1.15),
        Row("again: new files, % of their size", added, None, 1.0, is_count=True),
        Row("verify with a restore / pg_restore -j2", verified, restored, 1.3),
        Row("memory of a backup, MB", peaks[0], None, MEMORY, is_count=True),
        Row("memory of a verification, MB", peaks[1], None, MEMORY, is_count=True),
    ]


def main() -> None:
    quick = arguments(__doc__ or "").quick
    size = (200, 4_000, 1) if quick else (1_000, 20_000, 3)
    with postgresql() as cluster:
        if cluster is not None:
            report(measure(cluster, *size))


if __name__ == "__main__":
    main()
