"""Start simple: how much ink is in each row and in each column."""

import numpy as np


class FeatureExtractor:
    def fit(self, X_df, y_array):
        pass

    def transform(self, X_df):
        images = X_df.to_numpy().reshape(-1, 8, 8) / 16
        return np.hstack([images.mean(axis=1), images.mean(axis=2)])
