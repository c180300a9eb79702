"""All ten measurements on one scale, and a penalty that keeps the weights small."""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def get_estimator():
    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 3, 20)))
