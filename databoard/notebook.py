"""Notebooks of kits, rendered to pages in which nothing runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from databoard.errors import KitError
from databoard.files import open_plain
from databoard.names import one_line

NOT_RENDERED = "no notebook rendered: nbconvert is not installed"
MAX_SIZE = 50 * 1024**2
SECONDS = 300
# Notebooks hold whatever their authors' programs wrote: it is shown, and none of it is run.
POLICY = (
    "script-src 'none'; object-src 'none'; frame-src 'none'; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)
HEAD = f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">'


def render(kit: Path, name: str) -> str:
    """Write NAME_starting_kit.html of the kit's notebook; without one, or when it cannot be
    rendered, remove it. Returns why it cannot be."""
    notebook = kit / f"{name}_starting_kit.ipynb"
    page, why = notebook.with_suffix(".html"), ""
    if os.path.lexists(notebook):
        try:
            _render(notebook, page)
            return ""
        except KitError as error:
            why = error.message
    page.unlink(missing_ok=True)  # it would show another notebook
    return why


def replace(path: Path, source: Path) -> None:
    """Copy a file to the place of another, or of a link: readers see the old one or the new."""
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        shutil.copy2(source, new)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


def _render(notebook: Path, page: Path) -> None:
    """Write the page. Raises KitError."""
    if importlib.util.find_spec("nbconvert") is None:
        raise KitError(NOT_RENDERED)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / notebook.name
        copy.write_bytes(_read(notebook))
        _convert(copy)
        made = copy.with_suffix(".html")
        text = made.read_text(encoding="utf-8", errors="replace")
        if "<head>" not in text:
            raise KitError("no notebook rendered: the page of nbconvert has no <head>")
        made.write_text(text.replace("<head>", HEAD, 1), encoding="utf-8")
        made.chmod(0o644)
        replace(page, made)


def _read(notebook: Path) -> bytes:
    try:
        file = open_plain(notebook)
    except OSError:
        file = None
    if file is None:
        raise KitError(f"no notebook rendered: {notebook.name} is no plain file")
    with file:
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise KitError(f"no notebook rendered: it is larger than {MAX_SIZE // 1024**2} MB")
    return content


def _convert(notebook: Path) -> None:
    """Write NOTEBOOK.html beside it. Raises KitError."""
    try:
        done = subprocess.run(
            # -P, and a folder of its own: a kit's files are neither modules nor settings
            [sys.executable, "-P", "-m", "nbconvert", "--to=html", str(notebook)],
            cwd=notebook.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise KitError(f"no notebook rendered: it took longer than {SECONDS} seconds") from None
    if done.returncode:
        lines = [one_line(line) for line in done.stdout.splitlines() if line.strip()]
        lines = lines or ["it failed"]
        errors = [line for line in lines if re.match(r"[\w.]+: ", line)]
        raise KitError(f"no notebook rendered: {(errors or lines)[-1]}")
