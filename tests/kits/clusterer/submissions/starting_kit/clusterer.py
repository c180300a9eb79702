"""Sort the points by angle, and cut where the gaps are wide."""

import numpy as np


class Clusterer:
    def fit(self, X_array, y_array):
        events = np.unique(y_array[:, 0])
        self.n_tracks = round(
            np.mean([len(np.unique(y_array[y_array[:, 0] == event, 1])) for event in events])
        )

    def predict_single_event(self, X_event):
        angle = np.arctan2(X_event[:, 1], X_event[:, 0])
        order = np.argsort(angle)
        gap = np.diff(angle[order], prepend=angle[order[-1]] - 2 * np.pi)
        starts = np.zeros(len(angle), dtype=int)
        starts[np.argsort(gap)[-self.n_tracks :]] = 1
        tracks = np.empty(len(angle), dtype=int)
        tracks[order] = np.cumsum(starts) % self.n_tracks
        return tracks
