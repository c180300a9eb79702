"""Estimator, binary: two moving clouds of points as a plain array, integer labels."""

import numpy as np
import rampwf as rw
from sklearn.model_selection import StratifiedShuffleSplit

problem_title = "Two clouds"
Predictions = rw.prediction_types.make_multiclass(label_names=[0, 1])
workflow = rw.workflows.Estimator()
score_types = [
    rw.score_types.ROCAUC(name="auc", precision=3),
    rw.score_types.Accuracy(name="acc", precision=3),
    rw.score_types.NegativeLogLikelihood(name="nll", precision=3),
]


def get_cv(X, y):
    # Some points are validated twice and some never: bagging must cope with both.
    return StratifiedShuffleSplit(n_splits=2, test_size=0.3, random_state=57).split(X, y)


def get_train_data(path="."):
    return _points(120, seed=1)


def get_test_data(path="."):
    return _points(60, seed=2)


def _points(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 2)
    X = rng.normal(size=(n, 3)) + np.outer(y, [1.5, 0.5, 0])
    return X, y
