"""The packages that hosts need, downloaded once, here: hosts need no index."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from databoard.config import cache_folder
from databoard.errors import DataboardError
from databoard.fleet.source import put_in_place

OLDEST_GLIBC = 17  # of the manylinux tags that there are


@dataclass(frozen=True)
class Platform:
    """What wheels must fit to."""

    python: str  # '3.11'
    machine: str  # 'x86_64'
    glibc: int  # 36 of 2.36

    @property
    def tags(self) -> list[str]:
        """The platform tags of PEP 600 that a host takes, the newest first."""
        newest_first = range(self.glibc, OLDEST_GLIBC - 1, -1)
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in newest_first]
        return [*tags, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


def environment_key(lock: Path, platform: Platform) -> str:
    """The name of the virtual environment that a lock file makes on such a host."""
    text = lock.read_bytes() + f"{platform.python} {platform.machine}".encode()
    return hashlib.sha256(text).hexdigest()[:16]


def download(lock: Path, platform: Platform) -> Path:
    """The folder with the wheels of a lock file, whose hashes were checked.

    Raises DataboardError when they cannot be had.
    """
    folder = cache_folder() / "wheels" / environment_key(lock, platform)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = tempfile.mkdtemp(dir=folder.parent, prefix=".partial-")
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
                *("--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"),
                *("--implementation", "cp", "--python-version", platform.python),
                *(f"--platform={tag}" for tag in platform.tags),
                *("--dest", partial, "--requirement", str(lock)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = [line for line in done.stderr.splitlines() if "ERROR" in line] or [""]
            raise DataboardError(
                f"The packages for Python {platform.python} on {platform.machine} cannot be "
                f"downloaded: {reason[-1].removeprefix('ERROR: ') or 'pip failed'}",
                "Check the network, and that each package in requirements.lock has a wheel.",
            )
        shutil.copyfile(lock, Path(partial, lock.name))
        os.chmod(partial, 0o755)  # noqa: S103 - nothing in it is secret
        put_in_place(Path(partial), folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
