"""ImageClassifier: X is a folder and the file names in it; the images are real PNG files."""

import os

import pandas as pd
import rampwf as rw
from sklearn.model_selection import StratifiedKFold

problem_title = "Stripes"
Predictions = rw.prediction_types.make_multiclass(label_names=[0, 1])
workflow = rw.workflows.ImageClassifier(test_batch_size=4, chunk_size=8, n_jobs=1, n_classes=2)
score_types = [
    rw.score_types.Accuracy(name="acc", precision=3),
    rw.score_types.NegativeLogLikelihood(name="nll", precision=3),
]


def get_cv(X, y):
    _, ids = X
    return StratifiedKFold(n_splits=2, shuffle=True, random_state=57).split(ids, y)


def get_train_data(path="."):
    return _read(path, "train.csv")


def get_test_data(path="."):
    return _read(path, "test.csv")


def _read(path, f_name):
    data = pd.read_csv(os.path.join(path, "data", f_name))
    ids = data["id"].to_numpy(dtype=object)
    return (os.path.join(path, "data", "imgs"), ids), data["is_upright"].to_numpy()
