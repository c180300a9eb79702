"""Greedy blending of predictions on one fold, and bagging of what comes of it.

A blend begins with the best submission and grows by the one that improves its score most, with
replacement, until none does. This is ramp-workflow's `blend_on_fold`, after Caruana et al.,
Ensemble selection from libraries of models (2004), and has its results. The kit's own code scores;
`databoard.score_bounds` says which candidates it has to look at.
"""

import math
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from rampwf.prediction_types import base, multiclass

from databoard.score_bounds import Array, Bounds, bounds_for

MAX_SIZE = 80  # of a blend, members counted as often as they were chosen
Blend = list[int]  # members in the order in which they were chosen

_MEAN = base.BasePrediction.combine.__func__
_MEAN_OF_PROBABILITIES = multiclass._combine.__func__


class Fold:
    """The candidates of a fold, and the members of its blend so far.

    Scores are keys: the lower the better, infinite when undefined. `load` gives the Predictions
    of a candidate, `alone` are the keys of the candidates by themselves.
    """

    def __init__(
        self, score_type: Any, truth: Any, load: Callable[[int], Any], alone: Sequence[float]
    ) -> None:
        self.alone = alone
        self.members: Blend = []
        self._score_type, self._truth, self._load = score_type, truth, load
        combine = getattr(type(truth).combine, "__func__", None)
        self._is_mean = combine in (_MEAN, _MEAN_OF_PROBABILITIES)
        self._is_of_probabilities = combine is _MEAN_OF_PROBABILITIES
        self._predictions: dict[int, Any] = {}
        self._values: dict[int, Array] = {}
        self._total: Any = 0.0  # of the members' values that are there, row by row
        self._count: Any = 0
        self._bounds: Bounds | None = None
        self._has_bounds = False

    def add(self, candidate: int) -> None:
        """Make a candidate a member (once more)."""
        self.members.append(candidate)
        if self._is_mean:
            self._total, self._count = self._sums(candidate)

    def key_with(self, candidate: int) -> float:
        """The key of the blend when a candidate is added, by the kit's own score function."""
        return as_key(self._score_with(candidate), self._score_type)

    def _score_with(self, candidate: int) -> float:
        Predictions = type(self._truth)
        if self._is_mean:
            total, count = self._sums(candidate)
            with np.errstate(invalid="ignore"):  # a row that nobody predicted
                combined = Predictions(y_pred=total / count)
        else:
            everyone = [*self.members, candidate]
            combined = Predictions.combine([self._of(member) for member in everyone])
        return float(self._score_type.score_function(self._truth, combined))

    def keys_within(self) -> tuple[Array, Array] | None:
        """Lowest and highest possible key with each candidate added; None when not known."""
        is_first, self._has_bounds = not self._has_bounds, True
        if is_first:
            self._bounds = self._find_bounds()
        if self._bounds is None:
            return None
        low, high = self._bounds.of(self.members, self._total)
        if not np.isfinite([low, high]).all():
            return None
        if is_first and not low[0] <= self._score_with(0) <= high[0]:
            self._bounds = None
            return None
        return (low, high) if self._score_type.is_lower_the_better else (-high, -low)

    def forget_bounds(self) -> None:
        """Have every candidate scored from now on: here the bounds do not hold."""
        self._has_bounds, self._bounds = True, None

    def _of(self, candidate: int) -> Any:
        if candidate not in self._predictions:
            self._predictions[candidate] = self._load(candidate)
        return self._predictions[candidate]

    def _sums(self, candidate: int) -> tuple[Any, Any]:
        """The total with a candidate: one after the other, as numpy adds the rows of an array."""
        value = self._value(candidate)
        is_there = ~np.isnan(value)
        return self._total + np.where(is_there, value, 0.0), self._count + is_there

    def _value(self, candidate: int) -> Array:
        """What the mean is taken of."""
        if candidate not in self._values:
            value = np.asarray(self._load(candidate).y_pred, dtype=float)
            if self._is_of_probabilities:
                value = np.clip(value, 10**-15, 1 - 10**-15)
                value = value / value.sum(axis=1, keepdims=True)
            self._values[candidate] = value
        return self._values[candidate]

    def _find_bounds(self) -> Bounds | None:
        if not self._is_mean:
            return None
        values: Array | None = None
        for candidate in range(len(self.alone)):
            value = self._value(candidate)
            values = np.empty((len(self.alone), *value.shape)) if values is None else values
            values[candidate] = value
            self._values[candidate] = values[candidate]  # a view, or all would be there twice
        return None if values is None else bounds_for(self._score_type, self._truth, values)


def blend(
    fold: Fold, min_improvement: float = 0.0, known: Sequence[int] = (), new: Collection[int] = ()
) -> Blend:
    """Blend greedily. Returns the members, which are then those of the fold.

    `known` may be the blend without the candidates `new`: as long as these win no step, the
    steps are the known ones, and only they are looked at. This holds when there is no minimum
    improvement, or when the new ones come last.
    """
    first = int(np.argmin(fold.alone))
    path = list(known) if known and known[0] == first else []
    key = fold.key_with(first)
    fold.add(first)
    while len(fold.members) < MAX_SIZE:
        following = path[len(fold.members) : len(fold.members) + 1]
        best, best_key = _best(fold, key, min_improvement, {*new, *following} if path else None)
        if best != (following[0] if following else None):  # from here on all are looked at
            path = []
            if best is None:
                continue
        if best is None:
            break
        fold.add(best)
        key = best_key
    return fold.members


def _best(
    fold: Fold, key: float, min_improvement: float, among: Collection[int] | None
) -> tuple[int | None, float]:
    """The candidate that improves the blend most, and the key then; None when none does.

    As in ramp-workflow each has to beat the best one before it by the minimum improvement.
    """
    best = None
    within = fold.keys_within() if among is None else None
    candidates = range(len(fold.alone)) if among is None else sorted(among)
    if within is not None:
        low, high = within
        ceiling = key - min_improvement
        if min_improvement == 0:  # only the least key counts
            ceiling = min(ceiling, float(np.nextafter(high.min(), math.inf)))
        candidates = np.flatnonzero(low < ceiling).tolist()
    for candidate in candidates:
        if within is not None and low[candidate] >= key - min_improvement:
            continue
        with_it = fold.key_with(candidate)
        if within is not None and not low[candidate] <= with_it <= high[candidate]:
            fold.forget_bounds()
            return _best(fold, key, min_improvement, among)
        if with_it < key - min_improvement:
            best, key = candidate, with_it
    return best, key


def key_of(score_type: Any, truth: Any, predictions: Any) -> float:
    """The score of predictions as a key: the lower the better, infinite when undefined."""
    return as_key(float(score_type.score_function(truth, predictions)), score_type)


def as_key(score: float | None, score_type: Any) -> float:
    """A score as a key."""
    if score is None or math.isnan(score):
        return math.inf
    return score if score_type.is_lower_the_better else -score


def bagged(
    score_type: Any, truth: Any, folds: Sequence[Any], rows: Sequence[Array] | None
) -> float:
    """The score of the average of the folds' Predictions, as ramp-workflow bags them.

    `rows` are the rows of `truth` that each fold predicts, None when all do; a row counts when a
    fold predicted it. `truth` is cut to these.
    """
    Predictions = type(truth)
    n_rows = len(truth.y_pred)
    spread = []
    for number, predictions in enumerate(folds):
        whole = Predictions(n_samples=n_rows)
        whole.set_valid_in_train(predictions, range(n_rows) if rows is None else rows[number])
        spread.append(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        combined = Predictions.combine(spread)
    is_there = combined.valid_indexes
    truth.set_slice(is_there)
    combined.set_slice(is_there)
    return float(score_type.score_function(truth, combined))
