"""DrugSpectra: a class and a number per row, in one y of objects of shape (n, 2)."""

import numpy as np
import pandas as pd
import rampwf as rw
from sklearn.model_selection import StratifiedShuffleSplit

problem_title = "Which substance, and how much of it"
_substances = ["A", "B", "Q"]
_Substance = rw.prediction_types.make_multiclass(label_names=_substances)
_Concentration = rw.prediction_types.make_regression(label_names=["concentration"])
Predictions = rw.prediction_types.make_combined([_Substance, _Concentration])
workflow = rw.workflows.DrugSpectra()

_error = rw.score_types.ClassificationError(name="err", precision=3)
_mare = rw.score_types.MARE(name="mare", precision=3)
score_types = [
    rw.score_types.Combined(
        name="combined", score_types=[_error, _mare], weights=[2 / 3, 1 / 3], precision=3
    ),
    rw.score_types.MakeCombined(score_type=_error, index=0),
    rw.score_types.MakeCombined(score_type=_mare, index=1),
]


def get_cv(X, y):
    # Stratified: the workflow needs every substance in every training fold.
    cv = StratifiedShuffleSplit(n_splits=3, test_size=0.3, random_state=57)
    return cv.split(X, y[:, 0].astype(str))


def get_train_data(path="."):
    return _spectra(120, seed=1)


def get_test_data(path="."):
    return _spectra(60, seed=2)


def _spectra(n, seed):
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.arange(n) % len(_substances))
    concentration = rng.uniform(1, 10, size=n)
    waves = np.arange(12)
    peak = np.exp(-((waves - np.array([3, 5, 8])[kind][:, None]) ** 2) / 4)
    intensity = np.array([1.0, 0.6, 1.5])[kind] * concentration
    spectra = peak * intensity[:, None] + 0.9 * rng.normal(size=(n, 12))
    X = pd.DataFrame(spectra, columns=[f"wave_{wave}" for wave in waves])
    y = np.empty((n, 2), dtype=object)
    y[:, 0] = np.array(_substances)[kind]
    y[:, 1] = concentration
    return X, y
