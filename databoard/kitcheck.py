"""Checking a kit: all that is wrong with it at once, where loading it stops at the first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from databoard import kits
from databoard.apart import PYTHON, answer, ask
from databoard.errors import KitError
from databoard.kitdata import has_data, ways
from databoard.kits import Element, KitSummary, ScoreTypeOfKit

LOADERS = ("get_cv", "get_train_data", "get_test_data")
STEPS = ("train_submission", "test_submission")


@dataclass(frozen=True)
class Report:
    """What is wrong with a kit, what is merely worth knowing, and what it is if it loads."""

    faults: tuple[str, ...]
    notes: tuple[str, ...]
    summary: KitSummary | None
    n_train: int = 0
    n_test: int = 0


def check(kit: Path, data_path: Path, python: Path = PYTHON) -> Report:
    """Check a kit in a process of its own. Raises KitError when that ends."""
    found = ask("databoard.kitcheck", kit, kits.data_path_of(kit, data_path), python)
    summary = found["summary"]
    if summary:
        summary = KitSummary(
            **summary
            | {
                "elements": tuple(Element(**each) for each in summary["elements"]),
                "score_types": tuple(ScoreTypeOfKit(**each) for each in summary["score_types"]),
            }
        )
    faults = tuple(found["faults"])
    if faults and not has_data(kit, data_path):
        can_be_made = ways(kit, data_path)
        how = f"make it: inv prepare-data {kit.name}" if can_be_made else "see its README"
        faults = (
            f"There is no data in {kits.data_path_of(kit, data_path) / 'data'}; {how}.",
            *faults,
        )
    return Report(faults, tuple(found["notes"]), summary, found["n_train"], found["n_test"])


def check_here(kit: Path, data: Path) -> dict[str, Any]:
    """Check a kit in this process."""
    found: dict[str, Any] = {"faults": [], "notes": [], "summary": None, "n_train": 0, "n_test": 0}
    told = _Faults(found["faults"])
    notebook = f"{kit.name}_starting_kit.ipynb"
    if not (kit / notebook).is_file():
        found["notes"].append(f"There is no notebook {notebook}.")
    with _watching(data / "data") as opened:
        problem = told.by(kits.import_problem, kit)
    for name in opened:
        told.add(f"problem.py reads {name} when it is imported: submissions could, too.")
    if problem is None:
        return found
    elements, scores = _check_attributes(problem, kit, told)
    if all(callable(getattr(problem, loader, None)) for loader in LOADERS):
        loaded = told.by(kits.read_data, problem, data, kit.name)
        if loaded is not None:
            found["n_train"] = len(loaded.y_train)
            found["n_test"] = 0 if loaded.y_test is None else len(loaded.y_test)
            if not loaded.folds:
                told.add(f"The kit {kit.name} has no cross-validation folds.")
            for number, fold in enumerate(loaded.folds):
                told.by(kits.check_fold, number, fold, found["n_train"], kit.name)
            if not found["faults"]:
                found["summary"] = asdict(kits.summary_of(problem, elements, scores, loaded))
    return found


def _check_attributes(problem: ModuleType, kit: Path, told: _Faults) -> tuple[Any, Any]:
    missing = kits.missing_attributes(problem)
    for name in missing:
        told.add(f"problem.py lacks {name}.")
    for name in ("Predictions", *LOADERS):
        if name not in missing and not callable(getattr(problem, name)):
            told.add(f"{name} of problem.py cannot be called.")
    elements = scores = None
    if "workflow" not in missing:
        elements = told.by(kits.elements_of, problem, kit.name)
        for step in STEPS:
            if not callable(getattr(problem.workflow, step, None)):
                told.add(f"The workflow of problem.py has no {step}().")
    for element in elements or ():
        told.by(kits.check_element, kit, element)
    if "score_types" not in missing:
        scores = told.by(kits.score_types_of, problem, kit.name)
    return elements, scores


class _Faults:
    """Takes faults down, and goes on."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def add(self, fault: str) -> None:
        self._faults.append(fault)

    def by(self, do: Callable[..., Any], *arguments: Any) -> Any:
        """What it returns; None when it finds a fault."""
        try:
            return do(*arguments)
        except KitError as error:
            self.add(error.message)
            return None


@contextmanager
def _watching(folder: Path) -> Iterator[list[str]]:
    """The files in a folder that Python opens meanwhile; what a C library opens is not seen."""
    opened: list[str] = []
    is_on, root = True, os.path.realpath(folder) + os.sep

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if is_on and event == "open" and isinstance(arguments[0], str):
            path = os.path.realpath(arguments[0])
            if path.startswith(root) and (name := f"data/{path[len(root) :]}") not in opened:
                opened.append(name)

    sys.addaudithook(see)
    try:
        yield opened
    finally:
        is_on = False


if __name__ == "__main__":
    answer(lambda: check_here(Path(sys.argv[1]), Path(sys.argv[2])))
