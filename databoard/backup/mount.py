"""A store behind sshfs: mounted for reading alone, and unmounted whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from databoard.backup.place import Place
from databoard.errors import DataboardError, NotFound


@contextmanager
def mounted(place: Place, folder: Path) -> Iterator[Place]:
    """The place as a folder of this machine, meanwhile.

    Raises NotFound without sshfs; DataboardError: the folder is in use, or cannot be mounted.
    """
    if shutil.which("sshfs") is None:
        raise NotFound("There is no sshfs on this machine.", "Debian: apt-get install sshfs")
    folder = folder.expanduser().absolute()
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
    if os.path.ismount(folder) or any(folder.iterdir()):
        raise DataboardError(
            f"{folder} is not empty, or something is mounted there.",
            f"Unmount it (fusermount3 -u {folder}), or let mount_path name another folder.",
        )
    known = f"UserKnownHostsFile={place.target().known_hosts}"
    options = ["ro", "BatchMode=yes", "StrictHostKeyChecking=yes", known, "ConnectTimeout=10"]
    if place.key:
        options += [f"IdentityFile={place.key}", "IdentitiesOnly=yes"]
    there = f"{place.user}@{place.host}:{place.path}"
    command = ["sshfs", "-p", str(place.port), "-o", ",".join(options), there, str(folder)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise DataboardError(
            f"{place} cannot be mounted at {folder}: {said[-1]}", "Try the same with ssh."
        )
    try:
        yield replace(Place(str(folder)), is_read_only=True)
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(folder)], check=False)
