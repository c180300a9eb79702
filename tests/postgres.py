"""A private PostgreSQL: its own cluster in a temporary folder, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2

ROLE = "databoard"
PASSWORD = "not-a-secret"
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 200
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `programs` is the folder of its psql, pg_dump and so on."""

    programs: Path
    folder: Path
    port: int

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    @contextlib.contextmanager
    def database(self, name: str, template: str = "template1") -> Iterator[str]:
        """The URL of a new database, dropped at the end whoever is still connected."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield self.url(name)
        finally:
            self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, as CREATE DATABASE wants it."""
        connection = psycopg2.connect(self.url())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@contextlib.contextmanager
def private_cluster(programs: Path) -> Iterator[Cluster]:
    """Start a cluster with the `initdb` and `pg_ctl` of a folder; remove it at the end.

    TCP connections need the password, those over the Unix socket in the cluster's folder do not.
    """
    folder = Path(tempfile.mkdtemp(prefix="databoard-pg-", dir=quick_place()))
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            give_away(folder)
        people = [f"--username={ROLE}", "--pwfile=password", "--auth-local=trust"]
        text = ["--encoding=UTF8", "--locale=C"]
        run(
            folder, programs / "initdb", *people, "--auth-host=password", *text, "--no-sync", "data"
        )
        with open(folder / "data/postgresql.conf", "a") as settings:
            settings.write(SETTINGS + f"unix_socket_directories = '{folder}'\n")
        port = start(folder, programs)
        try:
            yield Cluster(programs, folder, port)
        finally:
            run(folder, programs / "pg_ctl", "stop", "-D", "data", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def quick_place() -> Path:
    """Memory where there is plenty, as a new database is 8 MB of files; else /tmp.

    Never under TMPDIR: the path of a socket may have 103 characters.
    """
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 1024**3
    return memory if roomy else Path("/tmp")


def start(folder: Path, programs: Path) -> int:
    """Start the server and return its port; tries again if someone takes the free port first."""
    options = ["start", "-w", "-D", "data", "-l", "server.log"]
    for _ in range(5):
        port = free_port()
        with contextlib.suppress(RuntimeError):
            run(folder, programs / "pg_ctl", *options, "-o", f"-p {port}")
            return port
    raise RuntimeError(f"PostgreSQL does not start: {(folder / 'server.log').read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(folder: Path, program: Path, *arguments: str) -> None:
    """Run a program of PostgreSQL in a folder, as the folder's owner: it refuses to be root's."""
    owner = folder.stat()
    user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    command = [program, *arguments]
    with tempfile.TemporaryFile() as output:  # no pipe: the server would never close it
        result = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **(user if os.geteuid() == 0 else {}),
        )
        output.seek(0)
        if result.returncode:
            raise RuntimeError(f"{program.name} failed: {output.read().decode(errors='replace')}")


def give_away(folder: Path) -> None:
    """Make an unprivileged user the owner of a folder and its files."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    for path in (*folder.iterdir(), folder):
        os.chown(path, user.pw_uid, user.pw_gid)
