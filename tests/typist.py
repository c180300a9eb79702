"""A fixture that types commands: as if typed for real, but quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from databoard import config

# A process that has imported what all commands need, and forks for each.
TYPIST = """
import json, os, sys, traceback
import invoke.main
import databoard.events, databoard.leaderboard, databoard.listing, databoard.export
import databoard.people, databoard.submissions, rich.table
import sqlalchemy.dialects.sqlite, sqlalchemy.dialects.postgresql.psycopg2

for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for target, name in enumerate(order["files"]):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC * (target > 0)), target)
            sys.stdin = open(0, closefd=False)
            os.chdir(order["folder"])
            os.environ.clear()
            os.environ.update(order["environment"])
            sys.argv = ["inv", "--search-root", order["root"], *order["arguments"]]
            invoke.main.program.run()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    stdout: str
    stderr: str
    code: int


Inv = Callable[..., Said]


@pytest.fixture(scope="session")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inv]:
    """inv(*arguments, stdin="", **environment) in a folder of its own."""
    folder = tmp_path_factory.mktemp("typist")
    files = [str(folder / name) for name in ("stdin", "stdout", "stderr")]
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    command = [sys.executable, "-c", TYPIST]
    with subprocess.Popen(
        command, cwd=config.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def inv(*arguments: str, stdin: str = "", **environment: str) -> Said:
            Path(files[0]).write_text(stdin)
            order = {
                "arguments": arguments,
                "root": str(config.ROOT),
                "folder": str(folder),
                "files": files,
                "environment": kept | environment,
            }
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            return Said(Path(files[1]).read_text(), Path(files[2]).read_text(), code)

        yield inv
        process.stdin.close()
