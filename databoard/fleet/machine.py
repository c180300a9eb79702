"""A host that can be worked on: scripts are run on it as root, and files are pushed to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from databoard.errors import DataboardError
from databoard.fleet.inventory import Host
from databoard.fleet.shell import words

Sink = Callable[[bytes], None]
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Output:
    """How a command ended, and what it wrote, errors included."""

    code: int
    text: str

    @property
    def last(self) -> str:
        """Its last line that is not empty."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}"


def readable(said: bytes) -> str:
    """Text that is safe on a terminal: logs hold what strangers have typed."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", said.decode(errors="replace"))


class ConnectionLost(DataboardError):
    """The connection to a host broke while it was used."""

    def __init__(self, host: Host, reason: object = "") -> None:
        why = f": {reason}" if str(reason) else ""
        super().__init__(
            f"The connection to {host.name} ({host.address}) was lost{why}.",
            "What was done there is told by: inv status",
        )


class Held(Protocol):
    """A script that stays until it is let go, or its connection ends."""

    first_line: str  # that begins with @

    def write(self, line: str) -> None:
        """Send it a line. Raises OSError when it is gone."""

    def close(self) -> None:
        """End its input, and wait for it."""


class Machine(Protocol):
    """What a runbook needs of a host."""

    host: Host

    def run(self, script: str, stdin: bytes = b"", sink: Sink | None = None) -> Output:
        """Run a shell script as root; a `sink` gets the output as it comes.

        Raises ConnectionLost.
        """

    def hold(self, script: str) -> Held:
        """Start a bash script that stays. Raises ConnectionLost."""

    def push(
        self, source: Path, destination: str, options: Sequence[str] = (), before: str = ""
    ) -> Output:
        """rsync the content of a folder to a folder there, once the script `before` has run.

        Raises ConnectionLost.
        """

    def pull(self, source: str, destination: Path, options: Sequence[str] = ()) -> Output:
        """rsync the content of a folder there to a folder here. Raises ConnectionLost."""

    def close(self) -> None:
        """Let go of it."""


def first_line(read_byte: Callable[[], bytes]) -> str:
    """The first line that begins with @, as others are of a talkative login shell; without one
    the last line."""
    line, last = bytearray(), ""
    while byte := read_byte():
        if byte != b"\n":
            line += byte
            continue
        last = line.decode(errors="replace")
        if last.startswith("@"):
            return last
        line.clear()
    return line.decode(errors="replace") or last


def rsync_command(source: object, destination: object, options: Sequence[str]) -> list[str]:
    """The rsync of a folder's content.

    Modes and times come along, owners do not; `--secluded-args` keeps names away from the shell.
    """
    return [
        "rsync",
        "--recursive",
        "--links",
        "--perms",
        "--times",
        "--omit-dir-times",
        "--secluded-args",
        *options,
        f"{source}/",
        f"{destination}/",
    ]


def rsync_path(before: str, is_root: bool) -> str:
    """The program at the other end of rsync: a script first, then rsync, both as root."""
    script = f'{before}\nexec rsync "$@"' if before else 'exec rsync "$@"'
    return ("" if is_root else "sudo -n ") + words("sh", "-euc", script, "rsync")
