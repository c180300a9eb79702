"""An SSH host without root: one sshd as oneself, on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab import client

SSHD = Path("/usr/sbin/sshd")  # it starts itself anew for each connection, so an absolute path
PATIENCE = 10.0  # seconds
SETTINGS = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Loopback:
    """As a `LabHost` with its `Lab`: what a client needs to know."""

    folder: Path
    port: int
    user: str
    name: str = "loopback"
    address: str = "127.0.0.1"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def ssh(self) -> list[str]:
        """The words of ssh(1) before the command that is to be run there."""
        return client.ssh(self.key, self.known_hosts, self.port, f"{self.user}@{self.address}")


@contextlib.contextmanager
def loopback(folder: Path) -> Iterator[Loopback]:
    """Start it with keys of its own in an empty folder; end it afterwards."""
    folder = folder.resolve()
    for name in ("key", "host_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd gives up its rights there
    user = pwd.getpwuid(os.geteuid()).pw_name
    for _ in range(5):  # someone else may take the free port first
        host = Loopback(folder, free_port(), user)
        (folder / "sshd_config").write_text(SETTINGS.format(port=host.port, folder=folder))
        process = subprocess.Popen(
            [SSHD, "-D", "-f", folder / "sshd_config", "-E", folder / "log"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if listens(process, host):
                key = (folder / "host_key.pub").read_text()
                host.known_hosts.write_text(f"[{host.address}]:{host.port} {key}")
                yield host
                return
        finally:
            end(process)
    raise RuntimeError(f"sshd does not start.\n{(folder / 'log').read_text()}")


def listens(process: subprocess.Popen[bytes], host: Loopback) -> bool:
    """Wait until it takes connections; False when it has ended."""
    limit = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(ConnectionError):
            socket.create_connection((host.address, host.port)).close()
            return True
        time.sleep(0.01)
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End it, and the connections that it has."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    connections = children.read_text().split() if process.poll() is None else []
    process.kill()
    process.wait()
    for connection in connections:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(connection), signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
