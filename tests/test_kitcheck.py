"""inv check-problem: everything that is wrong with a kit, each in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from databoard import kitcheck
from databoard.config import Settings
from databoard.errors import KitError

MakeKit = Callable[..., Path]


@pytest.fixture
def faults(settings: Settings, make_kit: MakeKit) -> Callable[..., tuple[str, ...]]:
    """faults(lines) of a kit with data, whose problem.py ends with these lines."""

    def look(lines: str = "", data: bool = True) -> tuple[str, ...]:
        kit = make_kit(settings.kits_path, lines=lines)
        if data:
            (kit / "data").mkdir()
            (kit / "data/train.csv").write_text("1")
        return kitcheck.check(kit, settings.data_path).faults

    return look


def test_a_good_kit_is_told_in_short(settings: Settings, make_kit: MakeKit) -> None:
    kit = make_kit(settings.kits_path)
    (kit / "data").mkdir()
    (kit / "data/train.csv").write_text("1")
    report = kitcheck.check(kit, settings.data_path)
    assert report.faults == ()
    assert report.notes == ("it has no notebook small_starting_kit.ipynb",)
    assert report.summary is not None
    assert [element.file_name for element in report.summary.elements] == ["estimator.py"]
    assert report.summary.n_folds >= 1 and report.n_train > 0 and report.n_test > 0
    assert sorted(path.name for path in kit.iterdir()) == ["data", "problem.py", "submissions"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "del get_cv, problem_title",
            ["problem.py lacks problem_title.", "problem.py lacks get_cv."],
        ),
        (
            "get_cv = 3\nPredictions = None",
            [
                "Predictions of problem.py cannot be called.",
                "get_cv of problem.py cannot be called.",
            ],
        ),
        ("workflow = 3", ["The workflow of the kit small has no element_names."]),
        ("score_types = []", ["The kit small has no score types, or two of the same name."]),
        (
            "workflow.element_names = ['estimator', 'prices.csv', 'notes.txt']",
            [
                "The starting kit lacks prices.csv: put it into submissions/starting_kit.",
                "The starting kit lacks notes.txt: put it into submissions/starting_kit.",
            ],
        ),
        (
            "get_cv = lambda X, y: [([0], [len(y)]), ([0, 1], [1]), ([0.5], [1]), ([-1], [0])]",
            [
                "Fold 0 of the kit small names rows outside of the ",
                "Fold 1 of the kit small trains on rows that it validates: 1.",
                "Fold 2 of the kit small holds no row numbers.",
                "Fold 3 of the kit small names rows outside of the ",
            ],
        ),
        ("get_cv = lambda X, y: []", ["The kit small has no cross-validation folds."]),
        (
            "import os\nopen(os.path.dirname(__file__) + '/data/train.csv').read()",
            ["problem.py reads data/train.csv when it is imported, where submissions could"],
        ),
        ("import nothing_of_that", ["problem.py of the kit small cannot be imported: ModuleNot"]),
        ("def get_test_data(path): 1 / 0", ["The kit small cannot read its data in "]),
        (
            "problem_title = 3\nScore.name = 'a\\nb'",
            ["The problem_title of the kit small is no text.", "In the kit small: 'a\\nb' cannot"],
        ),
        ("del problem_title\nworkflow = 3", ["problem.py lacks problem_title.", "The workflow of"]),
    ],
)
def test_all_that_is_wrong(
    faults: Callable[..., tuple[str, ...]], lines: str, said: list[str]
) -> None:
    found = faults(lines)
    assert len(found) == len(said), found
    for fault, start in zip(found, said, strict=True):
        assert fault.startswith(start)


def test_data_that_is_absent(faults: Callable[..., tuple[str, ...]], settings: Settings) -> None:
    place = settings.kits_path / "small/data"
    assert faults(data=False) == (f"There is no data in {place}: inv prepare-data small",)


def test_a_kit_that_ends_its_process(faults: Callable[..., tuple[str, ...]]) -> None:
    with pytest.raises(KitError, match=r"^The kit small ended its process \(exit 9\)"):
        faults("import os\nos._exit(9)")


def test_the_old_layout(settings: Settings, make_kit: MakeKit) -> None:
    kit = make_kit(settings.kits_path)
    (kit / "submissions/starting_kit").rename(kit / "starting_kit")
    (kit / "submissions").rmdir()
    (kit / "data").mkdir()
    (kit / "data/train.csv").write_text("1")
    assert kitcheck.check(kit, settings.data_path).faults == ()
    (kit / "starting_kit/estimator.py").unlink()
    assert kitcheck.check(kit, settings.data_path).faults == (
        "The starting kit lacks estimator.py: put it into starting_kit.",
    )
