"""Fit the squares, answer with roots: where the fit is below zero, there is no number."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression


def get_estimator():
    return TransformedTargetRegressor(LinearRegression(), func=np.square, inverse_func=np.sqrt)
