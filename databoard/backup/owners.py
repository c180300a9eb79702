"""Whose the files are: noted in a snapshot, and given back by root.

A line for each path whose user or group is not that of its folder: `user:group`, a space, the path.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from databoard.backup.checksums import records
from databoard.backup.copying import FOLDERS

FILE = "owners"


def note(deployment: Path, file: Path) -> None:
    """Write whose the files of a deployment are."""
    folders = [folder for folder in FOLDERS if (deployment / folder).exists()]
    if not folders:
        file.write_bytes(b"")
        return
    command = ["find", *folders, "-printf", "%u:%g %p\\0"]
    with (
        subprocess.Popen(command, cwd=deployment, stdout=subprocess.PIPE) as process,
        file.open("wb") as out,
    ):
        for owner, path in _differing(records(cast(BinaryIO, process.stdout))):
            out.write(owner + b" " + path + b"\0")


def give_back(file: Path, deployment: Path) -> None:
    """Let the files of a deployment be whose they were; only root can, for others it does nothing.

    A user or group that this machine does not have is left out.
    """
    if os.geteuid() != 0 or not file.exists():
        return
    with file.open("rb") as lines:
        noted = dict(_split(line) for line in records(lines))
    for folder in FOLDERS:
        if (deployment / folder).exists():
            _give(deployment, os.fsencode(folder), (-1, -1), noted)


def _give(deployment: Path, path: bytes, owner: tuple[int, int], noted: dict[bytes, bytes]) -> None:
    if path in noted:
        owner = _ids(noted[path])
    full = os.path.join(os.fsencode(deployment), path)
    mode = os.lstat(full).st_mode
    os.chown(full, *owner, follow_symlinks=False)
    if os.path.isdir(full) and not os.path.islink(full):
        os.chmod(full, mode & 0o7777)  # a changed owner takes the setgid bit away
        for entry in os.listdir(full):
            _give(deployment, os.path.join(path, entry), owner, noted)


def _ids(owner: bytes) -> tuple[int, int]:
    user, _, group = os.fsdecode(owner).partition(":")
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        uid = -1
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        gid = -1
    return uid, gid


def _differing(found: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Those of another owner than their folder; folders come before what is in them."""
    above: list[tuple[bytes, bytes]] = []  # the folders that the path is in, and their owners
    for record in found:
        owner, path = _split(record)[::-1]
        while above and not path.startswith(above[-1][0] + b"/"):
            above.pop()
        if not above or above[-1][1] != owner:
            yield owner, path
        above.append((path, owner))


def _split(record: bytes) -> tuple[bytes, bytes]:
    owner, _, path = record.partition(b" ")
    return path, owner
