"""PostgreSQL's programs: told the password by a file that has no name on any disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL

from databoard.children import dying_with_us
from databoard.errors import DataboardError, NotFound


def run(url: URL, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run pg_dump or one of its like on a database. Raises NotFound without the program."""
    with started(url, *command) as process:
        said, errors = process.communicate(stdin)
    return subprocess.CompletedProcess(command, process.returncode, said, errors)


@contextmanager
def started(url: URL, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """The running program; it is killed if it is left. Raises as `run`."""
    if shutil.which(command[0]) is None:
        raise NotFound(
            f"There is no {command[0]} on this machine.",
            "Debian: apt-get install postgresql-client",
        )
    with (
        _password(url) as descriptor,
        subprocess.Popen(
            dying_with_us(command),
            env=_environment(url) | {"PGPASSFILE": f"/proc/self/fd/{descriptor}"},
            pass_fds=[descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def reason(errors: bytes) -> str:
    """Why a program failed: the first line that says so, without the program's name."""
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    told = next((line for line in lines if "error:" in line.lower()), lines[0] if lines else "")
    return re.sub(r"^\S+: (error: )?", "", told) or "it said nothing"


def failed(what: str, errors: bytes, hint: str) -> DataboardError:
    """What to tell a person."""
    return DataboardError(f"{what}: {reason(errors)}", hint)


# What libpq may be told in a URL's query, and by a variable.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def _environment(url: URL) -> dict[str, str]:
    """Ours without what has a password, and with where the database is."""
    secret = ("PGPASSWORD", "DATABOARD_DB_URL")
    found = {name: value for name, value in os.environ.items() if name not in secret}
    for name, value in _parameters(url).items():
        if name in VARIABLES:
            found[VARIABLES[name]] = str(value)
    return found


def _parameters(url: URL) -> dict[str, object]:
    """As psycopg2 is told them."""
    ours = {"host": url.host, "port": url.port or 5432, "user": url.username}
    ours |= {"dbname": url.database, "password": url.password}
    return {**{name: value or "" for name, value in ours.items()}, **url.query}


@contextmanager
def _password(url: URL) -> Iterator[int]:
    """The descriptor of a password file in memory, for its owner alone."""
    password = re.sub(r"([\\:])", r"\\\1", str(_parameters(url)["password"]))
    line = f"*:*:*:*:{password}"
    with os.fdopen(os.memfd_create("pgpass"), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(f"{line}\n".encode())
        file.flush()
        yield file.fileno()
