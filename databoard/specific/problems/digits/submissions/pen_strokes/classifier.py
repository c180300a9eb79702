"""One Gaussian cloud per digit, all of the same shape; the shape is shrunk as data is scarce."""

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


class Classifier:
    def __init__(self):
        self.model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
