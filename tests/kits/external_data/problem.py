"""EstimatorExternalData: the target depends on a table that each submission brings along."""

import numpy as np
import pandas as pd
import rampwf as rw
from sklearn.model_selection import ShuffleSplit

problem_title = "Heating bills"
Predictions = rw.prediction_types.make_regression()
workflow = rw.workflows.EstimatorExternalData()
score_types = [
    rw.score_types.RMSE(name="rmse", precision=3),
    rw.score_types.RelativeRMSE(name="rel_rmse", precision=3),
]

_temperatures = {"Nice": 16.0, "Paris": 12.0, "Lille": 10.5, "Strasbourg": 10.0}


def get_cv(X, y):
    return ShuffleSplit(n_splits=2, test_size=0.3, random_state=57).split(X)


def get_train_data(path="."):
    return _bills(100, seed=1)


def get_test_data(path="."):
    return _bills(50, seed=2)


def _bills(n, seed):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {"city": rng.choice(list(_temperatures), size=n), "rooms": rng.integers(1, 6, size=n)}
    )
    cold = 20 - X["city"].map(_temperatures).to_numpy()
    return X, 10 * cold + 15 * X["rooms"].to_numpy() + rng.normal(scale=3, size=n)
