"""Iris: name the species of a flower, and say how sure you are."""

import rampwf as rw
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

problem_title = "Iris: name the flower, and know how sure you are"
Predictions = rw.prediction_types.make_multiclass(label_names=["setosa", "versicolor", "virginica"])
workflow = rw.workflows.Estimator()
score_types = [
    # The official score: a wrong answer given with confidence costs dearly.
    rw.score_types.NegativeLogLikelihood(name="nll", precision=3),
    rw.score_types.Accuracy(name="acc", precision=3),
    # The share of species with an F1 above 0.9, that is, species that are never a puzzle.
    rw.score_types.F1Above(name="f1_90", threshold=0.9, precision=2),
]


def get_cv(X, y):
    return StratifiedShuffleSplit(n_splits=4, test_size=0.25, random_state=57).split(X, y)


def get_train_data(path="."):
    X_train, _, y_train, _ = _split()
    return X_train, y_train


def get_test_data(path="."):
    _, X_test, _, y_test = _split()
    return X_test, y_test


def _split():
    iris = load_iris(as_frame=True)
    X = iris.data.set_axis(["sepal_length", "sepal_width", "petal_length", "petal_width"], axis=1)
    y = iris.target_names[iris.target]
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=57)
