"""Look the temperature of each city up in external_data.csv, then fit a plane."""

import os

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def add_temperature(X, climate):
    temperature = X["city"].map(climate.set_index("city")["temperature"])
    return X[["rooms"]].assign(temperature=temperature)


def get_estimator():
    climate = pd.read_csv(os.path.join(os.path.dirname(__file__), "external_data.csv"))
    merge = FunctionTransformer(add_temperature, kw_args={"climate": climate})
    return make_pipeline(merge, LinearRegression())
