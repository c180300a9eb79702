"""The box: what it costs, against the same submissions without it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from measure import Row, arguments, interleave, report
from training import FOREST, IRIS_SIZED, PIPELINE, TITANIC_SIZED, Places

MOST = 0.060  # seconds per submission


def one(places: Places, rounds: int) -> list[Row]:
    """A submission of 8 quick folds on two slots, in a worker that is already running."""
    (boxed,) = places.sites(TITANIC_SIZED, PIPELINE, ["SQLite"]).values()
    (bare,) = places.sites(TITANIC_SIZED, PIPELINE, ["SQLite"]).values()
    with boxed.running_worker(), bare.running_worker("--unsafe-no-sandbox"):
        medians = interleave(rounds, boxed.claimed_to_scored, bare.claimed_to_scored)
    return [Row("8 quick folds, claim to scored", *medians, MOST, is_difference=True)]


def many(places: Places, number: int, rounds: int) -> list[Row]:
    """Many quick submissions on two slots, with the start of the worker; per submission."""
    (site,) = places.sites(IRIS_SIZED, FOREST, ["SQLite"]).values()
    boxed, bare = interleave(
        rounds, partial(site.drained, number), partial(site.drained, number, is_boxed=False)
    )
    what = f"{number} iris-sized, per submission"
    return [Row(what, boxed / number, bare / number, MOST, is_difference=True)]


def main() -> None:
    quick = arguments(__doc__ or "").quick
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        places = Places(folder, None, opened)
        rows = one(places, 7 if quick else 25)
        rows += many(places, *((20, 1) if quick else (50, 5)))
    report(rows)


if __name__ == "__main__":
    main()
