"""FeatureExtractorRegressor: a data frame with a date, one number to predict."""

import numpy as np
import pandas as pd
import rampwf as rw
from sklearn.model_selection import ShuffleSplit

problem_title = "Ice cream"
Predictions = rw.prediction_types.make_regression()
workflow = rw.workflows.FeatureExtractorRegressor()
score_types = [
    rw.score_types.RMSE(name="rmse", precision=3),
    rw.score_types.NormalizedRMSE(name="nrmse", precision=3),
]


def get_cv(X, y):
    return ShuffleSplit(n_splits=2, test_size=0.25, random_state=57).split(X)


def get_train_data(path="."):
    return _sales(120, seed=1)


def get_test_data(path="."):
    return _sales(60, seed=2)


def _sales(n, seed):
    rng = np.random.default_rng(seed)
    day = rng.integers(0, 365, size=n)
    X = pd.DataFrame(
        {
            "date": pd.Timestamp("2023-01-01") + pd.to_timedelta(day, unit="D"),
            "temperature": 12 - 9 * np.cos(2 * np.pi * day / 365) + rng.normal(scale=3, size=n),
        }
    )
    weekend = (X["date"].dt.dayofweek >= 5).to_numpy()
    return X, 4 * X["temperature"].to_numpy() + 20 * weekend + rng.normal(scale=5, size=n)
