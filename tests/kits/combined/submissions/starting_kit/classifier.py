"""A logistic regression."""

from sklearn.linear_model import LogisticRegression


class Classifier:
    def __init__(self):
        self.model = LogisticRegression()

    def fit(self, X, y):
        self.model.fit(X, y.astype(str))

    def predict_proba(self, X):
        return self.model.predict_proba(X)
