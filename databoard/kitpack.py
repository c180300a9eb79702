"""A kit made ready to be sent: its data made, its files checked and copied, its bundle zipped.

PACK/kit/     the kit, with starting_kit.zip and the rendered notebook
PACK/data/    data that lies apart from it, in ramp-data/; may be missing
PACK/digest   of what scores depend on: the data, problem.py and external_imports/
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from databoard import environments, kits, notebook
from databoard.config import Settings, cache_folder
from databoard.errors import DataboardError
from databoard.kitdata import make_data
from databoard.kittree import (
    BUNDLE,
    CHUNK,
    DIGEST,
    DIGEST_IN_KIT,
    PAGE,
    Copy,
    Where,
    digest_of,
    finish,
    is_left_out_of_kit,
    is_private_in_kit,
    is_public,
)

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can tell


@dataclass(frozen=True)
class Pack:
    """A kit as it is sent."""

    name: str
    folder: Path
    digest: str
    size: int  # bytes
    notes: tuple[str, ...] = ()  # what a person ought to know
    requirements: str | None = None  # of the environment that it was checked in


@contextmanager
def packed(
    name: str, kit: Path, settings: Settings, requirements: str | None = None
) -> Iterator[Pack]:
    """The kit, checked in its environment and copied to a folder that is there meanwhile.

    Raises KitError, EnvironmentFailed; DataboardError when it is packed by somebody else just now.
    """
    with workplace(name) as folder:
        python = environments.ensure(settings, requirements)
        made = make_data(kit, settings.data_path, python)
        kits.inspect_kit(kit, settings.data_path, python)
        place = kits.data_path_of(kit, settings.data_path)
        result = pack(name, kit, place if place != kit else None, folder)
        notes = [f"made its data with {way}" for way in made]
        yield replace(result, notes=(*notes, *result.notes), requirements=requirements)


def pack(name: str, kit: Path, data: Path | None, folder: Path) -> Pack:
    """Copy a kit, and the data that lies apart from it, to an empty folder. Raises KitError."""
    root, copy = kit.resolve(), folder / "kit"
    of_kit = Copy(name, root, copy, is_private_in_kit, is_left_out_of_kit)
    of_kit.folder(root)
    of_data: dict[str, str] = {}
    if data:
        root = data.resolve()
        Copy(name, root, folder / "data", lambda where: True, digests=of_data).folder(root)
    digest = digest_of(of_kit.digests, of_data)
    make_bundle(copy, copy / BUNDLE, name)
    note = notebook.render(copy, name)
    # Folders in data/ are not seen by a worker that looks whether a kit has changed; the digest
    # beside problem.py is.
    digests = folder / DIGEST, copy / DIGEST_IN_KIT
    for path in digests:
        path.write_text(f"{digest}\n")
    for path in (*digests, copy / BUNDLE, copy / f"{name}{PAGE}"):
        if path.is_file():
            with open(path, "rb") as file:
                finish(path, hashlib.file_digest(file, "sha256").digest())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Pack(name, folder, digest, size, (note,) if note else ())


def bundle(name: str, settings: Settings) -> tuple[Path, tuple[str, ...]]:
    """Write starting_kit.zip and the rendered notebook into the kit's own folder.

    Returns where the zip is, and notes. Raises KitError.
    """
    kit = kits.place_kit(kits.find_kit(name, settings.kits_path), settings.kits_path)
    with workplace(name) as folder:
        result = pack(name, kit, None, folder)
        for file in (BUNDLE, f"{name}{PAGE}"):
            if (folder / "kit" / file).is_file():
                notebook.replace(kit / file, folder / "kit" / file)
    return kit / BUNDLE, result.notes


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


@contextmanager
def workplace(name: str) -> Iterator[Path]:
    """An empty folder that nobody else may read; it is removed in the end."""
    base = cache_folder() / "problems"
    base.mkdir(parents=True, exist_ok=True)
    base.chmod(0o700)
    with open(base / f".{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataboardError(
                f"The kit {name} is packed on this machine already.", "Wait for it."
            ) from None
        folder = base / name
        shutil.rmtree(folder, ignore_errors=True)  # left by one that was killed
        folder.mkdir()
        folder.chmod(0o700)  # and so is its copy on a host until it is whole
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
