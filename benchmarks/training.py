"""Training: from claimed to scored, against ramp-test and against a bare scikit-learn loop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from measure import (
    INV,
    PYTHON,
    ROOT,
    Row,
    arguments,
    clean_environment,
    interleave,
    output_of,
    peer,
    postgresql,
    report,
    run,
    seconds,
)
from sqlalchemy import select, text

from databoard import config, database, events, people, submissions
from databoard.model.submission import Submission
from databoard.training.worker import Worker
from tests.postgres import Cluster

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
import itertools, sys, time
sys.path[:0] = [".", "submissions/starting_kit"]
import problem, estimator
first, step = map(int, sys.argv[1:])
X, y = problem.get_train_data()
X_test, _ = problem.get_test_data()
start = time.perf_counter()
for train, valid in itertools.islice(problem.get_cv(X, y), first, None, step):
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
    FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
          SELECT i FROM n) AS numbers;
INSERT INTO submission_score SELECT s.id, t.id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM submission s, event_score_type t;
INSERT INTO fold_run SELECT s.id, f.fold, 0, 0, 0, 1, NULL
    FROM submission s, (SELECT 0 AS fold UNION ALL SELECT 1) f;
INSERT INTO fold_score SELECT r.submission_id, r.fold, t.id, 0, 0, 0, 0, 0
    FROM fold_run r, event_score_type t
"""
LONGEST = 600.0


class Site:
    """A deployment with one event and one team, whose kit ramp-test can use as well."""

    def __init__(self, folder: Path, problem: str, estimator: str, db_url: str = "") -> None:
        self.environment = {"DATABOARD_DEPLOYMENT_PATH": str(folder)}
        if db_url:
            self.environment["DATABOARD_DB_URL"] = db_url
        self.settings = settings = config.load(self.environment)
        settings.make_folders()
        self.kit = settings.kits_path / "kit"
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
        self._names = map("s{}".format, itertools.count())

    def submit(self, number: int = 1) -> list[str]:
        """Put submissions into the queue; their names."""
        names = list(itertools.islice(self._names, number))
        with database.session_scope(self.engine) as session:
            for name in names:
                submissions.submit(session, self.settings, "event", "team", name, self.starting_kit)
        return names

    def begin_anew(self, is_crowded: bool) -> None:
        """Forget all submissions; store 5,000 others with all their scores, or none."""
        with database.session_scope(self.engine) as session:
            session.execute(text("DELETE FROM submission"))
            for statement in SCORED_BEFORE.split(";\n") if is_crowded else ():
                session.execute(text(statement))
        if self.engine.dialect.name == "postgresql":
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
                server.execute(text("VACUUM ANALYZE"))

    def claimed_to_scored(self) -> float:
        """Seconds that the running worker needs for a submission."""
        (name,) = self.submit()
        for _ in range(int(LONGEST / 0.1)):
            time.sleep(0.1)
            row = self._row(name)
            if row.ended_at and row.training_at:
                assert row.state == "scored", row.error_message
                return (row.ended_at - row.training_at).total_seconds()
        raise TimeoutError(f"{name} is {row.state}.")

    def trained_by_a_command(self) -> float:
        """Seconds that `inv train-test` needs for a submission, imports and all."""
        (name,) = self.submit()
        taken = run(INV, "train-test", "event", "--jobs", "2", **self.environment)
        assert self._row(name).state == "scored"
        return taken

    def drained(self, number: int, is_crowded: bool = False, is_boxed: bool = True) -> float:
        """Seconds that a worker needs for many submissions, from its start to its end."""
        self.begin_anew(is_crowded)
        names = self.submit(number)
        worker = Worker(self.engine, self.settings, jobs=2, is_boxed=is_boxed)
        taken = seconds(lambda: asyncio.run(worker.drain()))
        assert all(self._row(name).state == "scored" for name in names)
        return taken

    @contextlib.contextmanager
    def running_worker(self, *flags: str) -> Iterator[None]:
        """A worker of two slots in a process of its own, warmed up by one submission."""
        command = [INV, "backend-train-test-loop", "event", "--jobs", "2", *flags]
        everything = clean_environment() | self.environment
        worker = subprocess.Popen(command, cwd=ROOT, env=everything, stdout=subprocess.DEVNULL)
        try:
            self.claimed_to_scored()
            yield
        finally:
            worker.terminate()
            worker.wait()

    def _row(self, name: str) -> Submission:
        with database.reading(self.engine) as session:
            return session.scalars(select(Submission).where(Submission.name == name)).one()


def small(places: Places, program: Path, rounds: int) -> list[Row]:
    """One submission of 8 quick folds, in a worker that is already running."""
    sites = places.sites(TITANIC_SIZED, PIPELINE)
    kit = next(iter(sites.values())).kit
    with ExitStack() as workers:
        for site in sites.values():
            workers.enter_context(site.running_worker())
        sides = [site.claimed_to_scored for site in sites.values()]
        *ours, peer_time = interleave(rounds, *sides, partial(ramp_test, program, kit))
    return [
        Row(f"titanic-sized, claim to scored, {name} / ramp-test", value, peer_time, 0.6)
        for name, value in zip(sites, ours, strict=True)
    ]


def small_and_cold(places: Places, program: Path, rounds: int) -> list[Row]:
    """The same by a command, whose imports and start count."""
    (site,) = places.sites(TITANIC_SIZED, PIPELINE, ["SQLite"]).values()
    medians = interleave(rounds, site.trained_by_a_command, partial(ramp_test, program, site.kit))
    return [Row("titanic-sized, whole inv train-test / ramp-test", *medians)]


def heavy(places: Places, trees: int, rounds: int) -> list[Row]:
    """One submission of 8 long folds on two slots, against the loop over them on one core."""
    (site,) = places.sites(HEAVY, BOOSTING.format(trees=trees), ["SQLite"]).values()

    def loop(first: int = 0, step: int = 1) -> float:
        """Seconds of the loop alone, over each `step`-th fold."""
        command = [PYTHON, "-c", BARE_LOOP, str(first), str(step)]
        return float(output_of(*command, cwd=site.kit))

    def two_loops() -> float:
        with ThreadPoolExecutor(2) as two:
            return max(two.map(loop, (0, 1), (2, 2)))

    with site.running_worker():
        ours, one, two = interleave(rounds, site.claimed_to_scored, loop, two_loops)
    return [
        Row("heavy, claim to scored / bare loop on one core", ours, one, 0.55),
        Row("what two cores gave: two bare loops of 4 folds / one of 8", two, one),
    ]


def many(places: Places, program: Path, number: int, rounds: int) -> list[Row]:
    """Many quick submissions on two slots, with the start of the worker."""
    sites = places.sites(IRIS_SIZED, FOREST)
    kit = next(iter(sites.values())).kit
    copies = [f"s{number}" for number in range(number)]
    for name in copies:
        shutil.copytree(kit / "submissions/starting_kit", kit / "submissions" / name)

    def ramp_tests() -> None:
        with ThreadPoolExecutor(2) as two:
            list(two.map(partial(ramp_test, program, kit), copies))

    cases = [(name, is_crowded) for is_crowded in (False, True) for name in sites]
    sides = [partial(sites[name].drained, number, is_crowded) for name, is_crowded in cases]
    *ours, peer_time = interleave(rounds, *sides, partial(seconds, ramp_tests))
    whats = [f"{name}, 5,000 scored before" if crowded else name for name, crowded in cases]
    return [
        Row(f"{number} iris-sized, {what} / ramp-test, two at a time", value, peer_time, 0.35)
        for what, value in zip(whats, ours, strict=True)
    ]


def ramp_test(program: Path, kit: Path, submission: str = "starting_kit") -> float:
    """Seconds of the whole process."""
    return run(program, "--submission", submission, "--save-output", cwd=kit)


class Places:
    """Where deployments are made: folders, and databases on SQLite and PostgreSQL."""

    def __init__(self, folder: Path, cluster: Cluster | None, opened: ExitStack) -> None:
        self._folder, self._cluster, self._opened = folder, cluster, opened
        self._names = map("site{}".format, itertools.count())

    def sites(self, problem: str, estimator: str, on: Iterable[str] = ()) -> dict[str, Site]:
        """A new site on each database that there is."""
        every = ["SQLite", *(["PostgreSQL"] if self._cluster else [])]
        return {name: self._site(name, problem, estimator) for name in on or every}

    def _site(self, database_name: str, problem: str, estimator: str) -> Site:
        name, url = next(self._names), ""
        if self._cluster and database_name == "PostgreSQL":
            url = self._opened.enter_context(self._cluster.database(name))
        site = Site(self._folder / name, problem, estimator, url)
        self._opened.callback(site.engine.dispose)
        return site


def main() -> None:
    quick = arguments(__doc__ or "").quick
    program = peer("ramp-workflow", "ramp-workflow==0.7.0") / "ramp-test"
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        cluster = None if quick else opened.enter_context(postgresql())
        places = Places(folder, cluster, opened)
        rows = small(places, program, 3 if quick else 9)
        rows += [] if quick else small_and_cold(places, program, 5)
        rows += heavy(places, *((40, 1) if quick else (200, 3)))
        rows += many(places, program, *((10, 1) if quick else (50, 3)))
    report(rows)


if __name__ == "__main__":
    main()
