"""One SSH connection per host: scripts and rsync share it.

The connection is Fabric's. rsync's own `ssh` is replaced by `bridge.py`, which hands rsync's pipes
to this process, so that a push needs no second connection and no second authentication.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from paramiko import Channel, SSHException, Transport

from databoard.fleet.inventory import Host
from databoard.fleet.machine import (
    ConnectionLost,
    Output,
    Sink,
    first_line,
    readable,
    rsync_command,
    rsync_path,
)
from databoard.fleet.shell import as_root, words

if TYPE_CHECKING:
    from fabric import Connection

BRIDGE = Path(__file__).with_name("bridge.py")
CHUNK = 65536
LEAST_IN_FLIGHT = 256 * 1024


class SshMachine:
    """A host behind an open connection.

    It is given up when it has not answered for `silence` seconds. `requests` counts the channels
    that were opened on it.
    """

    def __init__(self, host: Host, connection: Connection, silence: float) -> None:
        self.silence = silence
        self.host = host
        self.connection = connection
        self.transport = connection.client.get_transport()
        self.requests = 0
        self.is_root = host.user == "root" or not host.becomes_root
        self.transport.set_keepalive(max(1, int(silence / 4)))
        if isinstance(self.transport.sock, socket.socket):
            self.transport.sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence * 1000)
            )

    def run(self, script: str, stdin: bytes = b"", sink: Sink | None = None) -> Output:
        chunks: list[bytes] = []
        with self._opened(as_root(script, self.is_root)) as channel:
            if stdin:
                channel.sendall(stdin)
            channel.shutdown_write()
            while chunk := channel.recv(CHUNK):
                (sink or chunks.append)(chunk)
            code = channel.recv_exit_status()
        if code == -1:
            raise ConnectionLost(self.host)
        return Output(code, readable(b"".join(chunks)))

    def hold(self, script: str) -> HeldChannel:
        bash = f"exec {words('bash', '--norc', '-euc', script)}"
        return HeldChannel(self._open(as_root(bash, self.is_root)))

    def push(
        self, source: Path, destination: str, options: Sequence[str] = (), before: str = ""
    ) -> Output:
        return self._rsync(source, f"{self.host.name}:{destination}", options, before)

    def pull(self, source: str, destination: Path, options: Sequence[str] = ()) -> Output:
        return self._rsync(f"{self.host.name}:{source}", destination, options)

    def _rsync(
        self, source: object, destination: object, options: Sequence[str], before: str = ""
    ) -> Output:
        with tempfile.TemporaryDirectory(prefix="databoard-") as folder:
            path = os.path.join(folder, "rsync")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen(1)
                carrier = Thread(target=self._carry, args=[listener], daemon=True)
                carrier.start()
                program = words(sys.executable, "-I", "-S", str(BRIDGE), path)
                done = subprocess.run(
                    rsync_command(
                        source,
                        destination,
                        [
                            f"--rsh={program}",
                            f"--rsync-path={rsync_path(before, self.is_root)}",
                            f"--timeout={int(self.silence)}",
                            *options,
                        ],
                    ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)  # wakes a carrier that was never called
                carrier.join()
        if not self.transport.is_active():
            raise ConnectionLost(self.host)
        return Output(done.returncode, readable(done.stdout))

    def close(self) -> None:
        self.connection.close()

    def _carry(self, listener: socket.socket) -> None:
        """Run the command that rsync asks for, with rsync's pipes, and tell it the exit code."""
        with suppress(OSError, SSHException, ConnectionLost), listener.accept()[0] as caller:
            command, pipes, _, _ = socket.recv_fds(caller, 1 << 20, 3)
            with (
                FileIO(pipes[0]) as stdin,
                FileIO(pipes[1], "w") as stdout,
                FileIO(pipes[2], "w") as stderr,
                self._opened(command.decode(), combined=False) as channel,
            ):
                channel.out_window_size = min(channel.out_window_size, in_flight(self.transport))
                carry(channel, stdin, stdout, stderr)
                caller.sendall(bytes([channel.recv_exit_status() & 255]))

    @contextmanager
    def _opened(self, command: str, combined: bool = True) -> Iterator[Channel]:
        channel = self._open(command, combined)
        try:
            yield channel
        except (OSError, EOFError, SSHException) as error:
            raise ConnectionLost(self.host, error) from None
        finally:
            channel.close()

    def _open(self, command: str, combined: bool = True) -> Channel:
        self.requests += 1
        try:
            channel: Channel = self.transport.open_session(timeout=self.silence)
            channel.set_combine_stderr(combined)
            channel.exec_command(command)
        except (OSError, EOFError, SSHException) as error:
            raise ConnectionLost(self.host, error) from None
        return channel


class HeldChannel:
    """A held script at the other end of a channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.first_line = first_line(lambda: channel.recv(1))

    def write(self, line: str) -> None:
        self.channel.sendall(line.encode() + b"\n")

    def close(self) -> None:
        with suppress(OSError, EOFError):
            self.channel.shutdown_write()
            while self.channel.recv(CHUNK):
                pass
        self.channel.close()


def in_flight(transport: Transport) -> int:
    """How many bytes may be on their way to a host before it has taken them.

    As many as the round trip asks for at 40 MB/s, and no more: what comes faster than rsync takes
    it piles up in the buffers of the host's sshd, which grows them at great cost.
    """
    round_trip = 0.0
    if isinstance(transport.sock, socket.socket):
        info = transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)
        round_trip = struct.unpack_from("I", info, 68)[0] / 1e6  # tcpi_rtt
    return max(LEAST_IN_FLIGHT, int(round_trip * 40e6))


def carry(channel: Channel, stdin: FileIO, stdout: FileIO, stderr: FileIO) -> None:
    """Carry bytes both ways until the command has ended."""

    def carry_input() -> None:  # goes on until rsync ends, which waits for the exit code
        with suppress(OSError, EOFError, ValueError):
            while chunk := stdin.read(CHUNK):
                channel.sendall(chunk)
            channel.shutdown_write()

    def carry_errors() -> None:
        with suppress(OSError, EOFError):
            while chunk := channel.recv_stderr(CHUNK):
                write_all(stderr, chunk)

    errors = Thread(target=carry_errors, daemon=True)
    errors.start()
    Thread(target=carry_input, daemon=True).start()
    with suppress(OSError, EOFError):
        while chunk := channel.recv(CHUNK):
            write_all(stdout, chunk)
    errors.join()


def write_all(sink: FileIO, data: bytes) -> None:
    while data:
        data = data[sink.write(data) or 0 :]
