"""What teams get of a kit: the bundle that they download, and its notebook as a page."""

from __future__ import annotations

import html
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from databoard.kittree import (
    BUNDLE,
    CHUNK,
    Copy,
    Where,
    is_left_out_of_kit,
    is_private_in_kit,
    is_public,
)

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can tell
NOT_RENDERED = "no notebook rendered: nbconvert is not installed"
PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<h1>{title}</h1>
<p>This page has {note}. The notebook itself is in the starting kit.</p>
</html>
"""


def bundle(kit: Path) -> bool:
    """Make the kit's starting_kit.zip of what is there now; False when it was so already.

    Raises KitError: a file that cannot be given to teams, such as a link out of the kit.
    """
    place = kit / BUNDLE
    with tempfile.TemporaryDirectory(dir=kit.parent, prefix=".bundling-") as folder:
        copy, made = Path(folder) / "kit", Path(folder) / BUNDLE
        root = kit.resolve()
        Copy(kit.name, root, copy, is_private_in_kit, _is_left_out).folder(root)
        make_bundle(copy, made, kit.name)
        if place.is_file() and place.read_bytes() == made.read_bytes():
            return False
        os.replace(made, place)
    return True


def make_bundle(kit: Path, path: Path, name: str) -> None:
    """Zip what teams download of a copied kit; of equal files the same bytes."""
    files = [Where(file.relative_to(kit)) for file in kit.rglob("*") if file.is_file()]
    with zipfile.ZipFile(path, "w") as bundle:
        for where in sorted(filter(is_public, files), key=lambda where: str(where).encode()):
            member = zipfile.ZipInfo(f"{name}/{where}", EARLIEST)
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3  # Unix
            member.external_attr = (kit / where).stat().st_mode << 16
            with (
                open(kit / where, "rb") as file,
                bundle.open(member, "w", force_zip64=True) as inside,
            ):
                shutil.copyfileobj(file, inside, CHUNK)


def render_notebook(notebook: Path) -> str:
    """Write NOTEBOOK.html beside it; nothing in it is run. Returns why not, if it cannot be."""
    if importlib.util.find_spec("nbconvert") is None:
        return NOT_RENDERED
    done = subprocess.run(
        # -P: a kit's files do not stand in for modules
        [sys.executable, "-P", "-m", "nbconvert", "--to=html", str(notebook)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if not done.returncode:
        return ""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()] or ["it failed"]
    errors = [line for line in lines if re.match(r"[\w.]+: ", line)]
    return f"no notebook rendered: {(errors or lines)[-1]}"


def _is_left_out(where: Where) -> bool:
    return is_left_out_of_kit(where) or is_private_in_kit(where)


def notebook_of(kit: Path) -> Path:
    """Where the notebook of a kit is, if it has one."""
    return kit / f"{kit.name}_starting_kit.ipynb"


def write_page(notebook: Path) -> str:
    """Render the notebook, or else write a page that says why not. Returns why not."""
    note = render_notebook(notebook)
    if note:
        text = PAGE.format(title=html.escape(notebook.stem), note=html.escape(note))
        notebook.with_suffix(".html").write_text(text)
    return note
