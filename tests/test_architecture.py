"""The house rules: floors, and what a process of the training may know."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = [
    {"errors", "names", "files", "config", "yamlfile", "children", "keeping"},
    {
        *("model", "migration", "database", "dump", "lookup"),
        *("kits", "folds", "submitted", "predictions", "apart", "pgtools"),
    },
    {
        *(
            "catalogue",
            "events",
            "event_settings",
            "people",
            "teams",
            "batch",
            "roster",
            "mail",
            "smtp",
            "manifest",
            "convergence",
            "plugins",
        ),
        *(
            "environments",
            "kitdata",
            "kitpack",
            "kittree",
            "kitcheck",
            "kitsource",
            "notebook",
            "listing",
            "removal",
        ),
        *("access", "accounts", "interactions", "joining", "notices", "sandboxes", "sitekey"),
        *("submissions", "waiting", "deposits", "quota", "credits"),
        *("ranking", "leaderboard", "export"),
        *("ensemble", "contributivity", "blender", "blending", "score_bounds"),
    },
    {"fleet", "training", "backup"},
    {"web", "tasks"},
]
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def rooms() -> dict[str, list[Path]]:
    """Each room and its files."""
    found: dict[str, list[Path]] = {"tasks": [ROOT / "tasks.py", *(ROOT / "tasks").glob("*.py")]}
    for path in (ROOT / "databoard").rglob("*.py"):
        room = path.relative_to(ROOT / "databoard").parts[0].removesuffix(".py")
        if room not in ("__init__", "specific"):
            found.setdefault(room, []).append(path)
    return found


def imports_of(path: Path) -> set[str]:
    """The rooms that a file imports from, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    parts = [name.split(".") for name in names]
    inside = {part[1] for part in parts if part[0] == "databoard" and len(part) > 1}
    return (inside | {part[0] for part in parts if part[0] == "tasks"}) - {"__version__"}


def test_every_room_has_a_floor() -> None:
    assert set(rooms()) == set(FLOOR_OF)


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_rooms_import_from_their_own_floor_or_below(room: str) -> None:
    for path in rooms()[room]:
        too_high = {name for name in imports_of(path) if FLOOR_OF[name] > FLOOR_OF[room]}
        assert not too_high, f"{path.relative_to(ROOT)} imports {too_high}"


def test_rooms_do_not_import_each_other_in_circles() -> None:
    graph = {room: set().union(*map(imports_of, paths)) - {room} for room, paths in rooms().items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_what_runs_submitted_code_knows_no_database() -> None:
    script = (
        "import sys; from databoard.training import forkserver; "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"sqlalchemy", "psycopg2", "flask", "alembic"} & set(done.stdout.split())


def test_files_hold_one_subject() -> None:
    for paths in rooms().values():
        for path in paths:
            assert len(path.read_text().splitlines()) <= 350, path
