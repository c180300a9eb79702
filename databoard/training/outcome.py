"""What training a submission gives: scores, or one reason why not. Plain numbers throughout."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from databoard.apart import PYTHON
from databoard.errors import DataboardError


@dataclass(frozen=True)
class Work:
    """A submission to train, as an engine needs to know it. Limits in seconds and MB."""

    submission_id: int
    attempt: int
    event: str
    label: str
    kit: Path
    data: Path
    files: Path
    files_digest: str
    predictions: Path
    n_folds: int
    folds_digest: str
    time_limit: int
    memory_limit: int
    python: Path = PYTHON  # of the event's environment


@dataclass
class FoldOutcome:
    """One fold: seconds, MB, and `scores[i] = (train, valid, test, valid_bag, test_bag)` of the
    i-th score type; None where a score is undefined.
    """

    train_time: float
    valid_time: float
    test_time: float
    max_memory: float
    scores: list[list[float | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Scores:
    """All folds, and per score type the bag, mean and deviation over folds; the run record."""

    folds: list[FoldOutcome]
    overall: list[dict[str, float | None]]
    record: dict[str, Any] | None = None  # of a run: scoring again is none

    @classmethod
    def of(
        cls, folds: list[FoldOutcome], bag: dict[str, Any], record: dict[str, Any] | None = None
    ) -> "Scores":
        """The scores of the folds, completed by what the scorer says of their bag."""
        for index, prefixes in enumerate(bag["prefixes"]):
            for fold, prefix in zip(folds, prefixes, strict=True):
                fold.scores[index] += prefix
        return cls(folds, bag["overall"], record)


class SubmissionFailed(DataboardError):
    """The submission cannot be scored: the state it ends in, the kind of failure, the fold.

    `kind` is one of exception, time, memory, crash, predictions, platform.
    """

    def __init__(self, state: str, kind: str, message: str, fold: int | None = None) -> None:
        super().__init__(message)
        self.state = state
        self.kind = kind
        self.fold = fold
