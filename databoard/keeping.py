"""Nothing that a snapshot may need goes while it is taken: it is noted, and goes afterwards.

`submissions` is the folder of all submissions, which everybody who removes may write to.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".snapshot"
NOTES = ".to-remove"


def remove(submissions: Path, path: Path) -> None:
    """Remove a file, a link or a folder, now or when the snapshot that is being taken is done.

    Raises OSError.
    """
    with _shared(submissions) as is_free:
        if is_free:
            return _remove(path)
    _note(submissions, path)
    remove_noted(submissions)  # if the snapshot ended in this moment


@contextmanager
def keeping(submissions: Path) -> Iterator[None]:
    """While a snapshot is taken; what one that was killed has left goes before."""
    remove_noted(submissions)
    with _opened(submissions) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    remove_noted(submissions)


def remove_noted(submissions: Path) -> None:
    """Remove what is noted, unless a snapshot is being taken."""
    with _shared(submissions) as is_free:
        if not is_free:
            return
        for note in (submissions / NOTES).glob("*"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                about = json.loads(note.read_text())
                path = Path(about["path"])
                # Something else may have its name by now; and a note may be anybody's.
                if _is_within(submissions.parent, path) and _is(path) == about["is"]:
                    _remove(path)
                note.unlink()


def _note(submissions: Path, path: Path) -> None:
    folder = submissions / NOTES
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(submissions.stat().st_mode & 0o7777)  # for whoever may remove there
    if not path.is_symlink() and not path.exists():
        return
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        json.dump({"path": str(path), "is": _is(path)}, file)


def _is_within(deployment: Path, path: Path) -> bool:
    there = path.parent.resolve()
    return os.path.lexists(path) and deployment.resolve() in (there, *there.parents)


def _is(path: Path) -> list[int]:
    status = path.lstat()
    return [status.st_ino, status.st_mtime_ns]


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextmanager
def _shared(submissions: Path) -> Iterator[bool]:
    """Whether no snapshot is being taken; meanwhile none begins."""
    with _opened(submissions) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def _opened(submissions: Path) -> Iterator[int]:
    submissions.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(submissions / LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
