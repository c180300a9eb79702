"""The process that has the labels: it gives each fold its training labels, and scores.

It runs the kit's code and never a submission's; what comes back from a submission is read as
plain arrays. Scores are ramp-workflow's own, fold by fold and bagged.
"""

import contextlib
import math
import os
import pickle
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from databoard.errors import DataboardError
from databoard.folds import digest_of
from databoard.kits import Data, load_data, load_problem
from databoard.predictions import BadPredictions, read_predictions
from databoard.training.channel import Channel, ChannelClosed, Message
from databoard.training.record import digest_of as digest_of_files

MAX_PARTS = 100  # of features that are a tuple or a list


def serve(channel: Channel) -> None:
    """Open one kit, then answer `labels`, `score`, `again`, `bag`, `data`, `drop`, one by one."""
    request, _ = channel.receive()
    number = request["id"]
    # Beside the loading. What loads a kit ends with os._exit, which waits for no thread.
    hashing = ThreadPoolExecutor(1).submit(digest_of_files, Path(request["data"]) / "data")
    try:
        scorer = Scorer(Path(request["kit"]), Path(request["data"]), Path(request["features"]))
    except DataboardError as error:
        channel.send({"id": number, "error": error.message})
        return
    channel.send(
        {
            "id": number,
            "n_folds": len(scorer.data.folds),
            "folds_digest": digest_of(scorer.data.folds),
            "folders": scorer.folders(),
        }
    )
    while True:
        request, _ = channel.receive()
        answer: Message = {"id": request["id"]}
        files: list[int] = []
        try:
            match request["do"]:
                case "labels":
                    files = [scorer.labels(request["fold"])]
                case "score":
                    answer["scores"] = scorer.score(
                        request["job"], request["fold"], Path(request["from"]), Path(request["to"])
                    )
                case "bag":
                    answer |= scorer.bag(request["job"])
                case "data":
                    hashing.add_done_callback(partial(_tell_digest, channel, request["id"]))
                    continue
                case "again":
                    answer["scores"] = scorer.again(request["job"], Path(request["from"]))
                case "drop":
                    scorer.predictions.pop(request["job"], None)
        except BadPredictions as error:
            answer["error"] = error.message
        channel.send(answer, files)
        for file in files:
            os.close(file)


def _tell_digest(channel: Channel, number: int, hashing: Future[str | None]) -> None:
    """Answer once it is known, while others are served; what cannot be read has no digest."""
    with contextlib.suppress(ChannelClosed):
        digest = None if hashing.exception() else hashing.result()
        channel.send({"id": number, "data": digest})


class Scorer:
    """A kit with its data, and the predictions of the submissions that are under way."""

    def __init__(self, kit: Path, data_path: Path, features: Path) -> None:
        os.chdir(kit)
        self.data_path = data_path
        self.problem = load_problem(kit)
        self.data: Data = load_data(self.problem, data_path, kit.name)
        self.predictions: dict[str, dict[int, tuple[Any, Any, list[Any]]]] = {}
        with features.open("wb") as file:
            pickle.dump((self.data.X_train, self.data.X_test), file, protocol=5)

    def folders(self) -> list[str]:
        """The folders of the kit's data that the features name, such as one of images."""
        texts: set[str] = set()
        for features in (self.data.X_train, self.data.X_test):
            parts = features if isinstance(features, list | tuple) else [features]
            texts.update(str(part) for part in parts[:MAX_PARTS] if isinstance(part, str | Path))
        data = (self.data_path / "data").resolve()
        return sorted(
            text
            for text in texts
            if os.path.isabs(text) and os.path.isdir(text) and data in Path(text).resolve().parents
        )

    def labels(self, fold: int) -> int:
        """An open, nameless file with what a fold may know: (y, train_is, valid_is).

        Every label outside of the training rows is overwritten with the first training label,
        so that the array keeps its type, its shape and a legal value in each place.
        """
        train_is, valid_is = self.data.folds[fold]
        y = self.data.y_train[[train_is[0]] * len(self.data.y_train)]
        y[train_is] = self.data.y_train[train_is]
        with tempfile.TemporaryFile() as file:
            pickle.dump((y, train_is, valid_is), file, protocol=5)
            file.seek(0)
            return os.dup(file.fileno())

    def score(self, job: str, fold: int, source: Path, target: Path) -> list[list[float | None]]:
        """Read a fold's predictions from `source`, score them, keep them in `target`.

        Returns per score type [train, valid, test]. Raises BadPredictions.
        """
        import numpy as np

        Predictions, data = self.problem.Predictions, self.data
        train_is, valid_is = data.folds[fold]
        y_pred = read_predictions(source / "train.npy", len(data.y_train), "training")
        steps: list[tuple[Any, Any, Any]]
        steps = [(y_pred, data.y_train, train_is), (y_pred, data.y_train, valid_is)]
        if data.y_test is not None:
            y_test_pred = read_predictions(source / "test.npy", len(data.y_test), "test")
            steps.append((y_test_pred, data.y_test, None))
        try:
            pairs = [
                (
                    Predictions(y_true=y_true, fold_is=rows),
                    Predictions(y_pred=y_pred, fold_is=rows),
                )
                for y_pred, y_true, rows in steps
            ]
            rows = [
                [_number(score_type.score_function(*pair)) for pair in pairs]
                for score_type in self.problem.score_types
            ]
        except Exception as error:
            raise BadPredictions(f"The predictions cannot be scored: {error}") from error
        target.mkdir(parents=True, exist_ok=True)
        np.save(target / f"fold_{fold}_valid.npy", y_pred[valid_is])
        if data.y_test is not None:
            np.save(target / f"fold_{fold}_test.npy", y_test_pred)
        test = pairs[2][1] if len(pairs) == 3 else None
        self.predictions.setdefault(job, {})[fold] = (pairs[1][1], test, rows)
        return [row + [None] * (3 - len(row)) for row in rows]

    def again(self, job: str, source: Path) -> list[list[list[float | None]]]:
        """Score what `score` has kept in `source`; per fold and score type [train, valid, test].

        What a submission predicted for its training rows is not kept: train is None. Raises
        BadPredictions.
        """
        Predictions, data = self.problem.Predictions, self.data
        folds: dict[int, tuple[Any, Any, list[Any]]] = {}
        for fold, (_, valid_is) in enumerate(data.folds):
            path = source / f"fold_{fold}_valid.npy"
            y_pred = read_predictions(path, len(valid_is), "stored validation")
            pairs = [(Predictions(y_true=data.y_train, fold_is=valid_is), y_pred)]
            if data.y_test is not None:
                path = source / f"fold_{fold}_test.npy"
                y_pred = read_predictions(path, len(data.y_test), "stored test")
                pairs.append((Predictions(y_true=data.y_test), y_pred))
            sides = [(y_true, Predictions(y_pred=y_pred)) for y_true, y_pred in pairs]
            try:
                rows = [
                    [None, *(_number(score_type.score_function(*side)) for side in sides)]
                    for score_type in self.problem.score_types
                ]
            except Exception as error:
                raise BadPredictions(f"The predictions cannot be scored: {error}") from error
            folds[fold] = (sides[0][1], sides[1][1] if len(sides) == 2 else None, rows)
        self.predictions[job] = folds
        return [[row + [None] * (3 - len(row)) for row in rows] for _, _, rows in folds.values()]

    def bag(self, job: str) -> Message:
        """Scores over all folds of a job, whose predictions are dropped.

        Returns `overall`, per score type the columns of `submission_score`, and `prefixes`, per
        score type and fold [valid, test]: the bagged scores of the first 1 to n folds. Means
        and population deviations are over the unrounded scores, as in ramp-workflow.
        Raises BadPredictions.
        """
        import numpy as np
        from rampwf.utils.combine import get_score_cv_bags

        Predictions, data = self.problem.Predictions, self.data
        folds = [fold for _, fold in sorted(self.predictions.pop(job).items())]
        sides: list[tuple[Any, Any, Any]]
        sides = [([valid for valid, _, _ in folds], data.y_train, [v for _, v in data.folds])]
        if data.y_test is not None:
            sides.append(([test for _, test, _ in folds], data.y_test, None))
        overall, prefixes = [], []
        for index, score_type in enumerate(self.problem.score_types):
            bags: list[list[float | None]] = []
            for predictions, y_true, rows in sides:
                try:
                    _, scores = get_score_cv_bags(
                        score_type, predictions, Predictions(y_true=y_true), test_is_list=rows
                    )
                except Exception as error:
                    raise BadPredictions(f"The predictions cannot be bagged: {error}") from error
                bags.append([_number(score) for score in scores])
            if len(bags) == 1:
                bags.append([None] * len(folds))
            of_folds = np.array([rows[index] for _, _, rows in folds], dtype=float)
            means, deviations = of_folds.mean(axis=0), of_folds.std(axis=0)
            names = ("train", "valid", "test")
            overall.append(
                {"valid_bag": bags[0][-1], "test_bag": bags[1][-1]}
                | {f"{name}_{kind}": None for name in names for kind in ("mean", "std")}
                | {f"{name}_mean": _number(x) for name, x in zip(names, means, strict=False)}
                | {f"{name}_std": _number(x) for name, x in zip(names, deviations, strict=False)}
            )
            prefixes.append([list(pair) for pair in zip(*bags, strict=True)])
        return {"overall": overall, "prefixes": prefixes}


def _number(value: Any) -> float | None:
    """A plain float; None where the score is undefined."""
    number = float(value)
    return number if math.isfinite(number) else None
