"""Upright stripes differ from column to column, lying ones from row to row."""

import numpy as np


class BatchClassifier:
    def fit(self, gen_builder):
        batches, _, n_train, _ = gen_builder.get_train_valid_generators(batch_size=4, valid_ratio=0)
        features, labels = [], []
        while sum(map(len, labels)) < n_train:
            X, y = next(batches)
            features.append(self._features(X))
            labels.append(y.argmax(axis=1))
        features, labels = np.concatenate(features), np.concatenate(labels)
        self.centres = np.array([features[labels == label].mean(axis=0) for label in (0, 1)])

    def predict_proba(self, X):
        distances = np.linalg.norm(self._features(X)[:, None] - self.centres, axis=2)
        weights = np.exp(-20 * distances)
        return weights / weights.sum(axis=1, keepdims=True)

    def _features(self, X):
        images = X[:, 0]
        return np.column_stack([images.mean(axis=a).std(axis=1) for a in (1, 2)])
