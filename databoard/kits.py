"""Kits on disk: loading them through ramp-workflow, and saying what is wrong with one.

A kit is an unmodified ramp-kit: a folder with `problem.py` and `submissions/starting_kit/`.
Its code is its maintainer's, trusted like our own; it is still loaded in a process of its own
(`inspect_kit`), since it imports heavy libraries and may fail in any way.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from databoard import folds
from databoard.apart import PYTHON, answer, ask
from databoard.errors import InvalidValue, KitError
from databoard.folds import Fold
from databoard.names import check_name, check_title, one_line

if TYPE_CHECKING:
    import numpy as np

ATTRIBUTES = (
    "problem_title",
    "Predictions",
    "workflow",
    "score_types",
    "get_cv",
    "get_train_data",
    "get_test_data",
)
STARTING_KIT = "starting_kit"
SHIPPED = Path(__file__).parent / "specific" / "problems"
KIND_OF_SUFFIX = {"": "code", ".py": "code", ".txt": "text", ".md": "text"}


@dataclass(frozen=True)
class Element:
    """A workflow element: its name, its kind (code, data, text) and its file in a submission."""

    name: str
    kind: str
    file_name: str

    @classmethod
    def of(cls, element_name: str) -> "Element":
        """Read ramp-workflow's element name: `classifier`, or with a suffix `prices.csv`."""
        stem, suffix = os.path.splitext(element_name)
        kind = KIND_OF_SUFFIX.get(suffix, "data")
        return cls(stem, kind, stem + (suffix or ".py"))


@dataclass(frozen=True)
class ScoreTypeOfKit:
    """A score type as the kit defines it."""

    name: str
    is_lower_the_better: bool
    minimum: float
    maximum: float
    precision: int


@dataclass(frozen=True)
class KitSummary:
    """What the catalogue needs to know of a kit."""

    title: str
    workflow: str
    elements: tuple[Element, ...]
    score_types: tuple[ScoreTypeOfKit, ...]
    n_folds: int
    folds_digest: str


@dataclass(frozen=True)
class Data:
    """A kit's data, read once. X may be anything; y and folds are arrays.

    `y_train` is of shape (n_train, ...), `y_test` of (n_test, ...) or None; a fold is a pair
    of integer arrays, the training and the validation rows of `y_train`, where `folds.faults_of`
    finds no fault.
    """

    X_train: Any
    y_train: "np.ndarray"
    X_test: Any
    y_test: "np.ndarray | None"
    folds: list[Fold]


def find_kit(name: str, kits_path: Path) -> Path:
    """The folder of the kit `name`: in the deployment, or else shipped with Databoard.

    Raises InvalidValue (it cannot be a name), KitError (it is in neither).
    """
    path = kits_path / check_name("problem", name)
    for place in (path, SHIPPED / name):
        if (place / "problem.py").is_file():
            return place
    raise KitError(
        f"There is no kit {name} in {kits_path}.",
        f"Get it: inv fetch-problem {name}",
    )


def place_kit(kit: Path, kits_path: Path) -> Path:
    """Copy a shipped kit into the deployment, whole or not at all. Returns where it is now."""
    place = kits_path / kit.name
    if kit != place:
        kits_path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kits_path, prefix=".placing-") as folder:
            copy = shutil.copytree(
                kit, Path(folder) / kit.name, ignore=shutil.ignore_patterns("__pycache__")
            )
            copy.rename(place)
    return place


def data_path_of(kit: Path, data_path: Path) -> Path:
    """What a kit's loaders get as `path`: the folder that holds `data/`."""
    apart = data_path / kit.name
    return apart if apart.is_dir() else kit


def inspect_kit(kit: Path, data_path: Path, python: Path = PYTHON) -> KitSummary:
    """Load the kit and its data in a process of its own, and summarise it.

    Raises KitError: an attribute is missing or wrong, the data is absent, a fold is out of
    range, the starting kit lacks an element, or the kit's own code fails.
    """
    return look_at(kit, data_path_of(kit, data_path), python)


def look_at(kit: Path, place: Path, python: Path) -> KitSummary:
    """The same, where the folder that holds `data/` is known."""
    found = ask("databoard.kits", kit, place, python)
    if "error" in found:
        raise KitError(found["error"], found["hint"])
    found["elements"] = tuple(Element(**element) for element in found["elements"])
    found["score_types"] = tuple(ScoreTypeOfKit(**score) for score in found["score_types"])
    return KitSummary(**found)


def starting_kit_of(kit: Path) -> Path:
    """The folder of the starting kit; in kits of the old layout it lies at the top."""
    new, old = kit / "submissions" / STARTING_KIT, kit / STARTING_KIT
    return old if old.is_dir() and not new.is_dir() else new


def load_problem(code_path: Path, check: bool = True) -> ModuleType:
    """Import `problem.py` of a kit and check that it has what a kit must have.

    Raises KitError.
    """
    name = code_path.name
    imports = code_path / "external_imports"
    if imports.is_dir() and str(imports) not in sys.path:
        sys.path.append(str(imports))
    spec = importlib.util.spec_from_file_location("problem", code_path / "problem.py")
    assert spec is not None and spec.loader is not None
    problem = importlib.util.module_from_spec(spec)
    sys.modules["problem"] = problem  # its classes can be pickled
    try:
        spec.loader.exec_module(problem)
    except (Exception, SystemExit) as error:
        raise KitError(
            f"problem.py of the kit {name} cannot be imported: {_where(error, code_path)}"
        ) from error
    missing = [attribute for attribute in ATTRIBUTES if not hasattr(problem, attribute)]
    if check and missing:
        raise KitError(
            f"problem.py of the kit {name} lacks {', '.join(missing)}.",
            "Every kit defines: " + ", ".join(ATTRIBUTES) + ".",
        )
    return problem


def load_data(problem: ModuleType, path: Path, name: str) -> Data:
    """Read training data, test data and folds of a loaded kit.

    Raises KitError: a loader fails, labels and folds do not fit, or a fold overlaps itself.
    """
    data = read_data(problem, path, name)
    for fault in folds.faults_of(data.folds, len(data.y_train), name):
        raise KitError(fault, "See get_cv.")
    return data


def read_data(problem: ModuleType, path: Path, name: str) -> Data:
    """What the loaders of a kit give. Raises KitError when one fails."""
    import numpy as np

    try:
        X_train, y_train = problem.get_train_data(path=str(path))
        X_test, y_test = problem.get_test_data(path=str(path))
        y_train = np.asarray(y_train)
        y_test = None if y_test is None else np.asarray(y_test)
    except (Exception, SystemExit) as error:
        raise KitError(
            f"The kit {name} cannot read its data in {path}: {_where(error, path)}",
            "Try its README: some kits download their data first.",
        ) from error
    try:
        drawn = [folds.rows_of(fold) for fold in problem.get_cv(X_train, y_train)]
    except (Exception, SystemExit) as error:
        raise KitError(f"get_cv of the kit {name} fails: {_where(error, path)}") from error
    return Data(X_train, y_train, X_test, y_test, drawn)


def summarise(kit: Path, data_path: Path) -> KitSummary:
    """Load a kit here, in this process, and summarise it. Raises KitError."""
    problem = load_problem(kit)
    for element in elements_of(problem, kit.name):
        if not (starting_kit_of(kit) / element.file_name).is_file():
            raise KitError(
                f"The starting kit of {kit.name} lacks {element.file_name}.",
                f"Put it into {starting_kit_of(kit)}.",
            )
    score_types_of(problem, kit.name)
    return summary_of(problem, kit, load_data(problem, data_path, kit.name))


def summary_of(problem: ModuleType, kit: Path, data: Data) -> KitSummary:
    """A loaded kit in short. Raises KitError."""
    return KitSummary(
        title=title_of(problem, kit.name),
        workflow=type(problem.workflow).__name__,
        elements=elements_of(problem, kit.name),
        score_types=score_types_of(problem, kit.name),
        n_folds=len(data.folds),
        folds_digest=folds.digest_of(data.folds),
    )


def title_of(problem: ModuleType, name: str) -> str:
    """The title of a loaded kit. Raises KitError."""
    if not isinstance(problem.problem_title, str):
        raise KitError(f"The problem_title of the kit {name} is no text.", "See problem.py.")
    return _named(name, check_title, "problem", problem.problem_title)


def elements_of(problem: ModuleType, name: str) -> tuple[Element, ...]:
    """The elements of a loaded kit's workflow. Raises KitError."""
    names = getattr(problem.workflow, "element_names", None)
    if not names or not all(isinstance(element, str) for element in names):
        raise KitError(f"The workflow of the kit {name} has no element_names.", "See problem.py.")
    for element in names:
        _named(name, check_name, "workflow element", element)
    return tuple(Element.of(element) for element in names)


def score_types_of(problem: ModuleType, name: str) -> tuple[ScoreTypeOfKit, ...]:
    """The score types of a loaded kit. Raises KitError."""
    try:
        score_types = tuple(
            ScoreTypeOfKit(
                str(score.name),
                bool(score.is_lower_the_better),
                float(score.minimum),
                float(score.maximum),
                int(score.precision),
            )
            for score in problem.score_types
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise KitError(
            f"A score type of the kit {name} is not complete: {one_line(str(error))}"
        ) from error
    if not score_types or len({score.name for score in score_types}) < len(score_types):
        raise KitError(f"The kit {name} has no score types, or two of the same name.")
    for score in score_types:
        _named(name, check_name, "score type", score.name)
        if not score.minimum < score.maximum:
            raise KitError(
                f"The minimum {score.minimum} of the score type {score.name} of the kit {name} is "
                f"not below its maximum {score.maximum}."
            )
    return score_types


def _named(kit: str, check: Callable[[str, str], str], kind: str, name: str) -> str:
    """What the check gives. Raises KitError where it refuses."""
    try:
        return check(kind, name)
    except InvalidValue as error:
        raise KitError(f"In the kit {kit}: {error.message}", error.hint) from None


def _where(error: BaseException, folder: Path) -> str:
    """One line: what failed, and at which line of the kit."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).name == "problem.py" or str(folder) in frame.filename
    ]
    at = f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else ""
    return one_line(f"{type(error).__name__}: {error}{at}")


if __name__ == "__main__":
    answer(lambda: asdict(summarise(Path(sys.argv[1]), Path(sys.argv[2]))))
