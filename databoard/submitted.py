"""The files of a submission: exactly one per workflow element, read, fingerprinted, stored."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from databoard.errors import InvalidValue
from databoard.files import open_plain
from databoard.model.problem import Workflow
from databoard.names import printable

MAX_FILE_SIZE = 100 * 1024**2
IGNORED = ("__pycache__", "training_output")  # left behind by ramp-test


@dataclass(frozen=True)
class SubmittedFile:
    """One file of a submission, read."""

    name: str
    content: bytes


def read_files(path: Path, workflow: Workflow) -> list[SubmittedFile]:
    """Read the files of a submission: exactly one per workflow element.

    A code element `x` is the file `x.py`; a data or text element may have any suffix. Raises
    InvalidValue.
    """
    if path.is_file() and len(workflow.elements) == 1:
        present = {path.name: path}
    elif path.is_dir():
        present = {
            entry.name: entry
            for entry in sorted(path.iterdir())
            if not entry.name.startswith(".") and entry.name not in IGNORED
        }
    else:
        raise InvalidValue(f"There is no folder {path}.", "Give the folder with the files.")
    chosen: dict[str, Path] = {}
    for element in workflow.elements:
        wanted = element.type.name
        if element.type.kind == "code":
            matches = [file for file in present if file == f"{wanted}.py"]
        else:
            matches = [file for file in present if Path(file).stem == wanted]
        if len(matches) != 1:
            suffix = ".py" if element.type.kind == "code" else ".*"
            count = f"{len(matches)} files" if matches else "no file"
            raise InvalidValue(
                f"The submission has {count} {wanted}{suffix}.",
                f"The workflow {workflow.name} wants one file for each of: "
                f"{', '.join(workflow.element_names)}.",
            )
        chosen[matches[0]] = present[matches[0]]
    extra = sorted(set(present) - set(chosen))
    if extra:
        raise InvalidValue(
            f"The submission has a file {printable(extra[0])}, which the workflow "
            f"{workflow.name} does not know.",
            f"Leave just: {', '.join(chosen)}.",
        )
    return [SubmittedFile(name, _read(file)) for name, file in chosen.items()]


def digest_of(files: Sequence[SubmittedFile]) -> str:
    """A fingerprint of names and contents: SHA-256."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(f"{file.name}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return digest.hexdigest()


def store(files: Sequence[SubmittedFile], folder: Path) -> None:
    """Write the files into a new folder, whole or not at all."""
    root = folder.parent.parent
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".incoming-") as incoming:
        staged = Path(incoming) / folder.name
        staged.mkdir()
        for file in files:
            with (staged / file.name).open("xb") as target:
                target.write(file.content)
                target.flush()
                os.fsync(target.fileno())
        folder.parent.mkdir(exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)


def _read(path: Path) -> bytes:
    """Read a plain file: no link, no device, not too large. Raises InvalidValue."""
    try:
        file = open_plain(path)
    except OSError as error:
        raise InvalidValue(
            f"The file {printable(path.name)} cannot be read: {error.strerror}.",
            "Submit plain files, no links.",
        ) from error
    if file is None:
        raise InvalidValue(f"{printable(path.name)} is not a plain file.", "Submit plain files.")
    with file:
        content = file.read(MAX_FILE_SIZE + 1)
    if len(content) > MAX_FILE_SIZE:
        raise InvalidValue(
            f"The file {printable(path.name)} is larger than {MAX_FILE_SIZE // 1024**2} MB.",
            "Submit less.",
        )
    return content
