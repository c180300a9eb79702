"""FeatureExtractorClassifier: a data frame with words and numbers, three string labels."""

import numpy as np
import pandas as pd
import rampwf as rw
from sklearn.model_selection import StratifiedKFold

problem_title = "What to wear"
Predictions = rw.prediction_types.make_multiclass(label_names=["coat", "jacket", "shirt"])
workflow = rw.workflows.FeatureExtractorClassifier()
score_types = [
    rw.score_types.ClassificationError(name="error", precision=3),
    rw.score_types.NegativeLogLikelihood(name="nll", precision=3),
]


def get_cv(X, y):
    return StratifiedKFold(n_splits=3, shuffle=True, random_state=57).split(X, y)


def get_train_data(path="."):
    return _days(120, seed=1)


def get_test_data(path="."):
    return _days(60, seed=2)


def _days(n, seed):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "sky": rng.choice(["sun", "cloud", "rain"], size=n),
            "temperature": rng.uniform(0, 30, size=n),
        }
    )
    felt = X["temperature"] - 5 * (X["sky"] == "rain") + rng.normal(scale=2, size=n)
    return X, np.array(["coat", "jacket", "shirt"])[np.digitize(felt, [9, 17])]
