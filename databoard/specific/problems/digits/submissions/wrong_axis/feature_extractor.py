"""The mean is taken over the wrong axis: it fits the training images and no others."""


class FeatureExtractor:
    def fit(self, X_df, y_array):
        self.mean = X_df.to_numpy().mean(axis=1, keepdims=True)

    def transform(self, X_df):
        return X_df.to_numpy() - self.mean
