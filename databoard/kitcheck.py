"""What is wrong with a kit: everything that can be found, not the first thing alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from databoard import folds, kits
from databoard.apart import PYTHON, answer, ask
from databoard.errors import KitError
from databoard.kitdata import has_data
from databoard.kits import Element, KitSummary, ScoreTypeOfKit


@dataclass(frozen=True)
class Report:
    """Sentences about what is wrong; and where nothing is, the kit in short."""

    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what a kit can do without
    summary: KitSummary | None = None
    n_train: int = 0
    n_test: int = 0


def check(kit: Path, data_path: Path, python: Path = PYTHON) -> Report:
    """Look at a kit in a process of its own. Raises KitError when that process dies."""
    found = ask("databoard.kitcheck", kit, kits.data_path_of(kit, data_path), python)
    if summary := found.pop("summary"):
        summary["elements"] = tuple(Element(**element) for element in summary["elements"])
        summary["score_types"] = tuple(ScoreTypeOfKit(**score) for score in summary["score_types"])
        summary = KitSummary(**summary)
    return Report(tuple(found.pop("faults")), tuple(found.pop("notes")), summary, **found)


def look(kit: Path, place: Path) -> Report:
    """The report, in this process."""
    notebook = kit / f"{kit.name}_starting_kit.ipynb"
    notes = [] if notebook.is_file() else [f"it has no notebook {notebook.name}"]
    read: set[Path] = set()
    try:
        with_data = _noting_reads(place / "data", read)
        problem = kits.load_problem(kit, check=False)
        with_data.clear()
    except KitError as error:
        return Report((error.message,), tuple(notes))
    faults = [
        f"problem.py reads {path.relative_to(place)} when it is imported, where submissions could "
        "see it; read it in get_train_data or get_test_data."
        for path in sorted(read)
    ]
    faults += [
        f"problem.py lacks {name}." for name in kits.ATTRIBUTES if not hasattr(problem, name)
    ]
    for name in ("Predictions", "get_cv", "get_train_data", "get_test_data"):
        if hasattr(problem, name) and not callable(getattr(problem, name)):
            faults.append(f"{name} of problem.py cannot be called.")
    if hasattr(problem, "problem_title"):
        faults += _caught(lambda: kits.title_of(problem, kit.name))
    faults += _faults_of_elements(problem, kit)
    if hasattr(problem, "score_types"):
        faults += _caught(lambda: kits.score_types_of(problem, kit.name))
    if not has_data(kit, place.parent):
        faults.append(f"There is no data in {place / 'data'}: inv prepare-data {kit.name}")
        return Report(tuple(faults), tuple(notes))
    if any(not callable(getattr(problem, name, None)) for name in kits.ATTRIBUTES[-3:]):
        return Report(tuple(faults), tuple(notes))
    try:
        data = kits.read_data(problem, place, kit.name)
    except KitError as error:
        return Report((*faults, error.message), tuple(notes))
    faults += folds.faults_of(data.folds, len(data.y_train), kit.name)
    if faults:
        return Report(tuple(faults), tuple(notes))
    summary = kits.summary_of(problem, kit, data)
    n_test = 0 if data.y_test is None else len(data.y_test)
    return Report((), tuple(notes), summary, len(data.y_train), n_test)


def _faults_of_elements(problem: Any, kit: Path) -> Iterator[str]:
    if not hasattr(problem, "workflow"):
        return
    try:
        elements = kits.elements_of(problem, kit.name)
    except KitError as error:
        yield error.message
        return
    for element in elements:
        if not (kits.starting_kit_of(kit) / element.file_name).is_file():
            where = kits.starting_kit_of(kit).relative_to(kit)
            yield f"The starting kit lacks {element.file_name}: put it into {where}."


def _caught(do: Any) -> list[str]:
    try:
        do()
    except KitError as error:
        return [error.message]
    return []


def _noting_reads(folder: Path, read: set[Path]) -> list[Path]:
    """From now on note which files in a folder are opened; until the list is cleared."""
    watched = [folder.resolve()]

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and watched and isinstance(arguments[0], str | os.PathLike):
            path = Path(os.path.abspath(arguments[0]))
            if path.is_relative_to(watched[0]) and path.is_file():
                read.add(path)

    sys.addaudithook(note)
    return watched


if __name__ == "__main__":
    answer(lambda: asdict(look(Path(sys.argv[1]), Path(sys.argv[2]))))
