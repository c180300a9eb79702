"""Scores are those of `ramp-test`, to the last bit and to the last printed digit."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from databoard import database, kits
from databoard.model.event import EventScoreType
from databoard.model.problem import ScoreType
from databoard.model.submission import FoldScore, SubmissionScore
from tests.training.deployment import KITS, Deployment

FAILING = {"wrong_column", "square_root", "wrong_axis"}
CASES = [
    (path.parent, submission.name)
    for place in (KITS, kits.SHIPPED)
    for path in sorted(place.glob("*/problem.py"))
    for submission in sorted((path.parent / "submissions").iterdir())
    if submission.name not in FAILING
]
RAMP_TEST = Path(sys.executable).parent / "ramp-test"
SIDES = ["train", "valid", "test"]
Table = dict[str, dict[str, str]]  # by score type, by side: the text


@dataclass
class RampTest:
    """What ramp-test printed and wrote."""

    output: str
    folder: Path

    def printed(self, title: str, occurrence: int = 0) -> Table:
        """The table under a title."""
        lines = self.output.splitlines()
        start = [number for number, line in enumerate(lines) if line == title][occurrence]
        table = []
        for line in lines[start + 1 :]:
            if line.startswith("\t"):
                table.append(re.sub(r" \+- ", "+-", line).split())
            elif table:
                break
        header, *rows = table
        return {score: {row[0]: row[column] for row in rows} for column, score in enumerate(header)}

    def scores(self, fold: int) -> dict[str, dict[str, str]]:
        """By side, by score type."""
        return {row["step"]: row for row in read(self.folder / f"fold_{fold}" / "scores.csv")}

    def bags(self) -> dict[tuple[str, int], dict[str, str]]:
        """By side and number of the last fold in the bag, by score type."""
        rows = read(self.folder / "bagged_scores.csv")
        return {(row["step"], int(row["n_bag"])): row for row in rows}


@pytest.fixture(scope="module")
def ramp_tests(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Path, str], RampTest]:
    """ramp-test's own run of each submission, on a copy of its kit."""
    environment = os.environ | {"TERM": "dumb", "OMP_NUM_THREADS": "1"}
    for threads in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[threads] = "1"

    def run(case: tuple[Path, str]) -> RampTest:
        kit, submission = case
        copy = tmp_path_factory.mktemp("kit") / kit.name
        shutil.copytree(kit, copy)
        command = [RAMP_TEST, "--save-output", "--submission", submission]
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, check=True
        )
        return RampTest(done.stdout, copy / "submissions" / submission / "training_output")

    with ThreadPoolExecutor(2) as two:
        return dict(zip(CASES, two.map(run, CASES), strict=True))


@pytest.fixture(scope="module")
def trained(shared: Deployment) -> dict[tuple[Path, str], int]:
    """The ids of the same submissions, trained here."""

    def open_event(kit: Path) -> None:
        shared.add_event(shared.add_problem(kit))

    with ThreadPoolExecutor(2) as two:
        list(two.map(open_event, dict.fromkeys(kit for kit, _ in CASES)))
    ids = {
        (kit, name): shared.submit(kit.name, name, kit / "submissions" / name)
        for kit, name in CASES
    }
    shared.train()
    return ids


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def test_scores_are_those_of_ramp_test(
    shared: Deployment,
    trained: dict[tuple[Path, str], int],
    ramp_tests: dict[tuple[Path, str], RampTest],
    case: tuple[Path, str],
) -> None:
    theirs, submission = ramp_tests[case], shared.get(trained[case])
    assert (submission.state, submission.error_message) == ("scored", None)
    with database.reading(shared.engine) as session:
        types = session.execute(
            select(EventScoreType.id, ScoreType.name, EventScoreType.precision)
            .join(EventScoreType.score_type)
            .where(EventScoreType.event_id == submission.event_id)
            .order_by(EventScoreType.position)
        ).all()
        of_folds = {
            (row.fold, row.event_score_type_id): row
            for row in session.scalars(select(FoldScore).filter_by(submission_id=submission.id))
        }
        overall = {
            row.event_score_type_id: row
            for row in session.scalars(
                select(SubmissionScore).filter_by(submission_id=submission.id)
            )
        }
    n_folds = len(of_folds) // len(types)
    assert len(list(theirs.folder.glob("fold_*"))) == n_folds >= 2

    bags, printed_bags = theirs.bags(), theirs.printed("Bagged scores")
    printed_means = theirs.printed("Mean CV scores")
    for type_id, name, precision in types:
        values = np.empty((n_folds, 3))
        for fold in range(n_folds):
            row, written = of_folds[fold, type_id], theirs.scores(fold)
            values[fold] = row.train, row.valid, row.test
            assert values[fold].tolist() == [float(written[side][name]) for side in SIDES]
            printed = theirs.printed(f"CV fold {fold}")[name]
            assert [float(printed[side]) for side in SIDES] == rounded(values[fold], precision)
            assert row.valid_bag == float(bags["valid", fold][name])
            assert row.test_bag == float(bags["test", fold][name])
        row = overall[type_id]
        assert row.valid_bag == of_folds[n_folds - 1, type_id].valid_bag
        assert row.test_bag == of_folds[n_folds - 1, type_id].test_bag
        last_bags = [row.valid_bag, row.test_bag]
        assert [float(printed_bags[name][side]) for side in SIDES[1:]] == rounded(
            last_bags, precision
        )
        means = [row.train_mean, row.valid_mean, row.test_mean]
        deviations = [row.train_std, row.valid_std, row.test_std]
        assert means == values.mean(axis=0).tolist()
        assert deviations == values.std(axis=0).tolist()
        shown = [printed_means[name][side].split("+-") for side in SIDES]
        assert [float(mean) for mean, _ in shown] == rounded(means, precision)
        assert [float(deviation) for _, deviation in shown] == rounded(deviations, precision + 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kit", "name"),
    [("iris", "wrong_column"), ("diabetes", "square_root"), ("digits", "wrong_axis")],
)
def test_the_instructive_failures_fail_here_too(
    shared: Deployment, trained: object, kit: str, name: str
) -> None:
    folder = kits.SHIPPED / kit / "submissions" / name
    ended = shared.outcome(kit, name, folder)
    assert ended.state.endswith("_error") and ended.error_kind != "platform"
    assert shared.stored(ended.id) == {"submission_score": 0, "fold_run": 0, "fold_score": 0}


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def rounded(values: list[float] | np.ndarray, precision: int) -> list[float]:
    return [round(float(value), precision) for value in values]
