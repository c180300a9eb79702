"""What a site adds in databoard/specific/: found by its presence, and a broken one named."""

from __future__ import annotations

from pathlib import Path

import pytest

from databoard import plugins
from databoard.errors import InvalidValue, NotFound
from databoard.kits import Element

WORKFLOW = """
class Market:
    def __init__(self, workflow_element_names=["estimator", "prices.csv"]):
        self.element_names = workflow_element_names
"""
SCORE = """
class gain:
    is_lower_the_better = False
    minimum, maximum = 0, float("inf")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind, name, text in (("workflows", "Market", WORKFLOW), ("score_types", "gain", SCORE)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"{name}.py").write_text(text)
        (tmp_path / kind / "__init__.py").touch()
    return tmp_path


def test_a_plug_in_is_found_by_its_presence(folder: Path) -> None:
    assert plugins.names("workflows", folder) == ["Market"]
    assert plugins.workflow("Market", folder) == (
        Element("estimator", "code", "estimator.py"),
        Element("prices", "data", "prices.csv"),
    )
    assert plugins.score_type("gain", folder) == (False, 0.0, float("inf"))
    assert plugins.broken(folder) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that", ", line 1 does not load: ModuleNotFoundError: No module named"),
        ("x = 1\nraise SystemExit(3)", ", line 2 does not load: SystemExit: 3"),
        ("class gain:\n    minimum = 0", " does not load: AttributeError: type object 'gain' has"),
        ("def (", " does not load: SyntaxError: "),
        ("", " does not load: AttributeError: module 'databoard.specific.score_types.gain' has"),
    ],
)
def test_a_broken_plug_in_is_named_and_the_others_work(
    folder: Path, text: str, reason: str
) -> None:
    (folder / "score_types/gain.py").write_text(text)
    (said,) = plugins.broken(folder)
    start = "The plug-in databoard/specific/score_types/gain.py"
    assert said.message.startswith(start + reason)
    assert said.hint == "Mend or remove it; the others work."
    with pytest.raises(InvalidValue):
        plugins.score_type("gain", folder)
    assert plugins.workflow("Market", folder)


def test_one_that_is_not_there(folder: Path) -> None:
    with pytest.raises(NotFound) as caught:
        plugins.workflow("Markt", folder)
    assert caught.value.message == "There is no workflow 'Markt' in databoard/specific/workflows."
    assert caught.value.hint == "Did you mean 'Market'? Plug-ins: Market."
