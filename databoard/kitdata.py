"""A kit's data, made by the kit itself where it is not there yet."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from databoard import kits
from databoard.apart import PYTHON
from databoard.config import ROOT
from databoard.errors import KitError
from databoard.names import one_line

DOWNLOAD, PREPARE = "download_data.py", "prepare_data() of problem.py"
CALL = (
    "from pathlib import Path; from databoard.kits import load_problem; "
    "load_problem(Path.cwd()).prepare_data()"
)
ARGUMENTS = {DOWNLOAD: (DOWNLOAD,), PREPARE: ("-c", CALL)}


def make_data(kit: Path, data_path: Path, python: Path = PYTHON) -> list[str]:
    """Run what makes the kit's data until it is there, with `python`. Returns what was run.

    Raises KitError: it fails, and then leaves no half of the data; or there is no data after it.
    """
    made = []
    for way in ways(kit, data_path):
        if not has_data(kit, data_path):
            _run(way, kit, python)
            made.append(way)
    if made and not has_data(kit, data_path):
        place = kits.data_path_of(kit, data_path) / "data"
        raise KitError(
            f"{' and '.join(made)} of the kit {kit.name} left no data in {place}.",
            "It is run in the kit's folder, and writes to data/ there.",
        )
    return made


def ways(kit: Path, data_path: Path) -> list[str]:
    """What would make the data; nothing when it is there, or when the kit has no way."""
    if has_data(kit, data_path):
        return []
    has = {DOWNLOAD: (kit / DOWNLOAD).is_file(), PREPARE: _defines_prepare_data(kit)}
    return [way for way in ARGUMENTS if has[way]]


def has_data(kit: Path, data_path: Path) -> bool:
    """Whether there is a file to load; raw data is not loaded, it is what others are made of."""
    data = kits.data_path_of(kit, data_path) / "data"
    return any(
        path.is_file()
        and not path.name.startswith(".")
        and path.relative_to(data).parts[0] != "raw"
        for path in data.rglob("*")
    )


def _defines_prepare_data(kit: Path) -> bool:
    """Read, not run: to import a kit takes seconds."""
    try:
        tree = ast.parse((kit / "problem.py").read_bytes())
    except (SyntaxError, ValueError):
        return False  # the check of the kit tells why
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return "prepare_data" in names


def _run(way: str, kit: Path, python: Path) -> None:
    with _nothing_new_if_it_fails(kit / "data"):
        done = subprocess.run(
            [python, *ARGUMENTS[way]],
            cwd=kit,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            lines = done.stdout.decode(errors="replace").rstrip().splitlines()[-20:]
            said = "\n    ".join(map(one_line, lines)) or "It printed nothing."
            raise KitError(
                f"{way} of the kit {kit.name} failed (exit {done.returncode}):\n    {said}",
                f"Mend it in {kit}, or put the data into {kit / 'data'}.",
            )


@contextmanager
def _nothing_new_if_it_fails(folder: Path) -> Iterator[None]:
    """Half of the data would be taken for all of it the next time."""
    before = {folder, *folder.rglob("*")} if folder.exists() else set()
    try:
        yield
    except BaseException:
        for path in [folder, *folder.rglob("*")] if folder.exists() else ():
            if path in before:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        raise
