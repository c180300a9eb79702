"""A site for the benchmarks of backups: a large PostgreSQL database, and files of submissions."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
from measure import INV, ROOT, clean_environment, run
from sqlalchemy import insert, select, text

from databoard import database
from databoard.model.base import Base
from databoard.submissions import name_of_folder
from databoard.submitted import SubmittedFile, digest_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.postgres import Cluster

PEOPLE, SCORES = 1_000, 5
FILES = [SubmittedFile("estimator.py", b"x = 1\n" * 500), SubmittedFile("about.txt", b"y\n" * 99)]
LONG_TEXTS = """
UPDATE submission SET error_message =
    (SELECT string_agg(md5(submission.id || '.' || i), '') FROM generate_series(1, {words}) i)
"""
RUNS = """
INSERT INTO fold_run (submission_id, fold, train_time, valid_time, test_time, max_memory)
SELECT id, fold, 1, 1, 1, 1 FROM submission, generate_series(1, {folds}) fold
"""
SCORES_OF_FOLDS = """
INSERT INTO fold_score (submission_id, fold, event_score_type_id, train, valid, test)
SELECT submission_id, fold, event_score_type.id, random(), random(), random()
FROM fold_run, event_score_type
"""


@dataclass(frozen=True)
class Site:
    """A deployment whose database is in a cluster of its own."""

    cluster: Cluster
    folder: Path
    database: str

    @property
    def deployment(self) -> Path:
        return self.folder / "deployment"

    @property
    def url(self) -> str:
        return self.cluster.url(self.database)

    def environment(self, **more: str) -> dict[str, str]:
        mine = {"DATABOARD_DEPLOYMENT_PATH": str(self.deployment), "DATABOARD_DB_URL": self.url}
        return mine | {"DATABOARD_SITE": "production"} | more

    def inv(self, *typed: str | Path, **more: str) -> float:
        """Seconds of a command."""
        return run(INV, *typed, **self.environment(**more))

    def tool(self, name: str, *typed: str | Path, database: str = "") -> float:
        """Seconds of one of PostgreSQL's programs."""
        url = self.cluster.url(database or self.database)
        return run(self.cluster.programs / name, f"--dbname={url}", *typed)

    def peak(self, *typed: str | Path, **more: str) -> float:
        """The most memory that a command and its processes have at a time, in MB.

        What they share is counted once. The server is not of them.
        """
        environment = clean_environment() | self.environment(**more)
        with subprocess.Popen(
            [INV, *typed], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        ) as process:
            most, ended = 0, threading.Event()
            threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
            while not ended.wait(0.05):
                most = max(most, memory(process.pid))
        if process.returncode:
            raise SystemExit(f"inv {' '.join(map(str, typed))} failed")
        return most / 1e6


@contextmanager
def large_site(cluster: Cluster, megabytes: int, n_files: int) -> Iterator[Site]:
    """A site with about so large a database, and so many files of submissions."""
    with TemporaryDirectory() as folder, cluster.database("large") as url:
        site = Site(cluster, Path(folder), "large")
        site.deployment.mkdir()
        database.upgrade(url)
        engine = database.open_engine(url)
        fill(engine, n_files // len(FILES), megabytes)
        for number in range(1, n_files // len(FILES) + 1):
            place = site.deployment / "submissions" / name_of_folder(number) / "files"
            place.mkdir(parents=True)
            for file in FILES:
                (place / file.name).write_bytes(file.content + str(number).encode())
        with engine.connect() as connection:
            size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
        engine.dispose()
        print(f"{size / 1e6:,.0f} MB of database, {n_files:,} files")
        yield site


def fill(engine: Engine, n_submissions: int, megabytes: int) -> None:
    """Half of the database are long texts, half are scores."""
    tables = Base.metadata.tables

    def rows(name: str, *values: dict[str, object]) -> None:
        connection.execute(insert(tables[name]), list(values))

    people = [f"user{number}" for number in range(1, PEOPLE + 1)]
    with engine.begin() as connection:
        users = [
            {"name": name, "email": f"{name}@example.net", "access_level": "user"}
            for name in people
        ]
        rows("user_account", *users)
        rows("team", *({"name": name} for name in people))
        both = select(tables["team"].c.id, tables["user_account"].c.id).join(
            tables["user_account"], tables["user_account"].c.name == tables["team"].c.name
        )
        members = insert(tables["team_member"]).from_select(["team_id", "user_id"], both)
        connection.execute(members)
        rows("workflow", {"name": "w"})
        rows("problem", {"name": "p", "title": "P", "workflow_id": 1})
        folds = max(1, megabytes * 4_000 // (n_submissions * SCORES))
        event = {"name": "e", "title": "E", "problem_id": 1, "n_folds": folds, "folds_digest": "x"}
        rows("event", event)
        for number in range(1, SCORES + 1):
            score = {"is_lower_the_better": False, "minimum": 0.0, "maximum": 1.0}
            rows("score_type", {"name": f"s{number}", **score})
            place = {"event_id": 1, "score_type_id": number, "position": number, "precision": 2}
            rows("event_score_type", place)
        rows("event_team", *({"event_id": 1, "team_id": id_ + 1} for id_ in range(PEOPLE)))
        rows(
            "submission",
            *(
                {
                    "event_id": 1,
                    "team_id": 1 + number % PEOPLE,
                    "name": f"s{number}",
                    "files_digest": digest_of(FILES),
                    "state": "training_error",
                    "error_kind": "exception",
                }
                for number in range(n_submissions)
            ),
        )
        words = megabytes * 500_000 // n_submissions // 32
        for statement in (LONG_TEXTS, RUNS, SCORES_OF_FOLDS):
            connection.execute(text(statement.format(words=words, folds=folds)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM FULL"))
        connection.execute(text("ANALYZE"))


def memory(pid: int) -> int:
    """Bytes of a process and all that it has started; pages that they share count once."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total
