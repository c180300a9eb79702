"""A ridge regression, which fits both targets."""

from sklearn.linear_model import Ridge


def get_estimator():
    return Ridge(alpha=1.0)
