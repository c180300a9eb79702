"""Rendering notebooks, which are hostile: the page runs nothing, and nothing else is written.

A program stands in for nbconvert, which tests do without: it copies the notebook into a page.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from databoard import notebook
from databoard.notebook import HEAD, NOT_RENDERED, render

STAND_IN = """
import sys
text = open(sys.argv[-1]).read()
exec(text.partition("#!")[2])
open(sys.argv[-1][:-5] + "html", "w").write(text)
"""


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/nbconvert.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    (tmp_path / "kit").mkdir()
    return tmp_path / "kit"


def test_no_script_of_a_notebook_runs(kit: Path) -> None:
    script = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    (kit / "small_starting_kit.ipynb").write_text(f"<head></head>{script}")
    assert render(kit, "small") == ""
    page = kit / "small_starting_kit.html"
    assert page.read_text() == f"{HEAD}</head>{script}"
    assert HEAD.index("<meta") < HEAD.index("script-src 'none'")  # the policy comes first
    assert page.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in kit.iterdir()) == [page.name, "small_starting_kit.ipynb"]


def test_a_link_leads_nowhere(kit: Path, tmp_path: Path) -> None:
    """A repository may hold links: neither is what they lead to shown, nor written."""
    secret = tmp_path / "secret"
    secret.write_text("<head>mine")
    (kit / "small_starting_kit.ipynb").symlink_to(secret)
    (kit / "small_starting_kit.html").symlink_to(secret)
    said = "no notebook rendered: small_starting_kit.ipynb is no plain file"
    assert render(kit, "small") == said
    assert [path.name for path in kit.iterdir()] == ["small_starting_kit.ipynb"]
    (kit / "small_starting_kit.ipynb").unlink()
    (kit / "small_starting_kit.ipynb").write_text("<head>theirs")
    (kit / "small_starting_kit.html").symlink_to(secret)
    assert render(kit, "small") == ""
    assert not (kit / "small_starting_kit.html").is_symlink()
    assert secret.read_text() == "<head>mine"


def test_a_page_of_another_notebook_does_not_stay(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_shown() -> bool:
        (kit / "small_starting_kit.html").write_text("of another, with <script>")
        said.append(render(kit, "small"))
        return (kit / "small_starting_kit.html").exists()

    said: list[str] = []
    assert not is_shown()  # there is no notebook
    for text in (
        "#!raise ValueError('no\\x1b notebook')",
        "#!sys.exit('\\x1b[2Jbroken')",
        "no page",
        "<head>" + "x" * 1000,
    ):
        (kit / "small_starting_kit.ipynb").write_text(text)
        monkeypatch.setattr(notebook, "MAX_SIZE", 1000)
        assert not is_shown()
    (kit / "small_starting_kit.ipynb").write_text("#!while True: pass")
    monkeypatch.setattr(notebook, "SECONDS", 1)
    assert not is_shown()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not is_shown()
    assert said == [
        "",
        "no notebook rendered: ValueError: no� notebook",
        "no notebook rendered: �[2Jbroken",
        "no notebook rendered: the page of nbconvert has no <head>",
        "no notebook rendered: it is larger than 0 MB",
        "no notebook rendered: it took longer than 1 seconds",
        NOT_RENDERED,
    ]


def test_files_of_the_kit_are_neither_modules_nor_settings(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kit)
    for name in ("json.py", "sitecustomize.py", "nbconvert.py"):
        (kit / name).write_text("1 / 0")
    (kit / "small_starting_kit.ipynb").write_text(
        "<head>#!import json, os; assert os.listdir() == ['small_starting_kit.ipynb']"
    )
    assert render(kit, "small") == ""
