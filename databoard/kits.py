"""Kits on disk: loading them through ramp-workflow, and saying what is wrong with one.

A kit is an unmodified ramp-kit: a folder with `problem.py` and `submissions/starting_kit/`.
Its code is its maintainer's, trusted like our own; it is still loaded in a process of its own
(`inspect_kit`), since it imports heavy libraries and may fail in any way.
"""

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from databoard.apart import PYTHON, answer, ask
from databoard.errors import KitError

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
    of integer arrays, the training and the validation rows of `y_train`.
    """

    X_train: Any
    y_train: "np.ndarray"
    X_test: Any
    y_test: "np.ndarray | None"
    folds: "list[tuple[np.ndarray, np.ndarray]]"


def find_kit(name: str, kits_path: Path) -> Path:
    """The folder of the kit `name`: in the deployment, or else shipped with Databoard.

    Raises KitError when it is in neither.
    """
    path = kits_path / name
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
    found = ask("databoard.kits", kit, data_path_of(kit, data_path), python)
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
    for fault in faults_of_folds(data, name):
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
        folds = [
            (np.asarray(train_is), np.asarray(valid_is))
            for train_is, valid_is in problem.get_cv(X_train, y_train)
        ]
    except (Exception, SystemExit) as error:
        raise KitError(
            f"The kit {name} cannot read its data in {path}: {_where(error, path)}",
            "Try its README: some kits download their data first.",
        ) from error
    return Data(X_train, y_train, X_test, y_test, folds)


def faults_of_folds(data: Data, name: str) -> Iterator[str]:
    """Sentences about folds that cannot be trained and validated on."""
    import numpy as np

    if not data.folds:
        yield f"The kit {name} has no cross-validation folds."
    n_rows = len(data.y_train)
    for number, fold in enumerate(data.folds):
        both = np.concatenate(fold)
        if not np.issubdtype(both.dtype, np.integer):
            yield f"Fold {number} of the kit {name} holds no row numbers."
        elif len(both) and (both.min() < 0 or both.max() >= n_rows):
            yield (
                f"Fold {number} of the kit {name} names rows outside of the {n_rows} training rows."
            )
        elif min(map(len, fold)) == 0 or np.intersect1d(*fold).size:
            yield (
                f"Fold {number} of the kit {name} is empty, or trains on rows that it validates."
            )


def digest_of(folds: "Sequence[tuple[np.ndarray, np.ndarray]]") -> str:
    """A fingerprint of the cross-validation: SHA-256 of all row numbers."""
    import numpy as np

    digest = hashlib.sha256()
    for fold in folds:
        for rows in fold:
            digest.update(f"{len(rows)}:".encode())
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()


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
        title=str(problem.problem_title),
        workflow=type(problem.workflow).__name__,
        elements=elements_of(problem, kit.name),
        score_types=score_types_of(problem, kit.name),
        n_folds=len(data.folds),
        folds_digest=digest_of(data.folds),
    )


def elements_of(problem: ModuleType, name: str) -> tuple[Element, ...]:
    """The elements of a loaded kit's workflow. Raises KitError."""
    names = getattr(problem.workflow, "element_names", None)
    if not names or not all(isinstance(element, str) for element in names):
        raise KitError(f"The workflow of the kit {name} has no element_names.", "See problem.py.")
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
        raise KitError(f"A score type of the kit {name} is not complete: {error}") from error
    if not score_types or len({score.name for score in score_types}) < len(score_types):
        raise KitError(f"The kit {name} has no score types, or two of the same name.")
    return score_types


def _where(error: BaseException, folder: Path) -> str:
    """One line: what failed, and at which line of the kit."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).name == "problem.py" or str(folder) in frame.filename
    ]
    at = f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else ""
    return f"{type(error).__name__}: {error}{at}"


if __name__ == "__main__":
    answer(lambda: asdict(summarise(Path(sys.argv[1]), Path(sys.argv[2]))))
