"""Start simple: a logistic regression on the sepals."""

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def get_estimator():
    sepals = make_column_transformer((StandardScaler(), ["sepal_length", "sepal_width"]))
    return make_pipeline(sepals, LogisticRegression())
