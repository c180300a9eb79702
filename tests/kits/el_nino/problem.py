"""ElNino: a sequence of small maps (xarray); predict the mean three months ahead."""

import numpy as np
import pandas as pd
import rampwf as rw
import xarray as xr

problem_title = "The sea in three months"
Predictions = rw.prediction_types.make_regression()
workflow = rw.workflows.ElNino(check_sizes=[24], check_indexs=[12])
score_types = [rw.score_types.RMSE(name="rmse", precision=3)]

_n_burn_in = 12
_n_ahead = 3


def get_cv(X, y):
    cv = rw.cvs.TimeSeries(n_cv=3, cv_block_size=0.5, period=12, unit="month", unit_2="year")
    return cv.get_cv(X, y)


def get_train_data(path="."):
    return _sea(144, seed=1, start="1980-01-01")


def get_test_data(path="."):
    return _sea(60, seed=2, start="2000-01-01")


def _sea(n, seed, start):
    """X is n + 12 months long, the first 12 to look back on; y has n values."""
    rng = np.random.default_rng(seed)
    n_times = _n_burn_in + n
    month = np.arange(n_times + _n_ahead)
    season = np.sin(2 * np.pi * month / 12)
    drift = np.cumsum(rng.normal(scale=0.2, size=len(month)))
    maps = (season + drift)[:, None, None] + rng.normal(scale=0.3, size=(len(month), 3, 4))
    X = xr.Dataset(
        {"temperature": (("time", "lat", "lon"), maps[:n_times])},
        coords={
            "time": pd.date_range(start, periods=n_times, freq="MS"),
            "lat": [-5.0, 0.0, 5.0],
            "lon": [190.0, 205.0, 220.0, 235.0],
        },
        attrs={"n_burn_in": _n_burn_in},
    )
    return X, maps.mean(axis=(1, 2))[_n_burn_in + _n_ahead :]
