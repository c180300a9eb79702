"""A deployment with submissions whose files are right, and what its snapshots are compared with."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from databoard import database, events, people, removal, submissions
from databoard.backup import restore, take, verify
from databoard.backup.copying import FOLDERS
from databoard.backup.place import Place, read
from databoard.backup.restore import Kept
from databoard.backup.snapshot import Snapshot, Verification
from databoard.backup.store import Store, opened
from databoard.config import Settings
from databoard.leaderboard import load_event
from databoard.model.submission import Submission
from databoard.submitted import SubmittedFile, digest_of
from databoard.submitted import store as store_files
from tests.conftest import unique_name
from tests.postgres import Cluster
from tests.test_leaderboard import add_scored

EVENT, TEAM = "autumn", "saffron"
Tree = dict[bytes, tuple[str, int, str]]


@dataclass(frozen=True)
class Board:
    """A deployment with the event `autumn` of the kit `small`, and the team `saffron`."""

    settings: Settings
    engine: Engine
    cluster: Cluster | None  # of its database, if that is PostgreSQL's

    @property
    def store_path(self) -> Path:
        return self.settings.deployment_path.parent / "store"

    @property
    def site_path(self) -> Path:
        """Where the snapshots are."""
        return self.store_path / self.settings.site

    @property
    def environment(self) -> dict[str, str]:
        """What tells a command where all is."""
        return {
            "DATABOARD_DEPLOYMENT_PATH": str(self.settings.deployment_path),
            "DATABOARD_DB_URL": self.settings.db_url,
            "DATABOARD_BACKUPS": str(self.store_path),
        }

    def open_event(self) -> None:
        events.add_problem(self.engine, self.settings, "small")
        events.add_event(self.engine, self.settings, "small", EVENT, "Autumn school")
        with database.session_scope(self.engine) as session:
            people.create_user(session, TEAM, f"{TEAM}@example.org", access_level="user")
            session.flush()
            people.sign_up_team(session, EVENT, TEAM)

    def submit(self, name: str, code: str = "print('hello')\n") -> int:
        """Submit, or replace what has not been trained yet. Returns its id."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "estimator.py").write_text(code)
            with database.session_scope(self.engine) as session:
                args = (session, self.settings, EVENT, TEAM, name, Path(folder))
                return submissions.submit(*args).id

    def add_scored(self, name: str) -> int:
        """A submission with scores and predictions. Returns its id."""
        files = [SubmittedFile("estimator.py", f"print('{name}')\n".encode())]
        with database.session_scope(self.engine) as session:
            id_ = add_scored(session, load_event(session, EVENT), TEAM, name, (0.5, 0.25))
            session.get_one(Submission, id_).files_digest = digest_of(files)
        store_files(files, self.folder(id_) / "files")
        (self.folder(id_) / "predictions" / "1").mkdir(parents=True)
        (self.folder(id_) / "predictions" / "1" / "fold_0_valid.npy").write_bytes(os.urandom(99))
        return id_

    def delete(self, name: str) -> None:
        with database.session_scope(self.engine) as session:
            found = removal.of_submission(session, self.settings, EVENT, TEAM, name)
            removal.carry_out(session, found)

    def folder(self, submission_id: int) -> Path:
        return self.settings.submissions_path / submissions.name_of_folder(submission_id)

    @contextmanager
    def store(self, place: Place | None = None) -> Iterator[Store]:
        """The store, which is made if need be."""
        with opened(place or read(str(self.store_path), {}), self.settings.site) as store:
            store.make()
            yield store

    def take(self, place: Place | None = None) -> Snapshot:
        with self.store(place) as store:
            return take.take(self.settings, store)

    def snapshots(self) -> list[Snapshot]:
        with self.store() as store:
            return store.snapshots()

    def verify(self, name: str = "latest", place: Place | None = None) -> Verification:
        with self.store(place) as store:
            return verify.verify(self.settings, store, store.find(name))

    def restore(self, name: str = "latest", place: Place | None = None) -> Kept:
        with self.store(place) as store:
            return restore.restore(self.settings, store, store.find(name))

    @contextmanager
    def restored_elsewhere(
        self, name: str = "latest", place: Place | None = None
    ) -> Iterator[Board]:
        """Another deployment, with what a snapshot of this one brings back."""
        with tempfile.TemporaryDirectory() as folder, self._other_database(Path(folder)) as url:
            there = Path(folder, "deployment")
            settings = replace(self.settings, deployment_path=there, db_url=url)
            engine = database.open_engine(url)
            other = Board(settings, engine, self.cluster)
            with self.store(place) as store:
                restore.restore(settings, store, store.find(name))
            yield other
            engine.dispose()

    @contextmanager
    def _other_database(self, folder: Path) -> Iterator[str]:
        if self.cluster is None:
            yield f"sqlite:///{folder / 'other.db'}"
            return
        name = unique_name()
        try:
            yield self.cluster.url(name)
        finally:
            self.cluster.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table."""
        quote = self.engine.dialect.identifier_preparer.quote
        with database.reading(self.engine) as session:
            return {
                name: sorted(
                    str(tuple(row)) for row in session.execute(text(f"SELECT * FROM {quote(name)}"))
                )
                for name in inspect(self.engine).get_table_names()
            }

    def tree(self) -> Tree:
        """Every path of the folders that are in a snapshot: kind, mode, and content."""
        return tree(self.settings.deployment_path)

    def submitted(self) -> frozenset[tuple[int, str, str]]:
        """Each submission: id, name, and the digest of its files."""
        with database.reading(self.engine) as session:
            found = session.query(Submission.id, Submission.name, Submission.files_digest)
            return frozenset((id_, name, digest) for id_, name, digest in found)

    def lacking(self) -> list[int]:
        """The submissions whose files are not those of their rows."""
        with database.reading(self.engine) as session:
            return [
                each.id
                for each in session.query(Submission).order_by(Submission.id)
                if _digest(self.settings, each) != each.files_digest
            ]


def _digest(settings: Settings, submission: Submission) -> str:
    folder = submissions.files_of(settings, submission)
    if not folder.is_dir():
        return "nothing"
    return digest_of([SubmittedFile(path.name, path.read_bytes()) for path in folder.iterdir()])


def tree(deployment: Path) -> Tree:
    """As `Board.tree`."""
    found: Tree = {}
    root = os.fsencode(deployment)
    for folder in FOLDERS:
        _look(root, os.fsencode(folder), found)
    return found


def _look(root: bytes, path: bytes, found: Tree) -> None:
    full = os.path.join(root, path)
    if not os.path.lexists(full):
        return
    mode = os.lstat(full).st_mode
    if os.path.dirname(path) == b"submissions" and os.path.basename(path).startswith(b"."):
        return
    if stat.S_ISLNK(mode):
        found[path] = ("link", 0, os.fsdecode(os.readlink(full)))
    elif stat.S_ISDIR(mode):
        found[path] = ("folder", mode & 0o7777, "")
        for entry in os.listdir(full):
            _look(root, os.path.join(path, entry), found)
    else:
        with open(full, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        found[path] = ("file", mode & 0o7777, digest)
