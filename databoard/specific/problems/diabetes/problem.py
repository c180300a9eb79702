"""Diabetes: predict how far the disease will be one year from now."""

import rampwf as rw
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, train_test_split

problem_title = "Diabetes: one year ahead"
Predictions = rw.prediction_types.make_regression()
workflow = rw.workflows.Estimator()
score_types = [
    rw.score_types.RMSE(name="rmse", precision=2),
    # The error as a share of the spread: who always answers the mean gets 1.
    rw.score_types.NormalizedRMSE(name="nrmse", precision=3),
    # The error as a share of the truth: mild cases count as much as severe ones.
    rw.score_types.MARE(name="mare", precision=3),
]

_columns = [
    "age",
    "sex",
    "body_mass",
    "blood_pressure",
    "cholesterol",
    "ldl",
    "hdl",
    "cholesterol_ratio",
    "log_triglycerides",
    "glucose",
]


def get_cv(X, y):
    return KFold(n_splits=4, shuffle=True, random_state=57).split(X)


def get_train_data(path="."):
    X_train, _, y_train, _ = _split()
    return X_train, y_train


def get_test_data(path="."):
    _, X_test, _, y_test = _split()
    return X_test, y_test


def _split():
    diabetes = load_diabetes(as_frame=True, scaled=False)
    X = diabetes.data.set_axis(_columns, axis=1)
    return train_test_split(X, diabetes.target.to_numpy(), test_size=0.3, random_state=57)
