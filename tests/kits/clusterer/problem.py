"""Clusterer: points of many small events; tell which of them belong together."""

import numpy as np
import rampwf as rw
from sklearn.model_selection import ShuffleSplit

problem_title = "Tracks of particles"
Predictions = rw.prediction_types.make_clustering()
workflow = rw.workflows.Clusterer()
score_types = [rw.score_types.ClusteringEfficiency(name="efficiency", precision=3)]


def get_cv(X, y):
    # rw.cvs.Clustering needs np.in1d, which numpy 2.4 no longer has.
    events = np.unique(y[:, 0])
    cv = ShuffleSplit(n_splits=2, test_size=0.4, random_state=57)
    for train_is, valid_is in cv.split(events):
        yield tuple(np.flatnonzero(np.isin(y[:, 0], events[i])) for i in (train_is, valid_is))


def get_train_data(path="."):
    return _events(range(15), seed=1)


def get_test_data(path="."):
    return _events(range(100, 107), seed=2)


def _events(event_ids, seed):
    """X holds event, x and y of each point; y holds event and track."""
    rng = np.random.default_rng(seed)
    rows = []
    for event_id in event_ids:
        for track, direction in enumerate(rng.uniform(0, 2 * np.pi, size=3)):
            for radius in range(1, 5):
                angle = direction + rng.normal(scale=0.2)
                rows.append([event_id, radius * np.cos(angle), radius * np.sin(angle), track])
    rows = rng.permutation(np.array(rows))
    return rows[:, :3], rows[:, [0, 3]].astype(int)
