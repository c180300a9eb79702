"""Training: from claimed to scored, against ramp-test and against a bare scikit-learn loop."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import ROOT, Row, arguments, clean_environment, peer, report, run, seconds

sys.path.insert(0, str(ROOT))

from sqlalchemy import select, text

from databoard import config, database, events, people, submissions
from databoard.model.submission import Submission
from databoard.training.worker import Worker

TITANIC_SIZED = """
import numpy as np
import pandas as pd
import rampwf as rw
from sklearn.model_selection import StratifiedShuffleSplit

problem_title = "As large as the Titanic"
Predictions = rw.prediction_types.make_multiclass(label_names=[0, 1])
workflow = rw.workflows.Estimator()
score_types = [
    rw.score_types.ROCAUC(name="auc"),
    rw.score_types.Accuracy(name="acc"),
    rw.score_types.NegativeLogLikelihood(name="nll"),
]


def get_cv(X, y):
    return StratifiedShuffleSplit(n_splits=8, test_size=0.2, random_state=57).split(X, y)


def passengers(n, seed):
    dice = np.random.default_rng(seed)
    X = pd.DataFrame({
        "age": np.where(dice.random(n) < 0.2, np.nan, dice.normal(30, 14, n)),
        "fare": dice.lognormal(3, 1, n),
        "siblings": dice.integers(0, 5, n),
        "sex": dice.choice(["female", "male"], n),
        "class": dice.choice(["first", "second", "third"], n),
        "port": dice.choice(["C", "Q", "S"], n),
        "cabin": np.where(dice.random(n) < 0.7, None, "C85"),
    })
    chance = 0.2 + 0.4 * (X["sex"] == "female") + 0.2 * (X["class"] == "first")
    return X, (dice.random(n) < chance).to_numpy().astype(int)


def get_train_data(path="."):
    return passengers(712, 1)


def get_test_data(path="."):
    return passengers(179, 2)
"""
PIPELINE = """
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def get_estimator():
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (numbers, ["age", "fare", "siblings"]), (words, ["sex", "class", "port"])
    )
    return make_pipeline(columns, LogisticRegression())
"""
HEAVY = """
import rampwf as rw
from sklearn.datasets import make_classification
from sklearn.model_selection import StratifiedShuffleSplit

problem_title = "Heavy"
Predictions = rw.prediction_types.make_multiclass(label_names=[0, 1])
workflow = rw.workflows.Estimator()
score_types = [rw.score_types.Accuracy(name="acc")]
X, y = make_classification(8000, 20, random_state=0)


def get_cv(X, y):
    return StratifiedShuffleSplit(n_splits=8, test_size=0.2, random_state=57).split(X, y)


def get_train_data(path="."):
    return X[:6000], y[:6000]


def get_test_data(path="."):
    return X[6000:], y[6000:]
"""
BOOSTING = """
from sklearn.ensemble import GradientBoostingClassifier


def get_estimator():
    return GradientBoostingClassifier(n_estimators={trees}, random_state=0)
"""
BARE_LOOP = """
import sys, time
sys.path[:0] = [".", "submissions/starting_kit"]
import problem, estimator
X, y = problem.get_train_data()
X_test, _ = problem.get_test_data()
start = time.perf_counter()
for train, valid in problem.get_cv(X, y):
    model = estimator.get_estimator().fit(X[train], y[train])
    model.predict_proba(X)
    model.predict_proba(X_test)
print(time.perf_counter() - start)
"""
IRIS_SIZED = """
import pandas as pd
import rampwf as rw
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedShuffleSplit

problem_title = "As large as iris"
Predictions = rw.prediction_types.make_multiclass(label_names=[0, 1, 2])
workflow = rw.workflows.Estimator()
score_types = [
    rw.score_types.Accuracy(name="acc"),
    rw.score_types.ClassificationError(name="error"),
    rw.score_types.NegativeLogLikelihood(name="nll"),
    rw.score_types.F1Above(name="f1_70", threshold=0.7),
]


def get_cv(X, y):
    return StratifiedShuffleSplit(n_splits=2, test_size=0.2, random_state=57).split(X, y)


def get_train_data(path="."):
    X, y = load_iris(return_X_y=True)
    return X[::2], y[::2]


def get_test_data(path="."):
    X, y = load_iris(return_X_y=True)
    return X[1::2], y[1::2]
"""
FOREST = """
from sklearn.ensemble import RandomForestClassifier


def get_estimator():
    return RandomForestClassifier(n_estimators=10, max_leaf_nodes=10, random_state=61)
"""
SCORED_BEFORE = """
INSERT INTO submission (event_id, team_id, name, files_digest, submitted_at, state, attempt,
                        lost_leases, train_time, valid_time, test_time, max_memory)
    SELECT 1, 1, 'old' || i, '', '2026-01-01 00:00:00.000000', 'scored', 1, 0, 0, 0, 0, 1
    FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n)
          SELECT i FROM n) AS numbers;
INSERT INTO submission_score SELECT s.id, t.id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM submission s, event_score_type t;
"""


class Site:
    """A deployment with one event, on SQLite; `submit` fills its queue."""

    def __init__(self, folder: Path, problem: str, estimator: str) -> None:
        settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(folder)})
        settings.make_folders()
        self.settings, self.kit = settings, settings.kits_path / "kit"
        self.starting_kit = self.kit / "submissions" / "starting_kit"
        self.starting_kit.mkdir(parents=True)
        (self.kit / "problem.py").write_text(problem)
        (self.starting_kit / "estimator.py").write_text(estimator)
        database.upgrade(settings.db_url)
        self.engine = database.open_engine(settings.db_url)
        events.add_problem(self.engine, settings, "kit")
        events.add_event(self.engine, settings, "kit", "event")
        with database.session_scope(self.engine) as session:
            people.create_user(session, "team", "team@example.org", access_level="user")
            session.flush()
            people.sign_up_team(session, "event", "team")

    def submit(self, *names: str) -> None:
        with database.session_scope(self.engine) as session:
            for name in names:
                submissions.submit(session, self.settings, "event", "team", name, self.starting_kit)

    def train(self) -> None:
        asyncio.run(Worker(self.engine, self.settings, jobs=2).drain())

    def claimed_to_scored(self, name: str) -> float:
        with database.reading(self.engine) as session:
            row = session.scalars(select(Submission).where(Submission.name == name)).one()
            assert row.state == "scored" and row.ended_at and row.training_at, row.error_message
            return (row.ended_at - row.training_at).total_seconds()


def ramp_test(program: Path, kit: Path, submission: str = "starting_kit") -> float:
    return run(program, "--submission", submission, "--save-output", cwd=kit)


def small(folder: Path, program: Path, rounds: int) -> list[Row]:
    """One submission of 8 quick folds, in a worker that is already running."""
    site = Site(folder, TITANIC_SIZED, PIPELINE)
    names = [f"s{number}" for number in range(rounds + 1)]
    site.submit(*names)
    # The first pays for the start of the worker's processes.
    peers = [ramp_test(program, site.kit) for _ in range(rounds)]
    site.train()
    ours = statistics.median(site.claimed_to_scored(name) for name in names[1:])
    return [
        Row("titanic-sized, claimed to scored / ramp-test", ours, statistics.median(peers), 0.6)
    ]


def heavy(folder: Path, rounds: int, trees: int) -> list[Row]:
    """One submission of 8 long folds on two cores, against the loop on one."""
    site = Site(folder, HEAVY, BOOSTING.format(trees=trees))
    site.submit("warm", *[f"s{number}" for number in range(rounds)])

    def loop() -> float:
        done = subprocess.run(
            [sys.executable, "-c", BARE_LOOP],
            cwd=site.kit,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout)

    peers = [loop() for _ in range(rounds)]
    site.train()
    ours = statistics.median(site.claimed_to_scored(f"s{number}") for number in range(rounds))
    return [Row("heavy, claimed to scored / bare loop", ours, statistics.median(peers), 0.55)]


def many(folder: Path, program: Path, n: int, before: int) -> list[Row]:
    """Many quick submissions on two slots, with the start of the worker."""
    site = Site(folder, IRIS_SIZED, FOREST)
    copies = [f"s{number}" for number in range(n)]
    for name in copies:
        shutil.copytree(site.starting_kit, site.kit / "submissions" / name)

    def all_by_ramp_test() -> None:
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda name: ramp_test(program, site.kit, name), copies))

    peer_time = seconds(all_by_ramp_test)
    site.submit(*copies)
    ours = seconds(site.train)
    with database.session_scope(site.engine) as session:
        for statement in SCORED_BEFORE.split(";\n")[:2]:
            session.execute(text("DELETE FROM submission_score"))
            session.execute(text(statement), {"n": before} if ":n" in statement else {})
    site.submit(*[f"later{number}" for number in range(n)])
    later = seconds(site.train)
    return [
        Row(f"{n} iris-sized, 2 slots / ramp-test, two at a time", ours, peer_time, 0.35),
        Row(f"the same with {before:,} scored before", later, peer_time, 0.35),
    ]


def main() -> None:
    quick = arguments(__doc__ or "").quick
    program = peer("ramp-workflow", "ramp-workflow==0.7.0") / "ramp-test"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = small(folder / "small", program, 3 if quick else 9)
        rows += heavy(folder / "heavy", 1 if quick else 3, 50 if quick else 150)
        rows += many(folder / "many", program, 8 if quick else 50, 5_000)
    report(rows)


if __name__ == "__main__":
    main()
