"""What a machine has to have so that a lab can be on it."""

from __future__ import annotations

import os
import re

from databoard.errors import DataboardError
from tasks.development import PARTS
from tests.lab.shell import run

NEEDED = (
    *("systemd", "sshd", "ip", "nft", "rsync", "sudo", "cron", "venv"),
    *("apache2", "mod_wsgi", "logrotate", "postgresql"),
)
MOST = 200  # the machine's address is .1, the hosts' are from .11 on


def check_machine() -> None:
    """Raises DataboardError when there can be no lab here."""
    if os.geteuid() != 0:
        raise DataboardError("Only root can start a lab.", "Call it with sudo.")
    missing = sorted({PARTS[name].package for name in NEEDED if PARTS[name].find() is None})
    if missing:
        raise DataboardError(
            f"A lab needs Debian packages that are missing: {', '.join(missing)}.",
            f"apt-get install --no-install-recommends {' '.join(missing)}",
        )
    if run("unshare", "--mount", "true", check=False).returncode:
        raise DataboardError(
            "This machine lets nobody make namespaces, so no lab.", "Use one that is no container."
        )


def check_names(count: int, tag: str) -> None:
    """Raises DataboardError."""
    if not 1 <= count <= MOST:
        raise DataboardError(f"A lab has 1 to {MOST} hosts.", "Choose another number.")
    if not re.fullmatch("[a-z][a-z0-9]{0,8}", tag):
        raise DataboardError(f"{tag!r} is no tag.", "Use at most nine small letters and digits.")
