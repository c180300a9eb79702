"""Folders for what is on its way, such as dumps: for their owner alone, and never left behind.

They are in the folder of the submissions: the disk that is made for data. Snapshots leave them out.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".scratch-"
LOCK = ".scratch"


@contextmanager
def folder(submissions: Path) -> Iterator[Path]:
    """An empty folder, meanwhile; those of processes that were killed are removed first."""
    submissions.mkdir(parents=True, exist_ok=True)
    with _locked(submissions / LOCK):  # nobody takes one for a leftover that is being made
        for left in submissions.glob(f"{PREFIX}*"):
            _remove_left(left)
        path = Path(tempfile.mkdtemp(dir=submissions, prefix=PREFIX))
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _remove_left(path: Path) -> None:
    """Remove a folder whose lock has ended with its process."""
    with suppress(OSError):  # in use, gone by now, or somebody else's
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
