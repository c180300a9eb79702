"""The machine that Databoard runs on: no SSH, and no root."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from databoard.children import dying_with_us
from databoard.fleet.inventory import Host
from databoard.fleet.machine import Held, Output, Sink, first_line, readable, rsync_command


class ThisMachine:
    """Runs scripts as the current user."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def run(self, script: str, stdin: bytes = b"", sink: Sink | None = None) -> Output:
        chunks: list[bytes] = []
        with start(["sh", "-euc", script]) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(stdin)
            process.stdin.close()
            while chunk := process.stdout.read(65536):
                (sink or chunks.append)(chunk)
        return Output(process.returncode, readable(b"".join(chunks)))

    def hold(self, script: str) -> Held:
        return HeldProcess(script)

    def push(
        self, source: Path, destination: str, options: Sequence[str] = (), before: str = ""
    ) -> Output:
        if before and (first := self.run(before)).code:
            return first
        return copy(source, destination, options)

    def pull(self, source: str, destination: Path, options: Sequence[str] = ()) -> Output:
        return copy(source, destination, options)

    def close(self) -> None:
        """Nothing is held."""


class HeldProcess:
    """A held script on this machine."""

    def __init__(self, script: str) -> None:
        self.process = start(["bash", "--norc", "-euc", script])
        stdout = self.process.stdout
        assert stdout is not None
        self.first_line = first_line(lambda: stdout.read(1))

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    def close(self) -> None:
        self.process.communicate()


def copy(source: object, destination: object, options: Sequence[str]) -> Output:
    """rsync from folder to folder."""
    done = subprocess.run(
        dying_with_us(rsync_command(source, destination, options)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return Output(done.returncode, readable(done.stdout))


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
