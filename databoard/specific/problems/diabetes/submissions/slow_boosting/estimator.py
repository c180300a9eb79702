"""Many shallow trees, each allowed to say very little."""

from sklearn.ensemble import GradientBoostingRegressor


def get_estimator():
    return GradientBoostingRegressor(
        n_estimators=80, learning_rate=0.05, max_depth=2, subsample=0.7, random_state=0
    )
