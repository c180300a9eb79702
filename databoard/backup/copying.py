"""Copying the deployment's files into a snapshot; what has not changed becomes a hard link."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from databoard.backup.store import Store
from databoard.errors import DataboardError
from databoard.fleet.machine import Output

FOLDERS = ("submissions", "ramp-kits", "ramp-data", "problems", "uploaded")
UNFINISHED = ".unfinished"  # ends the name of a folder of what a restore has replaced
HALF_DONE = ("/submissions/.*", ".incoming-*")  # what is being stored, and our own notes
PASSES = 5
VANISHED = 24  # rsync's exit code: files were removed meanwhile
# What rsync has sent, but for what is new of submissions: no row in the dump has it.
_CHANGED = re.compile(r"[<>]f(?!\++ submissions/)\S* (.*)")


@contextmanager
def held(deployment: Path) -> Iterator[bool]:
    """Whether nobody else takes or restores a snapshot of a deployment; meanwhile nobody will."""
    descriptor = os.open(deployment, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def check_restored(deployment: Path) -> None:
    """Raise DataboardError where a restore was broken off: files and database may not agree."""
    for kept in deployment.glob(f"*{UNFINISHED}"):
        raise DataboardError(
            f"A restore was broken off; the files of before are in {kept}.",
            "Repeat it: inv restore latest --yes",
        )


def filters() -> list[str]:
    """What of a deployment goes into a snapshot, for rsync."""
    return [
        *(f"--exclude={pattern}" for pattern in HALF_DONE),
        *(f"--include=/{folder}" for folder in FOLDERS),
        "--exclude=/*",
    ]


def copy_files(deployment: Path, store: Store, path: str, base: str | None) -> None:
    """Copy to `path` among the snapshots; links go to the snapshot `base`.

    Again until nothing has changed since the copying before.

    Raises DataboardError: a file cannot be read, or changes all the time; StoreError.
    """
    # to the nanosecond: what changes within a second, to the same size, has changed
    options = [*filters(), "--itemize-changes", "--modify-window=-1"]
    if base is not None:
        options.append(f"--link-dest={store.folder}/{base}/files")
    changed: list[str] = []
    for number in range(PASSES):
        output = store.push(deployment, path, options)
        if output.code not in (0, VANISHED):
            raise DataboardError(f"The files cannot be copied: {reason(output)}")
        lines = output.text.splitlines()
        changed = [match[1] for line in lines if (match := _CHANGED.match(line))]
        if number and not changed and output.code == 0:
            return
    what = changed[0] if changed else "something"
    raise DataboardError(
        f"The files change all the time while they are copied, such as {what}.",
        "Repeat the command when nobody works on them.",
    )


def reason(output: Output) -> str:
    """Why rsync failed: its first line that names a file, or says why."""
    lines = [line for line in output.text.splitlines() if line.startswith("rsync")]
    first = lines[0] if lines else output.last
    return re.sub(r"^rsync(: | error: )(\[\w+\] )?", "", first).rstrip(".")
