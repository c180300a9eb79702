"""Ask the five most similar images, the closest one loudest."""

from sklearn.neighbors import KNeighborsClassifier


class Classifier:
    def __init__(self):
        self.model = KNeighborsClassifier(n_neighbors=5, weights="distance")

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
