"""The process that blends an event: it has the kit, its labels, and no submission's code.

`Request` goes to it as one line of JSON. It writes a line for each fold that is done, and the
answer. It ends when the one who asked is gone.
"""

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from databoard import folds, kits
from databoard.config import ROOT
from databoard.errors import DataboardError, KitError
from databoard.predictions import BadPredictions, read_predictions

Blend = list[int]  # ids, in the order in which they were chosen


@dataclass(frozen=True)
class Candidate:
    """A submission: where its predictions are, and its official score on each fold."""

    id: int
    folder: str
    scores: list[float | None]


@dataclass(frozen=True)
class Request:
    """What to blend. Of candidates that improve a blend alike, the first is taken.

    `known` are the blends (of ids, per fold) of all candidates but the `new` ones.
    """

    kit: str
    data: str
    folds_digest: str
    score: str
    min_improvement: float
    candidates: list[Candidate]
    known: list[Blend] = field(default_factory=list)
    new: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Blended:
    """The blend of each fold (ids), and two bagged scores: of the blends, of each fold's best.

    `left_out` are the candidates that could not take part, with the reason; without any other
    the scores are None, as undefined ones are.
    """

    blends: list[Blend]
    left_out: list[tuple[int, str]]
    valid_combined: float | None = None
    test_combined: float | None = None
    valid_foldwise_best: float | None = None
    test_foldwise_best: float | None = None


class Damaged(Exception):
    """The predictions of a candidate cannot be used."""

    def __init__(self, candidate: Candidate, reason: str) -> None:
        super().__init__(candidate.id, reason)
        self.candidate, self.reason = candidate, reason


def ask(request: Request, python: Path, threads: str, report: Callable[[int], None]) -> Blended:
    """Have a process of `python` blend; `report` gets each fold that is done. Raises KitError."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": threads,
    }
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [str(python), "-m", "databoard.blender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
        assert process.stdin and process.stdout
        try:
            with contextlib.suppress(BrokenPipeError):  # then it says why on stderr
                print(json.dumps(asdict(request)), file=process.stdin, flush=True)
            for line in process.stdout:
                message = json.loads(line)
                if "fold" in message:
                    report(message["fold"])
                elif "error" in message:
                    raise KitError(message["error"], message["hint"])
                else:
                    left_out = [(id_, reason) for id_, reason in message.pop("left_out")]
                    return Blended(left_out=left_out, **message)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        errors.seek(0)
        last = (errors.read().strip().splitlines() or ["no output"])[-1]
    raise KitError(f"The kit {Path(request.kit).name} ended its process (exit {code}): {last}")


def answer(request: Request, report: Callable[[int], None]) -> Blended:
    """Blend all that can be. Raises KitError."""
    kit = Path(request.kit)
    os.chdir(kit)
    problem = kits.load_problem(kit)
    data = kits.load_data(problem, Path(request.data), kit.name)
    official = [one for one in problem.score_types if str(one.name) == request.score]
    if folds.digest_of(data.folds) != request.folds_digest or not official:
        raise KitError(
            f"The folds or scores of the kit {kit.name} are not those of the event any more.",
            f"Take them over: inv add-event {kit.name} EVENT --force",
        )
    candidates, left_out = list(request.candidates), []
    while candidates:
        try:
            blended = Blender(problem, data, candidates, official[0]).blend(request, report)
        except Damaged as error:
            left_out.append((error.candidate.id, error.reason))
            candidates.remove(error.candidate)
            if request.min_improvement > 0:
                request = replace(request, known=[])
        except DataboardError:
            raise
        except Exception as error:
            raise KitError(
                f"The kit {kit.name} cannot combine or score predictions: "
                f"{type(error).__name__}: {error}"
            ) from error
        else:
            return Blended(left_out=left_out, **blended)
    return Blended([], left_out)


class Blender:
    """A kit, its data, and candidates none of which is known to be damaged."""

    def __init__(
        self,
        problem: ModuleType,
        data: kits.Data,
        candidates: Sequence[Candidate],
        score_type: Any,
    ) -> None:
        self._problem, self._data, self._candidates = problem, data, candidates
        self._score_type = score_type
        self._ids = [candidate.id for candidate in candidates]

    def blend(self, request: Request, report: Callable[[int], None]) -> dict[str, Any]:
        """The fields of `Blended`. Raises Damaged."""
        new = [self._ids.index(id_) for id_ in request.new if id_ in self._ids]
        blends = []
        for fold in range(len(self._data.folds)):
            known = request.known[fold] if request.known else []
            is_known = set(known) <= set(self._ids)
            path = [self._ids.index(id_) for id_ in known] if is_known else []
            blends.append(self._on_fold(fold, request.min_improvement, path, new))
            report(fold)
        firsts = [members[:1] for members in blends]
        return {
            "blends": [[self._ids[member] for member in members] for members in blends],
            "valid_combined": self._bagged("validation", blends),
            "test_combined": self._bagged("test", blends),
            "valid_foldwise_best": self._bagged("validation", firsts, as_they_are=True),
            "test_foldwise_best": self._bagged("test", firsts, as_they_are=True),
        }

    def _on_fold(
        self, fold: int, min_improvement: float, known: Blend, new: Collection[int]
    ) -> Blend:
        from databoard.blending import Fold, as_key, blend

        rows = self._data.folds[fold][1]
        truth = self._problem.Predictions(y_true=self._data.y_train, fold_is=rows)
        alone = [as_key(one.scores[fold], self._score_type) for one in self._candidates]
        load = partial(self._load, fold, "validation")
        return blend(Fold(self._score_type, truth, load, alone), min_improvement, known, new)

    def _bagged(
        self, side: str, blends: Sequence[Blend], as_they_are: bool = False
    ) -> float | None:
        """The bagged score of the folds' blends; None when it is undefined."""
        from databoard.blending import bagged

        is_test = side == "test"
        y = self._data.y_test if is_test else self._data.y_train
        if y is None:
            return None
        Predictions = self._problem.Predictions
        combined = []
        for fold, members in enumerate(blends):
            load = cache(partial(self._load, fold, side))
            parts = [load(member) for member in members]
            combined.append(parts[0] if as_they_are else Predictions.combine(parts))
        rows = None if is_test else [valid_is for _, valid_is in self._data.folds]
        score = bagged(self._score_type, Predictions(y_true=y), combined, rows)
        return score if math.isfinite(score) else None

    def _load(self, fold: int, side: str, index: int) -> Any:
        """The Predictions of a candidate. Raises Damaged."""
        candidate, data = self._candidates[index], self._data
        is_test = side == "test"
        rows = data.y_test if is_test else data.folds[fold][1]
        assert rows is not None
        path = Path(candidate.folder) / f"fold_{fold}_{'test' if is_test else 'valid'}.npy"
        try:
            return self._problem.Predictions(y_pred=read_predictions(path, len(rows), side))
        except BadPredictions as error:
            raise Damaged(candidate, f"{error.message} (fold {fold})") from error
        except Exception as error:  # the kit's Predictions check what they are given
            raise Damaged(candidate, f"fold {fold}: {error}") from error


def serve() -> None:
    """Answer the request on stdin."""
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # kits print
    given = json.loads(sys.stdin.readline())
    given["candidates"] = [Candidate(**candidate) for candidate in given["candidates"]]
    threading.Thread(target=_end_with_the_other_side, daemon=True).start()

    def tell(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=stdout, flush=True)

    try:
        tell(asdict(answer(Request(**given), lambda fold: tell({"fold": fold}))))
    except KitError as error:
        tell({"error": error.message, "hint": error.hint})


def _end_with_the_other_side() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    serve()
