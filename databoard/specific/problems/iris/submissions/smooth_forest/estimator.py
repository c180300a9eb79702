"""A small forest with broad leaves: never certain, seldom wrong."""

from sklearn.ensemble import RandomForestClassifier


def get_estimator():
    return RandomForestClassifier(n_estimators=40, min_samples_leaf=4, random_state=0)
