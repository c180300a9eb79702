"""Blends are those of ramp-workflow, whatever is known of the score."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
import rampwf as rw
from hypothesis import given, settings
from hypothesis import strategies as st
from rampwf.utils.combine import blend_on_fold, get_score_cv_bags

from databoard import score_bounds
from databoard.blending import MAX_SIZE, Fold, as_key, bagged, blend, key_of
from databoard.score_bounds import bounds_for

score_types = rw.score_types
Regression = rw.prediction_types.make_regression()
TwoTargets = rw.prediction_types.make_regression(label_names=["north", "east"])
Binary = rw.prediction_types.make_multiclass(label_names=["no", "yes"])
Three = rw.prediction_types.make_multiclass(label_names=["a", "b", "c"])
Column = rw.prediction_types.make_regression(label_names=["much"])
Combined = rw.prediction_types.make_combined([Three, Column])


class Median(Regression):  # type: ignore[misc, valid-type]
    """A kit's own way to combine."""

    @classmethod
    def combine(cls, predictions_list: list[Any], index_list: Any = None) -> Any:
        chosen = range(len(predictions_list)) if index_list is None else index_list
        return cls(y_pred=np.median([predictions_list[i].y_pred for i in chosen], axis=0))


class WherePredicted(score_types.RMSE):  # type: ignore[misc]
    """A kit's own score, of the rows that are predicted."""

    def __call__(self, y_true: Any, y_pred: Any) -> float:
        return float(np.sqrt(np.nanmean(np.square(y_true - y_pred))))


class Cubes(score_types.RMSE):  # type: ignore[misc]
    """Not at all what it will be taken for."""

    def __call__(self, y_true: Any, y_pred: Any) -> float:
        return float(np.mean(np.abs(y_true - y_pred) ** 3))


class Jump(score_types.RMSE):  # type: ignore[misc]
    """What it will be taken for, but where it matters."""

    def __call__(self, y_true: Any, y_pred: Any) -> float:
        score = float(super().__call__(y_true, y_pred))
        return score if score > 0.9 else score - 0.3


ERROR, MARE = score_types.ClassificationError(), score_types.MARE()
CASES = [
    (Regression, score_types.RMSE()),
    (Regression, score_types.NormalizedRMSE()),
    (Regression, score_types.RelativeRMSE()),
    (Regression, MARE),
    (TwoTargets, score_types.RMSE()),
    (Median, score_types.RMSE()),
    (Regression, WherePredicted()),
    (Binary, score_types.ROCAUC()),
    (Binary, score_types.Accuracy()),
    (Binary, score_types.BrierScore()),
    (Binary, score_types.NormalizedGini()),
    (Three, score_types.Accuracy()),
    (Three, ERROR),
    (Three, score_types.NegativeLogLikelihood()),
    (Three, score_types.BalancedAccuracy()),
    (Three, score_types.BalancedAccuracy(adjusted=False)),
    (Three, score_types.MacroAveragedRecall()),
    (Three, score_types.F1Above()),
    (Combined, score_types.Combined([ERROR, MARE], weights=[2 / 3, 1 / 3])),
    (Combined, score_types.MakeCombined(ERROR, index=0)),
    (Combined, score_types.MakeCombined(MARE, index=1)),
]
WITHOUT_BOUNDS = (WherePredicted, score_types.NormalizedGini, score_types.F1Above)


def truth_of(Predictions: Any, n: int, dice: np.random.Generator) -> Any:
    """Made-up labels, each at least once."""
    if issubclass(Predictions, Combined):
        y = np.empty((n, 2), dtype=object)
        y[:, 0] = np.array(Three.label_names)[np.arange(n) % 3]
        y[:, 1] = dice.uniform(1, 9, n)
        return Predictions(y_true=y)
    if Predictions in (Binary, Three):
        labels = Predictions.label_names
        return Predictions(y_true=np.array(labels)[dice.permutation(np.arange(n) % len(labels))])
    shape = n if Predictions.n_columns == 0 else (n, Predictions.n_columns)
    return Predictions(y_true=dice.normal(5, 1, shape))


def candidates_of(truth: Any, count: int, dice: np.random.Generator, digits: int = 15) -> list[Any]:
    """Predictions that are each wrong in their own way; with few digits, many are equal."""
    Predictions = type(truth)
    y = np.asarray(truth.y_pred, dtype=float)
    found = []
    for _ in range(count):
        y_pred = y + dice.uniform(0.5, 3) * dice.normal(size=y.shape)
        if hasattr(truth, "label_names") and Predictions in (Binary, Three):
            y_pred = np.exp(y_pred) / np.exp(y_pred).sum(axis=1, keepdims=True)
        found.append(Predictions(y_pred=np.round(y_pred, digits)))
    return found


def theirs(candidates: list[Any], truth: Any, score_type: Any, least: float = 0.0) -> list[int]:
    """The blend of ramp-workflow, which prints its steps."""
    with contextlib.redirect_stdout(io.StringIO()):
        members = blend_on_fold(candidates, truth, score_type, MAX_SIZE, least)
    return [int(member) for member in members]


def fold_of(candidates: list[Any], truth: Any, score_type: Any) -> Fold:
    alone = [key_of(score_type, truth, one) for one in candidates]
    return Fold(score_type, truth, candidates.__getitem__, alone)


@pytest.mark.parametrize("least", [0.0, 0.002])
@pytest.mark.parametrize("digits", [15, 1])
@pytest.mark.parametrize(("Predictions", "score_type"), CASES)
def test_members_are_those_of_ramp_workflow(
    Predictions: Any, score_type: Any, digits: int, least: float
) -> None:
    for seed in range(3):
        dice = np.random.default_rng(seed)
        truth = truth_of(Predictions, 90, dice)
        candidates = candidates_of(truth, 12, dice, digits)
        candidates += candidates[:2]  # the same again
        expected = theirs(candidates, truth, score_type, least)
        assert blend(fold_of(candidates, truth, score_type), least) == expected


def test_blends_end_with_80_members() -> None:
    dice = np.random.default_rng(3)
    truth = truth_of(Regression, 400, dice)
    candidates = candidates_of(truth, 100, dice)
    members = blend(fold_of(candidates, truth, score_types.RMSE()))
    assert members == theirs(candidates, truth, score_types.RMSE())
    assert len(members) == MAX_SIZE


def test_rows_that_some_did_not_predict_are_averaged_over_the_others() -> None:
    dice = np.random.default_rng(4)
    truth = truth_of(Regression, 60, dice)
    candidates = candidates_of(truth, 20, dice)
    for one in candidates:
        one.y_pred[dice.random(60) < 0.3] = np.nan
    score_type = WherePredicted()
    members = blend(fold_of(candidates, truth, score_type))
    assert members == theirs(candidates, truth, score_type)
    assert len(set(members)) > 1


def test_an_undefined_score_never_begins_a_blend() -> None:
    dice = np.random.default_rng(1)
    truth = truth_of(Regression, 30, dice)
    candidates = candidates_of(truth, 4, dice)
    candidates[0].y_pred[3] = np.nan
    members = blend(fold_of(candidates, truth, score_types.RMSE()))
    assert members[0] == theirs(candidates[1:], truth, score_types.RMSE())[0] + 1


@pytest.mark.parametrize("kind", [Cubes, Jump])
def test_each_candidate_is_scored_where_the_bounds_do_not_hold(
    monkeypatch: pytest.MonkeyPatch, kind: type[Any]
) -> None:
    monkeypatch.setitem(score_bounds._KNOWN, kind, score_bounds._squared)
    dice = np.random.default_rng(1)
    truth = truth_of(Regression, 30, dice)
    candidates = candidates_of(truth, 6, dice)
    score_type = kind()
    fold = fold_of(candidates, truth, score_type)
    assert blend(fold) == theirs(candidates, truth, score_type)
    assert len(fold.members) > 1
    assert fold.keys_within() is None


@pytest.mark.parametrize(("Predictions", "score_type"), CASES)
def test_each_score_is_within_its_bounds(Predictions: Any, score_type: Any) -> None:
    dice = np.random.default_rng(5)
    truth = truth_of(Predictions, 77, dice)
    candidates = candidates_of(truth, 9, dice, 1)
    fold = fold_of(candidates, truth, score_type)
    for member in (4, 4, 7):
        fold.add(member)
        within = fold.keys_within()
        if isinstance(score_type, WITHOUT_BOUNDS) or Predictions is Median:
            assert within is None
            continue
        assert within is not None
        keys = np.array([fold.key_with(candidate) for candidate in range(len(candidates))])
        assert (within[0] <= keys).all() and (keys <= within[1]).all()
        assert np.max(within[1] - within[0]) < 1e-8


def test_large_residuals_that_cancel_do_not_deceive() -> None:
    dice = np.random.default_rng(2)
    truth = truth_of(Regression, 50, dice)
    candidates = candidates_of(truth, 6, dice)
    far = 1e9 * dice.normal(size=50)
    for side in (far, -far):
        candidates.append(Regression(y_pred=truth.y_pred + side + 0.01 * dice.normal(size=50)))
    score_type = score_types.RMSE()
    fold = fold_of(candidates, truth, score_type)
    fold.add(6)
    within = fold.keys_within()
    assert within is not None and within[0][7] <= fold.key_with(7) <= within[1][7]
    expected = theirs(candidates, truth, score_type)
    assert blend(fold_of(candidates, truth, score_type)) == expected


@given(
    seed=st.integers(0, 2**32 - 1),
    case=st.sampled_from(CASES),
    sizes=st.tuples(st.integers(1, 6), st.integers(0, 4)),
    least=st.sampled_from([0.0, 0.01]),
    digits=st.sampled_from([15, 1]),
    in_the_middle=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_going_on_from_a_known_blend_gives_the_blend_of_all(
    seed: int,
    case: tuple[Any, Any],
    sizes: tuple[int, int],
    least: float,
    digits: int,
    in_the_middle: bool,
) -> None:
    Predictions, score_type = case
    dice = np.random.default_rng(seed)
    truth = truth_of(Predictions, 24, dice)
    everyone = candidates_of(truth, sum(sizes), dice, digits)
    order = list(range(sum(sizes)))
    if in_the_middle and least == 0:  # with a minimum, new ones must be the last
        order = dice.permutation(order).tolist()
    old, new = sorted(order[: sizes[0]]), sorted(order[sizes[0] :])
    before = blend(fold_of([everyone[i] for i in old], truth, score_type), least)

    fold = fold_of(everyone, truth, score_type)
    after = blend(fold, least, known=[old[member] for member in before], new=new)

    assert after == blend(fold_of(everyone, truth, score_type), least)


def test_going_on_scores_only_what_is_new_as_long_as_it_wins_nothing() -> None:
    dice = np.random.default_rng(1)
    truth = truth_of(Regression, 200, dice)
    candidates = candidates_of(truth, 30, dice)
    known = blend(fold_of(candidates, truth, score_types.RMSE()))
    hopeless = Regression(y_pred=truth.y_pred + 100)
    loaded: list[int] = []

    def load(candidate: int) -> Any:
        loaded.append(candidate)
        return [*candidates, hopeless][candidate]

    alone = [key_of(score_types.RMSE(), truth, one) for one in [*candidates, hopeless]]
    fold = Fold(score_types.RMSE(), truth, load, alone)
    assert blend(fold, known=known, new=[30]) == known
    assert sorted(loaded) == sorted({*known, 30})


def test_a_known_blend_that_does_not_hold_is_left() -> None:
    dice = np.random.default_rng(1)
    truth = truth_of(Regression, 50, dice)
    candidates = candidates_of(truth, 9, dice)
    expected = theirs(candidates, truth, score_types.RMSE())
    worst = int(np.argmax(fold_of(candidates, truth, score_types.RMSE()).alone))
    for known in ([worst], [expected[0], worst], [*expected, worst]):
        fold = fold_of(candidates, truth, score_types.RMSE())
        assert blend(fold, known=known) == expected


@pytest.mark.parametrize(("Predictions", "score_type"), CASES)
def test_bags_are_those_of_ramp_workflow(Predictions: Any, score_type: Any) -> None:
    dice = np.random.default_rng(8)
    n = 60
    rows = [np.arange(0, 25), np.arange(20, 45), np.arange(12, 33)]  # some twice, some never
    whole = truth_of(Predictions, n, dice)
    folds = candidates_of(whole, 3, dice)
    for one, of_fold in zip(folds, rows, strict=True):
        one.set_slice(of_fold)
    _, expected = get_score_cv_bags(score_type, folds, whole, test_is_list=rows)
    assert bagged(score_type, whole, folds, rows) == expected[-1]


def test_keys_turn_scores_that_are_better_when_higher() -> None:
    assert as_key(0.25, score_types.Accuracy()) == -0.25
    assert as_key(0.25, score_types.RMSE()) == 0.25
    assert as_key(None, score_types.Accuracy()) == as_key(math.nan, score_types.RMSE()) == math.inf


def test_what_is_derived_from_a_known_score_has_no_bounds() -> None:
    truth = Regression(y_true=np.array([1.0, 2.0]))
    values = np.ones((3, 2))
    assert bounds_for(score_types.RMSE(), truth, values) is not None
    assert bounds_for(WherePredicted(), truth, values) is None
