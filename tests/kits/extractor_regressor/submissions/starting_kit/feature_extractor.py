"""The temperature, and a flag for weekends."""

import numpy as np


class FeatureExtractor:
    def fit(self, X_df, y_array):
        pass

    def transform(self, X_df):
        return np.column_stack([X_df["temperature"], X_df["date"].dt.dayofweek >= 5])
