"""The size of a petal says more than its length: add areas, then draw lines."""

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def add_areas(X):
    return X.assign(
        sepal_area=X["sepal_length"] * X["sepal_width"],
        petal_area=X["petal_length"] * X["petal_width"],
    )


def get_estimator():
    return make_pipeline(FunctionTransformer(add_areas), LinearDiscriminantAnalysis())
