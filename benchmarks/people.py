"""Users of a file: the whole command, against hashing their passwords alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import INV, PYTHON, Row, arguments, interleave, postgresql, report, run

GOAL = 60.0  # seconds for 10,000 users
HASHES = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from databoard.people import hash_password
with ThreadPoolExecutor(os.cpu_count()) as pool:
    list(pool.map(hash_password, ["abcdefgh12345678"] * int(sys.argv[1])))
"""


class Batch:
    """A file of people and their passwords; each round has a database of its own."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count, self.rounds = folder, count, 0
        self.people, self.passwords = folder / "people.csv", folder / "people.w_pwd"
        rows = (f"First,Last,user{n}@example.org,user{n},a note\n" for n in range(count))
        self.people.write_text("firstname,lastname,email,name,hidden_notes\n" + "".join(rows))
        self.inv("generate-passwords", self.people, self.passwords)

    def inv(self, *typed: str | Path, url: str | None = None) -> float:
        """Seconds of a command."""
        url = url or f"sqlite:///{self.folder}/{self.rounds}.db"
        return run(INV, *typed, DATABOARD_DB_URL=url)

    def add(self, url: str | None = None) -> float:
        """Seconds of adding all of them to an empty database."""
        self.rounds += 1
        self.inv("db-upgrade", url=url)
        return self.inv("add-users-from-file", self.people, self.passwords, url=url)

    def hash(self) -> float:
        """Seconds of hashing as many passwords."""
        return run(PYTHON, "-c", HASHES, str(self.count))


def main() -> None:
    quick = arguments(__doc__ or "").quick
    count, rounds = (1_000, 1) if quick else (10_000, 3)
    with tempfile.TemporaryDirectory() as folder, postgresql() as cluster:
        batch = Batch(Path(folder), count)
        ours, floor = interleave(rounds, batch.add, batch.hash)
        rows = [
            Row(f"{count:,} users, SQLite / their hashes alone", ours, floor),
            Row(f"{count:,} users, SQLite", ours, None, GOAL * count / 10_000),
        ]
        if cluster:
            with cluster.database("people") as url:
                ours = batch.add(url)
            rows.append(Row(f"{count:,} users, PostgreSQL", ours, None, GOAL * count / 10_000))
    report(rows)


if __name__ == "__main__":
    main()
