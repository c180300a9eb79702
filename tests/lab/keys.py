"""Secrets of a lab."""

from __future__ import annotations

import os
from pathlib import Path

from tests.lab.shell import run


def new_key(path: Path) -> str:
    """Make a key without a passphrase; returns its public half."""
    path.unlink(missing_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", path)
    return Path(f"{path}.pub").read_text().strip()


def write_secret(path: Path, text: str) -> None:
    """Write a file that is its owner's alone."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
