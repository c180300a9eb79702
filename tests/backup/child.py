"""Backups in processes of their own, which may be killed: forked, so that they start at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from databoard.config import ROOT
from tests.backup.board import Board

# Says the process id of each child, then how it ended.
FORKER = """
import os, sys
import sqlalchemy
from databoard import config
from databoard.backup import place, restore, store, take, verify
import databoard.fleet.connect, sqlalchemy.dialects.sqlite, sqlalchemy.dialects.postgresql.psycopg2

STEPS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "subprocess.Popen", "sqlite3.connect"}

def die_at(step):
    # the nth thing that is done to files, with programs or in the database
    left = [step]

    def count(*_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)

    sys.addaudithook(lambda name, _: count() if name in STEPS else None)
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", count)

def work(verb):
    verb, _, step = verb.partition(" ")
    if step:
        die_at(int(step))
    settings = config.load()
    with store.opened(place.read(settings.store), settings.site) as there:
        there.make()
        if verb == "take":
            take.take(settings, there)
        else:
            rooms = {"verify": verify, "restore": restore}
            getattr(rooms[verb], verb)(settings, there, there.find("latest"))

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(line.strip())
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}".splitlines()[0], file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Children:
    """Starts them, one at a time."""

    process: subprocess.Popen[str]

    def start(self, verb: str = "take") -> int:
        """Start one; `take 7` kills itself at its seventh step. Returns its process id."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{verb}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        """Wait for it. Returns its exit code; -9: it was killed."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def said(self) -> str:
        """What the last one that failed has said."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def kill(self, pid: int) -> int:
        """Kill the one that was started, if it has not ended. Returns its exit code."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self.end()


@contextmanager
def children(board: Board, **environment: str) -> Iterator[Children]:
    """Backups, verifications and restores of a deployment."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKER],
        cwd=ROOT,
        env=os.environ | board.environment | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Children(process)
        finally:
            process.kill()
