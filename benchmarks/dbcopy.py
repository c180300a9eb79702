"""Production to test: pseudonymised and checked, against pg_dump and pg_restore by hand."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from large_site import Site, large_site
from measure import INV, ROOT, Row, arguments, clean_environment, interleave, postgresql, report

if TYPE_CHECKING:
    from tests.postgres import Cluster

MEMORY = 200.0  # MB
DOWNTIME = 1.0  # seconds


class Copies:
    """A test site that gets production's data, and the same by hand."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.store = f"--store={site.folder / 'store'}"
        (site.folder / "store").mkdir()
        site.inv("backup", "--new-store", self.store)
        self.test = {
            "DATABOARD_SITE": "test",
            "DATABOARD_DB_URL": site.cluster.url("test"),
            "DATABOARD_DEPLOYMENT_PATH": str(folder),
        }
        site.inv("db-upgrade", **self.test)

    def copy(self) -> float:
        return self.site.inv("prod-db-to-test", self.store, **self.test)

    def peak(self) -> float:
        return self.site.peak("prod-db-to-test", self.store, **self.test)

    def by_hand(self) -> float:
        dump = self.folder / "by-hand"
        shutil.rmtree(dump, ignore_errors=True)
        with self.site.cluster.database("by_hand"):
            dumped = self.site.tool("pg_dump", "--format=directory", "--jobs=2", f"--file={dump}")
            return dumped + self.site.tool("pg_restore", "--jobs=2", dump, database="by_hand")

    def downtime(self) -> float:
        """The longest time without a page of the test site, while its database is exchanged."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = clean_environment() | self.site.environment(**self.test)
        command = [INV, "serve", f"--port={port}"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet
        ) as server:
            asking = Asking(port)
            self.copy()
            asking.end()
            server.terminate()
        return asking.longest


class Asking:
    """Requests for a page, one after the other; begins with its first answer."""

    def __init__(self, port: int) -> None:
        self.port, self.longest, self._ended = port, 0.0, threading.Event()
        while not self._is_answered():
            time.sleep(0.05)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(0.01):
            if self._is_answered():
                self.longest, last = max(self.longest, time.monotonic() - last), time.monotonic()

    def _is_answered(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def measure(cluster: Cluster, megabytes: int, n_files: int, rounds: int) -> list[Row]:
    with (
        large_site(cluster, megabytes, n_files) as site,
        cluster.database("test"),
        cluster.database("test_old"),
    ):
        folder = site.folder / "test"
        folder.mkdir()
        copies = Copies(site, folder)
        ours, by_hand = interleave(rounds, copies.copy, copies.by_hand)
        return [
            Row("prod-db-to-test / pg_dump -j2 + pg_restore -j2", ours, by_hand, 1.4),
            Row("memory, MB", copies.peak(), None, MEMORY, is_count=True),
            Row("longest time without a page of the test site", copies.downtime(), None, DOWNTIME),
        ]


def main() -> None:
    quick = arguments(__doc__ or "").quick
    size = (50, 1_000, 1) if quick else (1_000, 20_000, 3)
    with postgresql() as cluster:
        if cluster is not None:
            report(measure(cluster, *size))


if __name__ == "__main__":
    main()
