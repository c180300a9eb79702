"""A deployment with events on real kits, as the tests of training use it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, func, select

from databoard import config, database, events, people, submissions
from databoard.config import Settings
from databoard.lookup import find
from databoard.model.event import Event
from databoard.model.submission import FoldRun, FoldScore, Submission, SubmissionScore
from databoard.training.assignment import Progress
from databoard.training.worker import Worker

PLAIN = """
import os

import numpy as np
import pandas as pd
import rampwf as rw
from rampwf.utils.importing import import_module_from_source

problem_title = "Plain"
Predictions = rw.prediction_types.make_regression()
score_types = [rw.score_types.RMSE(name="rmse", precision=2)]


class Plain:
    element_names = ["estimator"]

    def train_submission(self, module_path, X, y, train_is=None):
        path = os.path.join(module_path, "estimator.py")
        model = import_module_from_source(path, "estimator").Model()
        model.fit(X, y, train_is)
        return model

    def test_submission(self, model, X):
        return model.predict(X)


workflow = Plain()


def get_cv(X, y):
    return [(np.arange(0, 40), np.arange(40, 60)), (np.arange(20, 60), np.arange(0, 20))]


def get_train_data(path="."):
    return read(path, "train.csv")


def get_test_data(path="."):
    return read(path, "test.csv")


def read(path, name):
    data = pd.read_csv(os.path.join(path, "data", name))
    return data[["x"]].to_numpy(), data["y"].to_numpy()
"""
# Labels are LABEL + row, on from the training to the test rows: numbers that nobody else uses.
LABEL, N_TRAIN, N_TEST = 7_318_529_640_000, 60, 20
MODEL = """
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

FOLD = -1
{top}

class Model:
    def fit(self, X, y, train_is):
        global FOLD
        FOLD = int(train_is[0] != 0)
{fit}

    def predict(self, X):
{predict}
        return np.zeros(len(X))
"""
KITS = Path(__file__).parent.parent / "kits"
TEAM = "ada"
Files = str | bytes | Path


def model(fit: str = "", predict: str = "", top: str = "") -> str:
    """A submission to the plain kit, with some lines of its own."""
    fit, predict = (
        textwrap.indent(textwrap.dedent(part).strip() or "pass", " " * 8) for part in (fit, predict)
    )
    return MODEL.format(top=textwrap.dedent(top), fit=fit, predict=predict)


def write_plain_kit(folder: Path, lines: str = "") -> Path:
    """A kit whose workflow hands all it has to the submission; `lines` come last."""
    (folder / "data").mkdir(parents=True)
    (folder / "submissions" / "starting_kit").mkdir(parents=True)
    (folder / "submissions" / "starting_kit" / "estimator.py").write_text(model())
    (folder / "problem.py").write_text(f"{PLAIN}\n{lines}\n")
    for name, rows in (
        ("train.csv", range(N_TRAIN)),
        ("test.csv", range(N_TRAIN, N_TRAIN + N_TEST)),
    ):
        text = "".join(f"{row / 8},{LABEL + row}\n" for row in rows)
        (folder / "data" / name).write_text(f"x,y\n{text}")
    return folder


@dataclass
class Deployment:
    """Folders and a migrated database; one team, signed up to every event."""

    settings: Settings
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.settings.make_folders()
        self.engine = database.open_engine(self.settings.db_url)
        with database.session_scope(self.engine) as session:
            people.create_user(session, TEAM, f"{TEAM}@example.org", access_level="user")

    @classmethod
    def at(cls, folder: Path, url: str) -> Deployment:
        return cls(config.load({"DATABOARD_DEPLOYMENT_PATH": str(folder), "DATABOARD_DB_URL": url}))

    @property
    def environment(self) -> dict[str, str]:
        """What tells a command where this deployment is."""
        return {
            "DATABOARD_DEPLOYMENT_PATH": str(self.settings.deployment_path),
            "DATABOARD_DB_URL": self.settings.db_url,
        }

    def add_problem(self, kit: Path, name: str = "", requirements: str | None = None) -> str:
        """Put a copy of a kit here and register it; whatever comes with it is copied too."""
        place = self.settings.kits_path / (name or kit.name)
        shutil.copytree(kit, place, ignore=shutil.ignore_patterns("__pycache__"))
        events.add_problem(self.engine, self.settings, place.name, requirements=requirements)
        return place.name

    def add_event(
        self,
        problem: str,
        name: str = "",
        time_limit: int = 60,
        memory_limit: int = 2048,
        requirements: str | None = None,
    ) -> str:
        name = name or problem
        events.add_event(
            self.engine,
            self.settings,
            problem,
            name,
            time_limit=time_limit,
            memory_limit=memory_limit,
            requirements=requirements,
        )
        with database.session_scope(self.engine) as session:
            people.sign_up_team(session, name, TEAM)
        return name

    def submit(self, event: str, name: str, files: Files) -> int:
        """Submit a folder, or what is to be in estimator.py. Returns its id."""
        with tempfile.TemporaryDirectory() as folder:
            path = files if isinstance(files, Path) else Path(folder)
            if not isinstance(files, Path):
                content = files if isinstance(files, bytes) else files.encode()
                (path / "estimator.py").write_bytes(content)
            with database.session_scope(self.engine) as session:
                submission = submissions.submit(session, self.settings, event, TEAM, name, path)
                return submission.id

    def folder_of(self, submission_id: int) -> Path:
        return submissions.folder_of(self.settings, submission_id)

    def worker(
        self,
        event: str | None = None,
        jobs: int = 2,
        lease_seconds: float = 60,
        report: Callable[[Progress], None] = lambda progress: None,
        is_boxed: bool = True,
    ) -> Worker:
        """A worker for everything, or for one event."""
        which = None
        if event is not None:
            with database.reading(self.engine) as session:
                which = Submission.event_id == find(session, Event, event).id
        return Worker(self.engine, self.settings, jobs, which, report, lease_seconds, is_boxed)

    def train(
        self, event: str | None = None, jobs: int = 2, is_boxed: bool = True
    ) -> list[Progress]:
        """Train all that waits. Returns what was reported."""
        news: list[Progress] = []
        asyncio.run(self.worker(event, jobs, report=news.append, is_boxed=is_boxed).drain())
        return news

    def outcome(self, event: str, name: str, files: Files, is_boxed: bool = True) -> Submission:
        """Submit, train, and return the submission as it ended."""
        submission_id = self.submit(event, name, files)
        self.train(event, is_boxed=is_boxed)
        return self.get(submission_id)

    def get(self, submission_id: int) -> Submission:
        with database.reading(self.engine) as session:
            return session.get_one(Submission, submission_id)

    def set_state(self, submission_id: int, state: str) -> None:
        with database.session_scope(self.engine) as session:
            submissions.set_state(session, session.get_one(Submission, submission_id), state)

    def stored(self, submission_id: int) -> dict[str, int]:
        """How many rows of results there are."""
        with database.reading(self.engine) as session:
            return {
                table.__tablename__: session.scalar(
                    select(func.count()).where(table.submission_id == submission_id)
                )
                or 0
                for table in (SubmissionScore, FoldRun, FoldScore)
            }


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for a condition, and fail when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


def is_there(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def named(name: str) -> list[int]:
    """The processes on this machine that call themselves so, wherever they are."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if comm.read_text().strip() == name and is_there(int(comm.parent.name)):
                found.append(int(comm.parent.name))
    return found
