"""Estimator, two targets at once: y is of shape (n, 2)."""

import numpy as np
import rampwf as rw
from sklearn.model_selection import KFold

problem_title = "Two targets"
Predictions = rw.prediction_types.make_regression(label_names=["north", "east"])
workflow = rw.workflows.Estimator()
score_types = [rw.score_types.RMSE(name="rmse", precision=3)]


def get_cv(X, y):
    return KFold(n_splits=3, shuffle=True, random_state=57).split(X)


def get_train_data(path="."):
    return _table(90, seed=1)


def get_test_data(path="."):
    return _table(45, seed=2)


def _table(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    weights = np.array([[1.0, 0.0], [-2.0, 1.0], [0.0, 3.0], [0.5, 0.5]])
    return X, X @ weights + 0.3 * rng.normal(size=(n, 2))
