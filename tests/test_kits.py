"""Kits: what a good one gives, and the one sentence for each way in which one is wrong."""

from __future__ import annotations

import ast
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from databoard import folds, kits
from databoard.errors import InvalidValue, KitError
from databoard.kits import Element, KitSummary

MakeKit = Callable[..., Path]
HERE = Path(__file__).parent / "kits"
SHIPPED = sorted(path.parent for path in kits.SHIPPED.glob("*/problem.py"))
OF_TESTS = sorted(path.parent for path in HERE.glob("*/problem.py"))
EVERY_KIT_DEFINES = (
    "Every kit defines: problem_title, Predictions, workflow, score_types, get_cv, "
    "get_train_data, get_test_data."
)


def inspect(kit: Path) -> KitSummary:
    return kits.inspect_kit(kit, kit.parent / "ramp-data")


def listing(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    "kit",
    [*SHIPPED, *(pytest.param(kit, marks=pytest.mark.slow) for kit in OF_TESTS)],
    ids=lambda kit: kit.name,
)
def test_each_kit_of_ours_loads(kit: Path, tmp_path: Path) -> None:
    summary = kits.inspect_kit(kit, tmp_path)
    assert summary.title and summary.workflow and summary.elements and summary.score_types
    assert summary.n_folds >= 2 and len(summary.folds_digest) == 64


@pytest.mark.parametrize("kit", SHIPPED, ids=lambda kit: kit.name)
def test_shipped_kits_have_a_starting_kit_and_more(kit: Path) -> None:
    entries = sorted(path for path in kit.joinpath("submissions").iterdir())
    assert len(entries) >= 3 and kits.STARTING_KIT in [path.name for path in entries]
    names = [sorted(file.name for file in path.glob("*.py")) for path in entries]
    assert all(files == names[0] for files in names)
    for path in entries:
        for file in path.glob("*.py"):
            ast.parse(file.read_text())
    assert (kit / "README.md").read_text().startswith("# ")


def test_a_summary_says_all_that_the_catalogue_needs(tmp_path: Path, make_kit: MakeKit) -> None:
    kit = make_kit(
        tmp_path,
        lines="problem_title = 'Small é'\nScore.maximum = float('inf')\n"
        "Workflow.element_names = ['estimator', 'prices.csv', 'notes.txt']",
    )
    for name in ("prices.csv", "notes.txt"):
        (kit / "submissions" / "starting_kit" / name).touch()
    summary = inspect(kit)
    assert (summary.title, summary.workflow, summary.n_folds) == ("Small é", "Workflow", 2)
    assert summary.elements == (
        Element("estimator", "code", "estimator.py"),
        Element("prices", "data", "prices.csv"),
        Element("notes", "text", "notes.txt"),
    )
    (score,) = summary.score_types
    assert (score.name, score.is_lower_the_better, score.precision) == ("acc", False, 2)
    assert (score.minimum, score.maximum) == (0.0, math.inf)


def test_looking_at_a_kit_leaves_it_as_it_is(tmp_path: Path, make_kit: MakeKit) -> None:
    kit = make_kit(tmp_path)
    before = listing(kit)
    inspect(kit)
    assert listing(kit) == before


@pytest.mark.parametrize(
    "lines",
    ["print('hello')", "import os; os.system('echo hello')", "import os; os.write(1, b'{')"],
)
def test_kits_may_print(tmp_path: Path, make_kit: MakeKit, lines: str) -> None:
    assert inspect(make_kit(tmp_path, lines=lines)).title == "Small"


def test_the_digest_is_that_of_the_rows(tmp_path: Path, make_kit: MakeKit) -> None:
    def digest(name: str, folds: str) -> str:
        return inspect(make_kit(tmp_path, name, f"get_cv = lambda X, y: {folds}")).folds_digest

    ours = digest("a", "[([0, 1], [2]), ([2], [0])]")
    assert digest("b", "iter([((0, 1), (2,)), ((2,), (0,))])") == ours
    others = ["[([1, 0], [2]), ([2], [0])]", "[([0], [1, 2]), ([2], [0])]", "[([0, 1], [2])]"]
    assert len({ours, *(digest(f"c{i}", folds) for i, folds in enumerate(others))}) == 4
    assert (
        folds.digest_of([(np.array([0, 1]), np.array([2])), (np.array([2]), np.array([0]))]) == ours
    )


def test_data_may_stand_apart_from_the_code(tmp_path: Path, make_kit: MakeKit) -> None:
    kit = make_kit(
        tmp_path,
        lines="def get_train_data(path='.'):\n"
        "    return [[0]] * 4, list(map(int, open(path + '/data/y.txt').read().split()))",
    )
    with pytest.raises(KitError, match=r"No such file or directory"):
        inspect(kit)
    (tmp_path / "ramp-data" / "small" / "data").mkdir(parents=True)
    (tmp_path / "ramp-data" / "small" / "data" / "y.txt").write_text("0 1 0 1")
    assert inspect(kit).n_folds == 2
    assert kits.data_path_of(kit, tmp_path / "ramp-data") == tmp_path / "ramp-data" / "small"
    assert kits.data_path_of(kit, tmp_path / "elsewhere") == kit


def test_modules_beside_the_kit_can_be_imported(tmp_path: Path, make_kit: MakeKit) -> None:
    kit = make_kit(tmp_path, lines="from titles import problem_title")
    (kit / "external_imports").mkdir()
    (kit / "external_imports" / "titles.py").write_text("problem_title = 'Imported'")
    assert inspect(kit).title == "Imported"


READS = "The kit small cannot read its data in {kit}: "
SEE_README = "\nTry its README: some kits download their data first."
SEE_CV = "\nSee get_cv."
NAMES = "Use letters, digits, '_', '-' and single '.', beginning with a letter, digit or '_'."
NO_NAMES = "The workflow of the kit small has no element_names.\nSee problem.py."
IMPORTED = "problem.py of the kit small cannot be imported: "
BROKEN = {
    # lines at the end of problem.py: the sentence
    "del get_cv": f"problem.py of the kit small lacks get_cv.\n{EVERY_KIT_DEFINES}",
    "del workflow, get_test_data, Predictions": "problem.py of the kit small lacks Predictions, "
    f"workflow, get_test_data.\n{EVERY_KIT_DEFINES}",
    "import nowhere": f"{IMPORTED}ModuleNotFoundError: No module named 'nowhere' (line 22 of "
    "problem.py)",
    "1 / 0": f"{IMPORTED}ZeroDivisionError: division by zero (line 22 of problem.py)",
    "def": f"{IMPORTED}SyntaxError: invalid syntax (problem.py, line 22)",
    "raise SystemExit(3)": f"{IMPORTED}SystemExit: 3 (line 22 of problem.py)",
    "import os; os.abort()": "The kit small ended its process (exit -6): no output",
    "workflow = object()": NO_NAMES,
    "Workflow.element_names = []": NO_NAMES,
    "Workflow.element_names = [1]": NO_NAMES,
    "Workflow.element_names = ['estimator', 'notes.txt']": "The starting kit of small lacks "
    "notes.txt.\nPut it into {kit}/submissions/starting_kit.",
    "score_types = []": "The kit small has no score types, or two of the same name.",
    "score_types *= 2": "The kit small has no score types, or two of the same name.",
    "del Score.precision": "A score type of the kit small is not complete: "
    "'Score' object has no attribute 'precision'",
    "Score.minimum = 'low'": "A score type of the kit small is not complete: "
    "could not convert string to float: 'low'",
    "score_types = None": "A score type of the kit small is not complete: "
    "'NoneType' object is not iterable",
    "def get_train_data(path='.'): open(path + '/data/train.csv')": f"{READS}FileNotFoundError: "
    "[Errno 2] No such file or directory: '{kit}/data/train.csv' (line 22 of problem.py)"
    + SEE_README,
    "def get_test_data(path='.'): return 7": f"{READS}TypeError: cannot unpack non-iterable int "
    "object" + SEE_README,
    "get_train_data = lambda: ([], [])": f"{READS}TypeError: <lambda>() got an unexpected keyword "
    "argument 'path'" + SEE_README,
    "def get_cv(X, y): raise ValueError('too\\n few\\x1b[2J')": "get_cv of the kit small fails: "
    "ValueError: too few�[2J (line 22 of problem.py)",
    "get_cv = lambda X, y: 7": "get_cv of the kit small fails: TypeError: 'int' object is not "
    "iterable",
    "problem_title = None": "The problem_title of the kit small is no text.\nSee problem.py.",
    "problem_title = ''": "In the kit small: '' cannot be the title of a problem.\n"
    "Use 1 to 200 characters on one line.",
    "Workflow.element_names = ['../x']": f"In the kit small: '../x' cannot be the name of a "
    f"workflow element.\n{NAMES}",
    "Score.name = 'a b'": f"In the kit small: 'a b' cannot be the name of a score type.\n{NAMES}",
    "Score.minimum = 1.0": "The minimum 1.0 of the score type acc of the kit small is not below "
    "its maximum 1.0.",
    "get_cv = lambda X, y: []": "The kit small has no cross-validation folds." + SEE_CV,
}
BROKEN |= {
    f"get_cv = lambda X, y: [([0, 1], [2, 3]), {fold}]": f"Fold 1 of the kit small {said}{SEE_CV}"
    for fold, said in {
        "([0.5], [1.5])": "holds no row numbers.",
        "(['a'], ['b'])": "holds no row numbers.",
        "([True, False], [False, True])": "holds no row numbers.",
        "([0, 1], [4])": "names rows outside of the 4 training rows.",
        "([-1], [2])": "names rows outside of the 4 training rows.",
        "([0, 1], [1, 2])": "trains on rows that it validates: 1.",
        "(range(4), range(4))": "trains on rows that it validates: 0, 1, 2 and others.",
        "([0, 1], np.array([], int))": "has no validation rows.",
        "([], [1])": "has no training rows.",
        **dict.fromkeys(
            ["1", "([0], [1], [2])", "([[0, 1]], [2])", "([0], [[1], [2, 3]])", "'ab'"],
            "is no pair of lists, of training and of validation rows.",
        ),
    }.items()
}


@pytest.mark.parametrize("lines", BROKEN, ids=lambda lines: lines[:60])
def test_what_is_wrong_with_a_kit(tmp_path: Path, make_kit: MakeKit, lines: str) -> None:
    lines = f"import numpy as np; {lines}" if "np." in lines else lines
    kit = make_kit(tmp_path, lines=lines)
    with pytest.raises(KitError) as caught:
        inspect(kit)
    said = BROKEN[lines.removeprefix("import numpy as np; ")]
    assert str(caught.value) == said.replace("{kit}", str(kit))


def test_a_kit_is_looked_at_in_its_folder_and_its_files_are_no_modules(
    tmp_path: Path, make_kit: MakeKit
) -> None:
    kit = make_kit(tmp_path, lines="problem_title = open('title.txt').read()")
    (kit / "title.txt").write_text("Read")
    (kit / "json.py").write_text("1 / 0")
    assert inspect(kit).title == "Read"


def test_a_kit_that_hangs(
    tmp_path: Path, make_kit: MakeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databoard.apart.LOAD_SECONDS", 1)
    with pytest.raises(KitError) as caught:
        inspect(make_kit(tmp_path, lines="while True: pass"))
    assert str(caught.value) == (
        "The kit small and its data were not loaded within 1 seconds.\n"
        "Does its problem.py hang? Let it read less."
    )


@pytest.mark.parametrize("name", ["", "..", "../small", "/etc", "a/b", "-x"])
def test_what_cannot_be_the_name_of_a_kit(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValue, match="cannot be the name of a problem"):
        kits.find_kit(name, tmp_path)


def test_a_starting_kit_lacks_a_file(tmp_path: Path, make_kit: MakeKit) -> None:
    kit = make_kit(tmp_path)
    (kit / "submissions" / "starting_kit" / "estimator.py").unlink()
    with pytest.raises(KitError) as caught:
        inspect(kit)
    assert str(caught.value) == (
        "The starting kit of small lacks estimator.py.\n"
        f"Put it into {kit}/submissions/starting_kit."
    )


def test_kits_are_found_in_the_deployment_first(tmp_path: Path, make_kit: MakeKit) -> None:
    assert kits.find_kit("iris", tmp_path) == kits.SHIPPED / "iris"
    ours = make_kit(tmp_path, "iris")
    assert kits.find_kit("iris", tmp_path) == ours
    with pytest.raises(KitError) as caught:
        kits.find_kit("titanic", tmp_path)
    assert str(caught.value) == (
        f"There is no kit titanic in {tmp_path}.\nGet it: inv fetch-problem titanic"
    )


def test_a_shipped_kit_is_placed_whole_and_once(tmp_path: Path) -> None:
    shipped, kits_path = kits.SHIPPED / "iris", tmp_path / "ramp-kits"
    placed = kits.place_kit(shipped, kits_path)
    ours = {name: text for name, text in listing(shipped).items() if "__pycache__" not in name}
    assert placed == kits_path / "iris"
    assert listing(placed) == ours
    (placed / "problem.py").write_text("# changed here\n")
    assert kits.place_kit(placed, kits_path) == placed
    assert (placed / "problem.py").read_text() == "# changed here\n"
    assert [path.name for path in kits_path.iterdir()] == ["iris"]


def test_a_kit_that_is_not_placed_leaves_nothing(tmp_path: Path, make_kit: MakeKit) -> None:
    kit, kits_path = make_kit(tmp_path), tmp_path / "ramp-kits"
    (kit / "loop").symlink_to("nowhere")  # cannot be copied
    with pytest.raises(shutil.Error):
        kits.place_kit(kit, kits_path)
    assert list(kits_path.iterdir()) == []
