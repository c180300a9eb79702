"""Digits: learn to read handwriting from 600 small images."""

import rampwf as rw
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

problem_title = "Digits: learn to read from 600 examples"
Predictions = rw.prediction_types.make_multiclass(label_names=list(range(10)))
workflow = rw.workflows.FeatureExtractorClassifier()
score_types = [
    rw.score_types.Accuracy(name="acc", precision=3),
    rw.score_types.NegativeLogLikelihood(name="nll", precision=3),
    # The share of the ten digits that are read with an F1 above 0.95.
    rw.score_types.F1Above(name="f1_95", threshold=0.95, precision=1),
]


def get_cv(X, y):
    return StratifiedKFold(n_splits=3, shuffle=True, random_state=57).split(X, y)


def get_train_data(path="."):
    X_train, _, y_train, _ = _split()
    return X_train, y_train


def get_test_data(path="."):
    _, X_test, _, y_test = _split()
    return X_test, y_test


def _split():
    X, y = load_digits(return_X_y=True, as_frame=True)
    return train_test_split(X, y.to_numpy(), train_size=600, stratify=y, random_state=57)
