"""A misspelt column: nothing is wrong until `fit` looks for it."""

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def get_estimator():
    petals = make_column_transformer((StandardScaler(), ["petal_lenght", "petal_width"]))
    return make_pipeline(petals, LogisticRegression())
