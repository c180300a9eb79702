"""Ensembles of whole events: those of ramp-workflow, stored at once, and kept up to date."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from databoard import contributivity, database, ensemble, kits, leaderboard
from databoard.config import ROOT, Settings
from databoard.errors import DataboardError, InvalidValue, KitError
from databoard.model.event import Event
from databoard.model.submission import FoldRun, FoldScore, Submission, SubmissionCredit
from databoard.submissions import folder_of, put_back
from tasks.ensemble import blending_beside
from tests.training.deployment import KITS, TEAM, Deployment, until

INV = [sys.executable, "-m", "invoke", "--search-root", str(ROOT)]
RUN = {"train_time": 0.0, "valid_time": 0.0, "test_time": 0.0, "max_memory": 1.0}


@dataclass
class Stage:
    """An event on a kit, to which made-up scored submissions are added."""

    deployment: Deployment
    kit: Path
    event: str = field(init=False)
    problem: ModuleType = field(init=False)
    data: kits.Data = field(init=False)

    def __post_init__(self) -> None:
        self.event = self.deployment.add_event(self.deployment.add_problem(self.kit))
        self.problem = kits.load_problem(self.kit)
        self.data = kits.load_data(self.problem, self.kit, self.kit.name)

    @property
    def engine(self) -> Engine:
        return self.deployment.engine

    @property
    def settings(self) -> Settings:
        return self.deployment.settings

    def predicted(self, y: Any, noise: float, dice: np.random.Generator) -> np.ndarray:
        """Predictions of all rows of y, wrong in their own way."""
        truth = self.problem.Predictions(y_true=y).y_pred
        columns = truth.reshape(len(truth), -1).astype(float)
        y_pred = columns + noise * dice.normal(size=columns.shape)
        return y_pred.reshape(truth.shape)

    def add(self, name: str, seed: int, noise: float = 1.0) -> int:
        """A scored submission, its predictions stored as the scorer does. Returns its id."""
        dice = np.random.default_rng(seed)
        score_type, Predictions = self.problem.score_types[0], self.problem.Predictions
        with database.session_scope(self.engine) as session:
            event = leaderboard.load_event(session, self.event)
            submission = Submission(
                event=event,
                team_id=session.scalar(select(Submission.team_id)) or 1,
                name=name,
                files_digest="",
                state="scored",
                attempt=1,
            )
            session.add(submission)
            session.flush()
            folder = folder_of(self.settings, submission.id) / "predictions" / "1"
            folder.mkdir(parents=True)
            for fold, (_, rows) in enumerate(self.data.folds):
                valid = self.predicted(self.data.y_train, noise, dice)[rows]
                np.save(folder / f"fold_{fold}_valid.npy", valid)
                np.save(
                    folder / f"fold_{fold}_test.npy", self.predicted(self.data.y_test, noise, dice)
                )
                truth = Predictions(y_true=self.data.y_train, fold_is=rows)
                score = score_type.score_function(truth, Predictions(y_pred=valid))
                of = {"submission_id": submission.id, "fold": fold}
                session.execute(insert(FoldRun).values(**of, **RUN))
                official = event.score_types[0].id
                session.execute(
                    insert(FoldScore).values(**of, event_score_type_id=official, valid=float(score))
                )
            return submission.id

    def compute(self, **options: Any) -> ensemble.Ensemble:
        return ensemble.compute(self.engine, self.settings, self.event, **options)

    def file(self, submission_id: int, name: str) -> Path:
        return folder_of(self.settings, submission_id) / "predictions" / "1" / name

    def stored(self) -> tuple[list[Any], ...]:
        """All that is stored of the ensemble."""
        with database.reading(self.engine) as session:
            event = leaderboard.load_event(session, self.event)
            own = session.execute(
                select(
                    Submission.id,
                    Submission.contributivity,
                    Submission.historical_contributivity,
                ).order_by(Submission.id)
            )
            runs = session.execute(
                select(FoldRun.submission_id, FoldRun.fold, FoldRun.contributivity).order_by(
                    FoldRun.submission_id, FoldRun.fold
                )
            )
            scores = [getattr(event, score) for score in ensemble.SCORES]
            return [tuple(row) for row in own], [tuple(row) for row in runs], scores

    def change(self, submission_id: int, **values: Any) -> None:
        with database.session_scope(self.engine) as session:
            session.execute(
                update(Submission).where(Submission.id == submission_id).values(**values)
            )


@dataclass(frozen=True)
class Theirs:
    """What ramp-workflow's blend_submissions wrote."""

    shares: dict[str, list[float]]
    combined: dict[str, float]
    foldwise_best: dict[str, float]


def ramp_blend(stage: Stage, ids: dict[str, int], folder: Path, least: float = 0.0) -> Theirs:
    """Blend the same predictions with ramp-workflow."""
    from rampwf.utils.testing import blend_submissions

    n_folds = len(stage.data.folds)
    for name, id_ in ids.items():
        for fold, (_, rows) in enumerate(stage.data.folds):
            place = folder / name / "training_output" / f"fold_{fold}"
            place.mkdir(parents=True)
            valid = np.load(stage.file(id_, f"fold_{fold}_valid.npy"))
            whole = np.zeros((len(stage.data.y_train), *valid.shape[1:]))
            whole[rows] = valid
            np.savez(place / "y_pred_train.npz", y_pred=whole)
            test = np.load(stage.file(id_, f"fold_{fold}_test.npy"))
            np.savez(place / "y_pred_test.npz", y_pred=test)
    with contextlib.redirect_stdout(io.StringIO()):
        blend_submissions(
            list(ids),
            ramp_kit_dir=str(stage.kit),
            ramp_data_dir=str(stage.kit),
            ramp_submission_dir=str(folder),
            save_output=True,
            min_improvement=least,
        )
    output, score = folder / "training_output", stage.problem.score_types[0].name
    rows = read(output / "contributivities.csv")
    shares = {row["submission"]: [float(row[f"fold_{i}"]) for i in range(n_folds)] for row in rows}
    bags = [
        {row["step"]: float(row[score]) for row in read(output / f"bagged_scores_{kind}.csv")}
        for kind in ("combined", "foldwise_best")  # of all prefixes the last
    ]
    return Theirs(shares, *bags)


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def stage(deployment: Deployment) -> Stage:
    return Stage(deployment, KITS / "regression")


@pytest.fixture
def deployment(migrated_url: str, tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment.at(tmp_path / "deployment", migrated_url)
    yield deployment
    deployment.engine.dispose()


@pytest.mark.parametrize("least", [0.0, 0.01])
@pytest.mark.parametrize("kit", ["regression", "estimator", "combined", "extractor_regressor"])
def test_weights_and_scores_are_those_of_ramp_workflow(
    deployment: Deployment, tmp_path: Path, kit: str, least: float
) -> None:
    stage = Stage(deployment, KITS / kit)
    ids = {f"s{i}": stage.add(f"s{i}", i, 0.3 + i / 10) for i in range(7)}
    expected = ramp_blend(stage, ids, tmp_path / "theirs", least)
    assert stage.compute(min_improvement=least) == ensemble.Ensemble(7, True)
    own, runs, scores = stage.stored()
    n_folds = len(stage.data.folds)
    for name, id_ in ids.items():
        on_folds = [share for of, _, share in runs if of == id_]
        assert np.array(on_folds) / n_folds == pytest.approx(expected.shares[name], abs=1e-15)
    shares = {id_: share for id_, share, _ in own}
    assert shares == pytest.approx({ids[n]: sum(s) for n, s in expected.shares.items()}, abs=1e-12)
    assert sum(share for _, share, _ in own) == pytest.approx(1)
    assert len({id_ for id_, share in shares.items() if share}) > 1
    both = [
        bags[side]
        for bags in (expected.combined, expected.foldwise_best)
        for side in ("valid", "test")
    ]
    assert scores == pytest.approx(both, abs=1e-14)


def test_what_is_excluded_deleted_or_not_scored_takes_no_part(stage: Stage) -> None:
    ids = [stage.add(f"s{i}", i) for i in range(4)]
    stage.change(ids[0], is_in_ensemble=False)
    stage.change(ids[1], state="deleted")
    assert stage.compute().n_submissions == 2
    own, runs, _ = stage.stored()
    assert [share is None for _, share, _ in own] == [True, True, False, False]
    assert {of for of, _, share in runs if share is not None} == set(ids[2:])
    assert [historical for *_, historical in own[:2]] == [None, None]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file or directory (fold 1)"),
        (lambda path: path.write_bytes(b"no array"), "cannot be read: this is no array of"),
        (lambda path: np.save(path, np.zeros((4, 2))), "are of shape (4, 2); they must have"),
        (lambda path: np.save(path, np.full((30, 2), np.nan)), "hold NaN or infinity in 30 of 30"),
        (lambda path: np.save(path, np.zeros((30, 5))), "fold 1: Wrong y_pred dimensions"),
    ],
)
def test_a_submission_with_damaged_predictions_is_named_and_left_out(
    stage: Stage, damage: Callable[[Path], None], reason: str
) -> None:
    first, second, bad = stage.add("a", 1), stage.add("b", 2), stage.add("bad", 3, 0.1)
    damage(stage.file(bad, "fold_1_valid.npy"))
    found = stage.compute()
    assert found.n_submissions == 2
    [(name, why)] = found.left_out
    assert name == f"{TEAM}/bad" and reason in why
    own, runs, scores = stage.stored()
    assert {id_: share is None for id_, share, _ in own} == {first: False, second: False, bad: True}
    assert {share for of, _, share in runs if of == bad} == {None}
    stage.change(bad, state="deleted")
    stage.compute(from_scratch=True)
    assert stage.stored()[2] == scores


def test_it_takes_part_once_it_is_mended(stage: Stage) -> None:
    ids = [stage.add("a", 1), stage.add("b", 2, 0.1)]
    stage.compute()
    expected, path = stage.stored(), stage.file(ids[1], "fold_2_test.npy")
    path.rename(path.with_suffix(".away"))
    assert [name for name, _ in stage.compute(from_scratch=True).left_out] == [f"{TEAM}/b"]
    path.with_suffix(".away").rename(path)
    assert not stage.compute().left_out
    assert stage.stored() == expected


def test_going_on_after_each_change_is_as_from_scratch(stage: Stage) -> None:
    def check(is_new: bool = True) -> None:
        assert stage.compute().is_new is is_new
        going_on = stage.stored()
        stage.compute(from_scratch=True)
        assert stage.stored() == going_on

    ids = [stage.add(f"s{i}", i, 1.5) for i in range(4)]
    check()
    check(is_new=False)
    ids.append(stage.add("hopeless", 10, 9.0))
    check()
    ids.append(stage.add("helpful", 11, 1.0))
    check()
    stage.change(ids[4], is_in_ensemble=False)  # was in no blend
    check()
    stage.change(ids[5], state="deleted")  # was in them
    check()
    stage.change(ids[4], is_in_ensemble=True)
    check()
    stage.compute(min_improvement=0.5)
    assert not stage.compute().is_new  # with the minimum of the last time
    ids.append(stage.add("late", 12, 1.0))
    check()


def test_only_a_change_makes_it_out_of_date(stage: Stage) -> None:
    def is_current() -> bool:
        with database.reading(stage.engine) as session:
            event = leaderboard.load_event(session, stage.event)
            return ensemble.is_current(session, stage.settings, event)

    assert is_current()  # there is nothing to blend
    first, second = stage.add("a", 1), stage.add("b", 2)
    assert not is_current()
    stage.compute()
    assert is_current()
    stage.file(second, "fold_0_valid.npy").unlink()
    stage.compute(from_scratch=True)
    assert is_current()  # though one is left out
    stage.change(first, attempt=2)
    assert not is_current()
    stage.change(first, attempt=1)
    with database.session_scope(stage.engine) as session:
        leaderboard.load_event(session, stage.event).valid_combined = None  # a restored database
    assert not is_current()


def test_when_all_are_gone_the_scores_go(stage: Stage) -> None:
    only = stage.add("a", 1)
    stage.compute()
    assert None not in stage.stored()[2]
    stage.change(only, state="deleted")
    assert stage.compute() == ensemble.Ensemble(0, True)
    assert stage.stored()[2] == [None] * 4
    assert {share for _, _, share in stage.stored()[1]} == {None}


def test_nothing_is_stored_when_a_submission_changes_meanwhile(stage: Stage) -> None:
    first = stage.add("a", 1)
    stage.add("b", 2)

    def retrain(done: int, of: int) -> None:
        if done == 1:
            with database.session_scope(stage.engine) as session:
                put_back(session, Submission.id == first)

    assert stage.compute(report=retrain).n_submissions == 1  # it has begun again
    own, runs, _ = stage.stored()
    assert [share for _, share, _ in own] == [None, 1.0]
    assert {of for of, *_ in runs} == {own[1][0]}


def test_what_keeps_changing_is_left_as_it_was(stage: Stage) -> None:
    first = stage.add("a", 1)
    stage.compute()
    before = stage.stored()
    attempts = iter(range(2, 100))

    def retrain(done: int, of: int) -> None:
        attempt = next(attempts)
        shutil.copytree(
            stage.file(first, "").parent / "1", stage.file(first, "").parent / str(attempt)
        )
        stage.change(first, attempt=attempt)

    with pytest.raises(DataboardError) as error:
        stage.compute(from_scratch=True, report=retrain)
    assert str(error.value) == (
        "The submissions of regression kept changing while they were blended.\nTry again."
    )
    assert stage.stored() == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"attempts": {"x": 1}}', '{"attempts": 3}'])
def test_a_damaged_file_of_the_last_blend_is_as_none(stage: Stage, content: str) -> None:
    stage.add("a", 1)
    stage.compute()
    [path] = (stage.settings.deployment_path / "ensembles").glob("*.json")
    path.write_text(content)
    assert stage.compute() == ensemble.Ensemble(1, True)


def test_a_kit_whose_folds_changed_is_refused(stage: Stage) -> None:
    stage.add("a", 1)
    kit = stage.settings.kits_path / stage.kit.name / "problem.py"
    kit.write_text(kit.read_text().replace("n_splits=3", "n_splits=4"))
    with pytest.raises(KitError) as error:
        stage.compute()
    assert str(error.value) == (
        "The folds or scores of the kit regression are not those of the event any more.\n"
        "Take them over: inv add-event regression EVENT --force"
    )


def test_a_kit_that_fails_is_named(stage: Stage) -> None:
    stage.add("a", 1)
    kit = stage.settings.kits_path / stage.kit.name / "problem.py"
    before = kit.read_text()
    kit.write_text(
        f"{before}\ndef wrong(*_):\n    raise ValueError('no')\n"
        "score_types[0].score_function = wrong\n"
    )
    with pytest.raises(KitError) as error:
        stage.compute()
    assert str(error.value) == (
        "The kit regression cannot combine or score predictions: ValueError: no"
    )
    kit.write_text(
        f"{before}\nimport os, sys\nprint('gone', file=sys.stderr)\nsys.stderr.flush()\n"
        "os._exit(3)\n"
    )
    with pytest.raises(KitError) as error:
        stage.compute()
    assert str(error.value) == "The kit regression ended its process (exit 3): gone"


@pytest.mark.parametrize("least", [-0.1, float("nan"), float("inf")])
def test_a_wrong_minimum_is_refused(stage: Stage, least: float) -> None:
    with pytest.raises(InvalidValue) as error:
        stage.compute(min_improvement=least)
    assert str(error.value) == f"The minimum improvement is {least}.\nUse a number from 0 on."


def test_the_process_ends_with_the_one_who_asked(tmp_path: Path) -> None:
    kit = tmp_path / "slow"
    kit.mkdir()
    (kit / "problem.py").write_text(
        "import pathlib, time\npathlib.Path('here').touch()\ntime.sleep(600)\n"
    )
    request = {"kit": str(kit), "data": str(kit), "folds_digest": "", "score": ""}
    request |= {"min_improvement": 0.0, "candidates": []}  # type: ignore[dict-item]
    process = subprocess.Popen(
        [sys.executable, "-m", "databoard.blender"],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdin
    print(json.dumps(request), file=process.stdin, flush=True)
    until(lambda: (kit / "here").exists())
    process.stdin.close()
    assert process.wait(timeout=30) == 1


def test_credit_is_passed_on_from_the_newest_to_the_oldest() -> None:
    own = {4: 0.5, 3: 0.3, 2: 0.2, 1: 0.0}
    assert contributivity.pass_on(own, {}) == own
    owed = {4: [(3, 0.5), (1, 0.25)], 3: [(1, 0.5)]}
    shares = contributivity.pass_on(own, owed)
    assert shares == pytest.approx({4: 0.125, 3: 0.275, 2: 0.2, 1: 0.4})
    # What is owed to one that is gone stays; more than all is all.
    assert contributivity.pass_on({2: 1.0}, {2: [(1, 0.5)]}) == {2: 1.0}
    too_much = contributivity.pass_on({3: 1.0, 2: 0.0, 1: 0.0}, {3: [(2, 1.0), (1, 1.0)]})
    assert too_much == pytest.approx({3: 0.0, 2: 0.5, 1: 0.5})


def test_stored_credits_count(stage: Stage) -> None:
    ids = [stage.add("old", 1, 9.0), stage.add("new", 2, 0.1)]
    with database.session_scope(stage.engine) as session:
        session.add(SubmissionCredit(submission_id=ids[1], source_id=ids[0], share=0.25))
    stage.compute()
    own, _, _ = stage.stored()
    assert own == [(ids[0], 0.0, 0.25), (ids[1], 1.0, 0.75)]
    with database.session_scope(stage.engine) as session:
        session.get_one(SubmissionCredit, (ids[1], ids[0])).share = 0.5
        contributivity.store_historical(session, leaderboard.load_event(session, stage.event))
    assert [row[2] for row in stage.stored()[0]] == [0.5, 0.5]


def test_what_is_excluded_has_no_contributivity_of_any_kind(stage: Stage) -> None:
    ids = [stage.add("old", 1, 9.0), stage.add("new", 2, 0.1)]
    with database.session_scope(stage.engine) as session:
        session.add(SubmissionCredit(submission_id=ids[1], source_id=ids[0], share=0.25))
        assert contributivity.aside(leaderboard.load_event(session, stage.event)) == ""
    stage.compute()
    stage.change(ids[0], is_in_ensemble=False)
    with database.session_scope(stage.engine) as session:
        event = leaderboard.load_event(session, stage.event)
        contributivity.store_historical(session, event)
        assert contributivity.aside(event) == (
            "Contributivities are as before, until: inv compute-contributivity regression"
        )
    assert stage.stored()[0] == [(ids[0], 0.0, 0.25), (ids[1], 1.0, 0.75)]
    stage.compute()
    assert stage.stored()[0] == [(ids[0], None, None), (ids[1], 1.0, 1.0)]


def test_boards_show_it(stage: Stage) -> None:
    ids = [stage.add("old", 1, 9.0), stage.add("new", 2, 0.1)]
    stage.compute()

    def boards(session: Session) -> tuple[leaderboard.Board, str | None, str | None]:
        event = leaderboard.load_event(session, stage.event)
        return (
            contributivity.board(session, event),
            contributivity.summary(event, with_test=False),
            contributivity.summary(event, with_test=True),
        )

    with database.reading(stage.engine) as session:
        board, public, private = boards(session)
    assert [column.name for column in board.columns] == [
        "team",
        "submission",
        "contributivity",
        "historical_contributivity",
        "fold_0",
        "fold_1",
        "fold_2",
    ]
    assert board.rows == [
        (TEAM, "new", 1.0, 1.0, 1.0, 1.0, 1.0),
        (TEAM, "old", 0.0, 0.0, 0.0, 0.0, 0.0),
    ]
    scores = [f"{score:.3f}" for score in stage.stored()[2]]
    assert public == f"Ensemble, bagged rmse: combined {scores[0]}; foldwise best {scores[2]}"
    assert private == (
        f"Ensemble, bagged rmse: combined valid {scores[0]}, test {scores[1]}; "
        f"foldwise best valid {scores[2]}, test {scores[3]}"
    )
    assert len(ids) == 2


def inv(deployment: Deployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*INV, *arguments],
        env=os.environ | deployment.environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_training_computes_it_by_itself(deployment: Deployment) -> None:
    event = deployment.add_event(deployment.add_problem(KITS / "regression"))
    deployment.submit(event, "first", KITS / "regression/submissions/starting_kit")
    done = inv(deployment, "train-test", event, "--contributivity")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [
        "Trained 1 of regression: 1 scored.",
        "Blended 1 submission of regression.",
    ]
    again = inv(deployment, "train-test", event, "--contributivity")
    assert again.stdout.splitlines() == [
        "Nothing to train.",
        "Nothing changed in regression: 1 submission.",
    ]
    [row] = json.loads(inv(deployment, "compute-contributivity", event, "--json").stdout)
    assert row["contributivity"] == row["historical_contributivity"] == row["fold_2"] == 1.0
    table = inv(deployment, "compute-contributivity", event, "--from-scratch").stdout
    assert "Blended 1 submission of regression.\nEnsemble, bagged rmse: combined valid" in table
    board = inv(deployment, "leaderboard", event).stdout
    assert "historical contributivity" in board and "Ensemble, bagged rmse: combined 0." in board
    assert "test" not in board.splitlines()[-1]


@pytest.mark.slow
def test_the_loop_computes_it_when_something_changed(deployment: Deployment) -> None:
    event = deployment.add_event(deployment.add_problem(KITS / "regression"))
    kit = KITS / "regression/submissions/starting_kit"

    def shares() -> dict[str, float | None]:
        with database.reading(deployment.engine) as session:
            return {row.name: row.contributivity for row in session.scalars(select(Submission))}

    deployment.submit(event, "first", kit)
    process = subprocess.Popen(
        [*INV, "backend-train-test-loop", "--contributivity", "--timeout", "0.1"],
        env=os.environ | deployment.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: shares() == {"first": 1.0}, 90)
        deployment.submit(event, "second", kit)
        until(lambda: shares() == {"first": 1.0, "second": 0.0}, 90)
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=60)
    lines = [line for line in output.splitlines() if "lended" in line]
    assert lines == ["Blended 1 submission of regression.", "Blended 2 submissions of regression."]
    with database.reading(deployment.engine) as session:
        assert session.scalar(select(Event.valid_combined)) is not None


def test_an_event_that_cannot_be_blended_does_not_stop_the_others(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.add("a", 1)
    other = Stage(stage.deployment, KITS / "estimator")
    other.add("b", 2)
    (stage.settings.kits_path / "regression" / "problem.py").unlink()
    errors = ""

    def is_blended() -> bool:
        nonlocal errors
        said = capsys.readouterr()
        errors += said.err
        return said.out == "Blended 1 submission of estimator.\n"

    with blending_beside(stage.settings, stage.engine):
        until(is_blended)
    assert errors.startswith("There is no kit regression in ")
    assert None not in other.stored()[2]
