"""Ensembles: blending an event's stored predictions, against ramp-workflow's blend_submissions."""

from __future__ import annotations

import csv
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import PYTHON, ROOT, Row, arguments, output_of, peer, report, run
from sqlalchemy import insert, select

from databoard import config, database, events, kits, leaderboard, people
from databoard.model.submission import FoldRun, FoldScore, Submission
from databoard.submissions import folder_of

KIT = """
import numpy as np
import rampwf as rw

problem_title = "Large"
Predictions = rw.prediction_types.{predictions}
workflow = rw.workflows.Estimator()
score_types = [rw.score_types.{score}]
N_FOLDS, N_ROWS = {n_folds}, {n_rows}


def get_cv(X, y):
    folds = np.random.default_rng(57)
    for _ in range(N_FOLDS):
        rows = folds.permutation(len(y))
        yield rows[N_ROWS:], rows[:N_ROWS]


def labels(n, seed):
    dice = np.random.default_rng(seed)
    return np.zeros((n, 1)), dice.{labels}


def get_train_data(path="."):
    return labels(2 * N_ROWS, 1)


def get_test_data(path="."):
    return labels(1000, 2)
"""
BINARY = {
    "predictions": "make_multiclass(label_names=[0, 1])",
    "labels": "integers(0, 2, n)",
}
KINDS = {
    "rmse": {
        "predictions": "make_regression()",
        "labels": "normal(size=n)",
        "score": "RMSE(name='rmse')",
    },
    "acc": BINARY | {"score": "Accuracy(name='acc')"},
    "auc": BINARY | {"score": "ROCAUC(name='auc')"},
    "nll": BINARY | {"score": "NegativeLogLikelihood(name='nll')"},
}
THEIRS = """
import contextlib, io, sys
from rampwf.utils.testing import blend_submissions

kit, folder, count = sys.argv[1:]
if int(count):
    with contextlib.redirect_stdout(io.StringIO()):
        blend_submissions([f"s{i}" for i in range(int(count))], ramp_kit_dir=kit,
                          ramp_data_dir=kit, ramp_submission_dir=folder, save_output=True)
"""
OURS = """
import resource, sys
from databoard import config, database, ensemble

settings = config.load()
engine = database.open_engine(settings.db_url)
ensemble.compute(engine, settings, "large", from_scratch=sys.argv[1] == "all")
both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
print(sum(resource.getrusage(who).ru_maxrss for who in both) / 1000)
"""


@dataclass(frozen=True)
class Size:
    """How much there is: all of it for us, `n_theirs` folds of it for ramp-workflow."""

    n_submissions: int
    n_folds: int
    n_rows: int
    n_theirs: int


class Stage:
    """A deployment with scored submissions, and the same predictions as ramp-test leaves them."""

    def __init__(self, folder: Path, score: str, size: Size) -> None:
        self.size, self.theirs = size, folder / "theirs"
        deployment = str(folder / "deployment")
        self.settings = config.load({"DATABOARD_DEPLOYMENT_PATH": deployment})
        self.settings.make_folders()
        self.environment = {
            "DATABOARD_DEPLOYMENT_PATH": deployment,
            "DATABOARD_DB_URL": self.settings.db_url,
            "PYTHONPATH": str(ROOT),
        }
        database.upgrade(self.settings.db_url)
        self.engine = database.open_engine(self.settings.db_url)
        kit = self._write_kit(self.settings.kits_path / "large", score, size.n_folds)
        self.their_kit = self._write_kit(folder / "kit", score, size.n_theirs)
        events.add_problem(self.engine, self.settings, "large")
        events.add_event(self.engine, self.settings, "large", "large")
        with database.session_scope(self.engine) as session:
            people.create_user(session, "ada", "ada@example.org", access_level="user")
            people.sign_up_team(session, "large", "ada")
        self.problem = kits.load_problem(kit)
        self.data = kits.load_data(self.problem, kit, "large")
        for number in range(size.n_submissions):
            self.add(number)

    def _write_kit(self, folder: Path, score: str, n_folds: int) -> Path:
        starting_kit = folder / "submissions" / "starting_kit"
        starting_kit.mkdir(parents=True)
        (starting_kit / "estimator.py").touch()
        values = KINDS[score] | {"n_folds": str(n_folds), "n_rows": str(self.size.n_rows)}
        (folder / "problem.py").write_text(KIT.format(**values))
        return folder

    def add(self, number: int) -> None:
        """A submission that is wrong in its own way."""
        dice = np.random.default_rng(1000 + number)
        noise, Predictions = dice.uniform(1.5, 3), self.problem.Predictions
        official = self.problem.score_types[0]
        with database.session_scope(self.engine) as session:
            event = leaderboard.load_event(session, "large")
            submission = Submission(
                event=event, team_id=1, name=f"s{number}", files_digest="", state="scored"
            )
            session.add(submission)
            session.flush()
            folder = folder_of(self.settings, submission.id) / "predictions" / "0"
            folder.mkdir(parents=True)
            for fold, (_, rows) in enumerate(self.data.folds):
                valid = self._predict(self.data.y_train[rows], noise, dice)
                test = self._predict(self.data.y_test, noise, dice)
                np.save(folder / f"fold_{fold}_valid.npy", valid)
                np.save(folder / f"fold_{fold}_test.npy", test)
                truth = Predictions(y_true=self.data.y_train, fold_is=rows)
                score = float(official.score_function(truth, Predictions(y_pred=valid)))
                of = {"submission_id": submission.id, "fold": fold}
                times = ("train_time", "valid_time", "test_time", "max_memory")
                session.execute(insert(FoldRun).values(**of, **dict.fromkeys(times, 0.0)))
                of["event_score_type_id"] = event.score_types[0].id
                session.execute(insert(FoldScore).values(**of, valid=score))
                if fold < self.size.n_theirs:
                    self._leave(number, fold, rows, valid, test)

    def _predict(self, y: np.ndarray, noise: float, dice: np.random.Generator) -> np.ndarray:
        guess = (2 * y - 1 if y.dtype.kind == "i" else y) + noise * dice.normal(size=len(y))
        if y.dtype.kind == "f":
            return guess
        chance = 1 / (1 + np.exp(-guess))
        return np.stack([1 - chance, chance], axis=1)

    def _leave(
        self, number: int, fold: int, rows: np.ndarray, valid: np.ndarray, test: np.ndarray
    ) -> None:
        folder = self.theirs / f"s{number}" / "training_output" / f"fold_{fold}"
        folder.mkdir(parents=True)
        whole = np.zeros((len(self.data.y_train), *valid.shape[1:]))
        whole[rows] = valid
        np.savez(folder / "y_pred_train.npz", y_pred=whole)
        np.savez(folder / "y_pred_test.npz", y_pred=test)

    def ours(self, what: str = "all") -> tuple[float, float]:
        """Seconds of a whole process, and the peak of its and its child's memory in MB."""
        start = time.perf_counter()
        printed = output_of(PYTHON, "-c", OURS, what, **self.environment)
        return time.perf_counter() - start, float(printed)

    def theirs_seconds(self, python: Path) -> float:
        """Seconds of a whole process; from some folds to all, without what it takes to start."""
        folder, n = self.theirs, str(self.size.n_submissions)
        start = run(python, "-c", THEIRS, self.their_kit, folder, "0")
        part = run(python, "-c", THEIRS, self.their_kit, folder, n) - start
        return start + part * self.size.n_folds / self.size.n_theirs

    def n_different(self) -> int:
        """How many weights are not those of ramp-workflow."""
        with (self.theirs / "training_output" / "contributivities.csv").open() as file:
            rows = {row["submission"]: row for row in csv.DictReader(file)}
        query = select(Submission.name, FoldRun.fold, FoldRun.contributivity).join(
            Submission, Submission.id == FoldRun.submission_id
        )
        with database.reading(self.engine) as session:
            return sum(
                abs(float(rows[name][f"fold_{fold}"]) * self.size.n_theirs - share) > 1e-12
                for name, fold, share in session.execute(query)
                if fold < self.size.n_theirs
            )


def measure(score: str, size: Size, python: Path) -> list[Row]:
    """One score type: all at once, then with one submission more."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), score, size)
        stage.ours()  # the files are in memory from now on, for both
        theirs = stage.theirs_seconds(python)
        runs = [stage.ours() for _ in range(3)]
        ours, memory = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
        n_different = stage.n_different()
        stage.add(size.n_submissions)
        one_more, _ = stage.ours("new")
        stage.engine.dispose()
    return [
        Row(f"{score}, all / ramp-workflow", ours, theirs, 0.05),
        Row(f"{score}, weights that differ", n_different, None, 0, is_count=True),
        Row(f"{score}, peak memory of both processes, MB", memory, None, 1000, is_count=True),
        Row(f"{score}, one submission more", one_more, None),
    ]


def main() -> None:
    quick = arguments(__doc__ or "").quick
    size = Size(100, 2, 10_000, 1) if quick else Size(200, 8, 10_000, 1)
    python = peer("ramp-workflow", "ramp-workflow==0.7.0") / "python"
    print(
        f"{size.n_submissions} submissions x {size.n_folds} folds x {size.n_rows:,} rows; "
        f"ramp-workflow: the first fold, times {size.n_folds}"
    )
    rows: list[Row] = []
    for score in ("rmse",) if quick else KINDS:
        rows += measure(score, size, python)
    report(rows)


if __name__ == "__main__":
    main()
