"""Estimator, from files: real CSV files with gaps in them, read through `path`."""

import os

import pandas as pd
import rampwf as rw
from sklearn.model_selection import StratifiedKFold

problem_title = "Fruit in a basket"
Predictions = rw.prediction_types.make_multiclass(label_names=["apple", "pear", "plum"])
workflow = rw.workflows.Estimator()
score_types = [
    rw.score_types.Accuracy(name="acc", precision=3),
    rw.score_types.NegativeLogLikelihood(name="nll", precision=3),
]


def get_cv(X, y):
    return StratifiedKFold(n_splits=3, shuffle=True, random_state=57).split(X, y)


def get_train_data(path="."):
    return _read(path, "train.csv")


def get_test_data(path="."):
    return _read(path, "test.csv")


def _read(path, f_name):
    data = pd.read_csv(os.path.join(path, "data", f_name))
    return data.drop(columns=["id", "fruit"]), data["fruit"].to_numpy(dtype=object)
