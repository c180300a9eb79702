"""Where the score of every candidate lies, for all of them at once.

Greedy blending asks, at each step, for the score of the blend with each candidate added. What is
computed here for all candidates together may differ from what the kit's score function gives by
rounding, so it is an interval that the kit's score is in: only candidates whose interval says
that they may win are scored by the kit, which alone decides.

`values` are the predictions of the candidates, of shape (candidates, rows, ...), as their
average is taken: probabilities clipped and normalised. Known are the score types of
ramp-workflow itself (not what is derived from them), on finite predictions.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from rampwf import score_types as known

Array = np.ndarray
Interval = tuple[Array, Array]
ROUNDING = 1e-11
CHUNK = 250_000  # numbers at a time: so many stay in the processor's cache


class Bounds(Protocol):
    """The intervals of one score type on one fold."""

    def of(self, members: Sequence[int], total: Array) -> Interval:
        """Lowest and highest score of each candidate when it is added to the `members`.

        `total` is the sum of the values of the members, of shape (rows, ...).
        """


def bounds_for(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    """The bounds of a score type on `truth` (Predictions); None when it must be asked itself."""
    kind = type(score_type)
    if kind in (known.Combined, known.MakeCombined):
        return _of_parts(score_type, truth, values)
    if not np.isfinite(values).all():
        return None
    make = _KNOWN.get(kind)
    return None if make is None else make(score_type, truth, values)


class SquaredErrors:
    """Scores made of the mean squared error, by the products of all pairs of residuals."""

    def __init__(self, residuals: Array, finish: Callable[[Array], Array]) -> None:
        flat = residuals.reshape(len(residuals), -1)
        self._products = flat @ flat.T / flat.shape[1]
        self._squares = self._products.diagonal().copy()
        self._sizes, self._finish = np.sqrt(self._squares), finish

    def of(self, members: Sequence[int], total: Array) -> Interval:
        weights = np.bincount(np.array(members, dtype=int), minlength=len(self._sizes))
        with_members = self._products @ weights
        square = weights @ with_members + 2 * with_members + self._squares
        # Residuals that nearly cancel leave the rounding of the large ones.
        rounding = ROUNDING * (weights @ self._sizes + self._sizes) ** 2
        low, high = (
            self._finish(np.maximum(square + side, 0) / (len(members) + 1) ** 2)
            for side in (-rounding, rounding)
        )
        return low, high


class RowByRow:
    """Scores that look at each row, computed for some candidates at a time."""

    def __init__(self, n_rows: int) -> None:
        self._chunk = max(1, CHUNK // n_rows)

    def of(self, members: Sequence[int], total: Array) -> Interval:
        scores = np.concatenate(list(self._scores(members, total)))
        rounding = ROUNDING * (1 + np.abs(scores))
        return scores - rounding, scores + rounding

    def _scores(self, members: Sequence[int], total: Array) -> Iterator[Array]:
        raise NotImplementedError

    def _parts(self, values: Array) -> Iterator[Array]:
        for start in range(0, len(values), self._chunk):
            yield values[start : start + self._chunk]


class AbsoluteErrors(RowByRow):
    """The mean of absolute residuals."""

    def __init__(self, residuals: Array) -> None:
        self._residuals = residuals.reshape(len(residuals), -1)
        super().__init__(self._residuals.shape[1])

    def _scores(self, members: Sequence[int], total: Array) -> Iterator[Array]:
        of_members = self._residuals[list(members)].sum(axis=0)
        for part in self._parts(self._residuals):
            yield np.abs(part + of_members).mean(axis=1) / (len(members) + 1)


class LogLoss(RowByRow):
    """The negative log likelihood: a logarithm of the product of each 16 probabilities."""

    def __init__(self, probabilities: Array) -> None:
        self._n_rows = probabilities.shape[1]
        super().__init__(self._n_rows)
        self._padding = -self._n_rows % 16
        self._probabilities = np.pad(probabilities, ((0, 0), (0, self._padding)), mode="edge")

    def _scores(self, members: Sequence[int], total: Array) -> Iterator[Array]:
        of_members = self._probabilities[list(members)].sum(axis=0)
        for part in self._parts(self._probabilities):
            means = (part + of_members) / (len(members) + 1)
            logarithms = np.log(means.reshape(len(part), 16, -1).prod(axis=1)).sum(axis=1)
            logarithms -= np.log(means[:, -1]) * self._padding
            yield -logarithms / self._n_rows


class RocAuc(RowByRow):
    """The area under the ROC curve: how often a positive row is above a negative one."""

    def __init__(self, probabilities: Array, is_positive: Array) -> None:
        super().__init__(len(is_positive))
        self._is_positive = is_positive
        self._sides = probabilities[:, is_positive], probabilities[:, ~is_positive]

    def _scores(self, members: Sequence[int], total: Array) -> Iterator[Array]:
        size, is_positive = len(members) + 1, self._is_positive
        totals = total[is_positive, 1], total[~is_positive, 1]
        for parts in zip(*map(self._parts, self._sides), strict=True):
            positive, negative = (
                np.sort((part + of_members) / size, axis=1)
                for part, of_members in zip(parts, totals, strict=True)
            )
            yield np.array([_share_above(*rows) for rows in zip(positive, negative, strict=True)])


class Hits(RowByRow):
    """Scores linear in which rows get their label: `weights` are what a hit in a row counts."""

    def __init__(
        self, values: Array, labels: Array, weights: Array, finish: Callable[[Array], Array]
    ) -> None:
        super().__init__(labels.size * values.shape[2])
        self._values, self._labels, self._weights, self._finish = values, labels, weights, finish

    def _scores(self, members: Sequence[int], total: Array) -> Iterator[Array]:
        for part in self._parts(self._values):
            means = (part + total) / (len(members) + 1)
            is_binary = means.shape[2] == 2  # as argmax, which takes the first of equals
            chosen = means[..., 1] > means[..., 0] if is_binary else means.argmax(axis=2)
            yield self._finish((chosen == self._labels) @ self._weights)


class Part:
    """The bounds of some columns of combined predictions."""

    def __init__(self, bounds: Bounds, columns: slice) -> None:
        self._bounds, self._columns = bounds, columns

    def of(self, members: Sequence[int], total: Array) -> Interval:
        return self._bounds.of(members, total[:, self._columns])


class WeightedSum:
    """The sum of several scores with weights that are not negative."""

    def __init__(self, parts: Sequence[Bounds], weights: Sequence[float]) -> None:
        self._parts, self._weights = parts, weights

    def of(self, members: Sequence[int], total: Array) -> Interval:
        sides = zip(*(part.of(members, total) for part in self._parts), strict=True)
        low, high = (
            sum((w * s for w, s in zip(self._weights, side, strict=True)), np.zeros(1))
            for side in sides
        )
        rounding = ROUNDING * (1 + np.abs(low))
        return low - rounding, high + rounding


def _of_parts(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    """A score of combined predictions: of one of its parts, or of all together."""

    def part(of: Any, index: int) -> Bounds | None:
        widths = [Predictions.n_columns for Predictions in truth.Predictions_list]
        start = sum(widths[:index])
        columns = slice(start, start + widths[index])
        bounds = bounds_for(of, truth.predictions_list[index], values[:, :, columns])
        return None if bounds is None else Part(bounds, columns)

    if not hasattr(truth, "predictions_list"):
        return None
    if type(score_type) is known.MakeCombined:
        return part(score_type.score_type, score_type.index)
    parts = [part(of, index) for index, of in enumerate(score_type.score_types)]
    if min(score_type.weights) < 0 or len(score_type.weights) != len(parts):
        return None
    found = [bounds for bounds in parts if bounds is not None]
    return WeightedSum(found, score_type.weights) if len(found) == len(parts) else None


def _squared(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    y = _numbers(truth, values)
    if y is None:
        return None
    residuals, spread = values - y, 1.0
    if type(score_type) is known.RelativeRMSE:
        if not y.all():
            return None
        residuals /= y
    elif type(score_type) is known.NormalizedRMSE:
        spread = float(np.std(y))
    return SquaredErrors(residuals, lambda mean: np.sqrt(mean) / spread) if spread else None


def _absolute(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    y = _numbers(truth, values)
    return None if y is None or not y.all() else AbsoluteErrors((values - y) / y)


def _brier(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    labels = _labels(truth, values)
    if labels is None or values.shape[2] != 2:
        return None
    return SquaredErrors(values[:, :, 1] - labels, lambda mean: mean)


def _log_loss(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    labels = _labels(truth, values)
    # Where rows are no distribution, versions of scikit-learn differ.
    if labels is None or values.min() < 1e-16 or not np.allclose(values.sum(axis=2), 1, atol=1e-12):
        return None
    return LogLoss(values[:, np.arange(len(labels)), labels])


def _roc_auc(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    labels = _labels(truth, values)
    if labels is None or values.shape[2] != 2 or labels.min() == labels.max():
        return None
    return RocAuc(values[:, :, 1], labels == 1)


def _hits(score_type: Any, truth: Any, values: Array) -> Bounds | None:
    labels = _labels(truth, values)
    if labels is None:
        return None
    counts = np.bincount(labels, minlength=values.shape[2])
    kind, n_present = type(score_type), int((counts > 0).sum())
    if kind in (known.Accuracy, known.ClassificationError):
        shares = np.full(len(labels), 1 / len(labels))
        is_error = kind is known.ClassificationError
        return Hits(values, labels, shares, (lambda s: 1 - s) if is_error else (lambda s: s))
    recalls = 1 / (counts[labels] * n_present)
    if kind is known.MacroAveragedRecall:  # it counts labels that are predicted only
        return Hits(values, labels, recalls, lambda s: s) if n_present == len(counts) else None
    if not score_type.adjusted:
        return Hits(values, labels, recalls, lambda s: s)
    chance = 1 / n_present
    return (
        Hits(values, labels, recalls, lambda s: (s - chance) / (1 - chance)) if chance < 1 else None
    )


def _numbers(truth: Any, values: Array) -> Array | None:
    """True numbers, one for each of a candidate."""
    y = np.asarray(truth.y_pred, dtype=float)
    return y if y.shape == values.shape[1:] and np.isfinite(y).all() else None


def _labels(truth: Any, values: Array) -> Array | None:
    """The index of the one true label of each row."""
    y = truth.y_pred
    is_one_label = values.ndim == 3 and y.shape == values.shape[1:] and (y.max(axis=1) == 1).all()
    return y.argmax(axis=1) if is_one_label else None


def _share_above(positive: Array, negative: Array) -> float:
    """The share of pairs with the positive above, equal ones counted half; both are sorted."""
    below = np.searchsorted(negative, positive, "left").sum()
    not_above = np.searchsorted(negative, positive, "right").sum()
    return float(below + not_above) / (2 * len(positive) * len(negative))


_KNOWN: dict[type, Callable[[Any, Any, Array], Bounds | None]] = {
    known.RMSE: _squared,
    known.NormalizedRMSE: _squared,
    known.RelativeRMSE: _squared,
    known.MARE: _absolute,
    known.BrierScore: _brier,
    known.NegativeLogLikelihood: _log_loss,
    known.ROCAUC: _roc_auc,
    known.Accuracy: _hits,
    known.ClassificationError: _hits,
    known.BalancedAccuracy: _hits,
    known.MacroAveragedRecall: _hits,
}
