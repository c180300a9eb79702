"""Pages over HTTP: the leaderboard against a prepared text, many users at once, and the start."""

from __future__ import annotations

import http.client
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory

from leaderboard import load
from measure import (
    INV,
    PYTHON,
    ROOT,
    Row,
    arguments,
    clean_environment,
    interleave,
    peer,
    postgresql,
    report,
    run,
    seconds,
)
from sqlalchemy import text

from databoard import database
from tests.postgres import Cluster, free_port

BOARD = "/events/e/leaderboard"
PAGES = ("/", "/events/e", BOARD, f"{BOARD}?page=2", f"{BOARD}/competition", "/submissions/1")
LIBRARIES = "invoke, flask, flask_wtf, psycopg2, sqlalchemy.orm, sqlalchemy.dialects.postgresql"
OLD = (
    *("ramp-frontend==0.10.0", "ramp-database==0.10.0", "ramp-utils==0.10.0"),
    *("ramp-engine==0.10.0", "ramp-workflow==0.7.0", "sqlalchemy<2", "flask<2.1", "werkzeug<2.1"),
    *("jinja2<3.1", "markupsafe<2.1", "itsdangerous<2.1", "flask-sqlalchemy<2.6"),
    *("flask-login<0.6", "flask-wtf<1.1", "wtforms<3", "email_validator<2", "pandas<2"),
    *("numpy<1.24", "psycopg2-binary"),
)
SLOWER = 1 / 0.4  # at least 0.4 of the requests per second of the prepared text
BARE = """
import sys
from flask import Flask
from werkzeug.serving import make_server
app, page = Flask("bare"), sys.stdin.read()
app.add_url_rule("/events/e/leaderboard", view_func=lambda: page)
server = make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True)
print("ready", flush=True)
server.serve_forever()
"""


@contextmanager
def served(url: str, folder: str) -> Iterator[int]:
    """The port of `inv serve`."""
    port = free_port()
    environment = {"DATABOARD_DB_URL": url, "DATABOARD_DEPLOYMENT_PATH": folder}
    command = [INV, "serve", f"--port={port}", "--host=127.0.0.1"]
    with started(command, environment):
        yield port


@contextmanager
def started(command: list[str | Path], more: dict[str, str], given: str = "") -> Iterator[None]:
    """A server, once it has said a line; what a request prints is nobody's."""
    process = Popen(
        command,
        cwd=ROOT,
        env=clean_environment() | more,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write(given)
        process.stdin.close()
        if not process.stdout.readline():
            sys.exit(f"{command[0]} does not start")
        yield
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str) -> bytes:
    """The body of a page, which must be there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != 200:
        sys.exit(f"{path} answers {response.status}")
    return body


def leaderboards(cluster: Cluster, n: int, requests: int, rounds: int) -> list[Row]:
    """A page of the board of `n` submissions, against a text of its size; a score in between."""
    with cluster.database(f"web{n}") as url, TemporaryDirectory() as folder:
        engine, port = _filled(url, n), free_port()
        with served(url, folder) as ours:
            page = get(ours, BOARD).decode()
            with started([PYTHON, "-c", BARE, str(port)], {}, page):

                def board() -> float:
                    _check_fresh(engine, ours)
                    return seconds(lambda: [get(ours, BOARD) for _ in range(requests)]) / requests

                def bare() -> float:
                    return seconds(lambda: [get(port, BOARD) for _ in range(requests)]) / requests

                mine, floor = interleave(rounds, board, bare)
        engine.dispose()
    return [Row(f"leaderboard page of {n:,} / a prepared text", mine, floor, SLOWER)]


def _filled(url: str, n: int) -> database.Engine:
    """A new database with a public event of `n` submissions."""
    database.upgrade(url)
    engine = database.open_engine(url)
    load(engine, n)
    with engine.begin() as connection:
        connection.execute(text("UPDATE event SET is_public = true"))
    return engine


def _check_fresh(engine: database.Engine, port: int) -> None:
    """A score that is stored is on the next page."""
    best = "UPDATE submission_score SET bag_key = bag_key - 9 WHERE submission_id = "
    with engine.begin() as connection:
        which = "(SELECT 1 + floor(random() * max(id))::int FROM submission)"
        changed = connection.execute(text(f"{best}{which} RETURNING submission_id")).scalar()
    if f'href="/submissions/{changed}"'.encode() not in get(port, BOARD):
        sys.exit("The board is not fresh.")


def crowd(cluster: Cluster, users: int, duration: float) -> list[Row]:
    """Users who read page after page: the slowest of a hundred, against the median."""
    with cluster.database("crowd") as url, TemporaryDirectory() as folder:
        _filled(url, 1_000).dispose()
        with served(url, folder) as port:
            times: list[float] = []
            end = time.monotonic() + duration

            def read(number: int) -> None:
                while time.monotonic() < end:
                    times.append(seconds(partial(get, port, PAGES[number % len(PAGES)])))
                    number += 1

            threads = [threading.Thread(target=read, args=[number]) for number in range(users)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            first = _first_page(port)
    p99 = statistics.quantiles(times, n=100)[98]
    size, count = sum(map(len, first)) / 1000, len(first)
    return [
        Row(f"{users} users, p99 / median of any page", p99, statistics.median(times), 10.0),
        Row("first page, kB", size, None, 120, is_count=True),
        Row("first page, requests", count, None, 8, is_count=True),
    ]


def _first_page(port: int) -> list[bytes]:
    """All that a browser loads for it."""
    page = get(port, "/")
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.decode())
    return [page, *(get(port, link) for link in links)]


def against_the_old(cluster: Cluster, n: int, rounds: int) -> list[Row]:
    """Until a score that has changed is on the page: ours, and the old frontend's, whose boards
    are made anew for it.
    """
    python = peer("ramp-frontend", *OLD, is_pinned=False) / "python"
    script, kit = ROOT / "benchmarks/web/old_frontend.py", ROOT / "databoard/specific/problems/iris"
    with ExitStack() as opened:
        old_url = opened.enter_context(cluster.database("old"))
        command = [python, script, old_url, kit, str(n)]
        old = opened.enter_context(
            Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True)
        )
        assert old.stdin and old.stdout
        url = opened.enter_context(cluster.database("new"))
        engine = _filled(url, n)
        opened.callback(engine.dispose)
        folder = opened.enter_context(TemporaryDirectory())
        port = opened.enter_context(served(url, folder))
        if old.stdout.readline() != "ready\n":
            sys.exit("The old frontend does not start.")

        def theirs() -> float:
            print("change", file=old.stdin, flush=True)
            return float(old.stdout.readline())

        medians = interleave(rounds, lambda: seconds(lambda: _check_fresh(engine, port)), theirs)
    return [Row(f"a changed score of {n:,} on the page / old frontend", *medians, 0.05)]


def start(cluster: Cluster) -> list[Row]:
    """Until `inv serve` listens, against importing Flask."""
    with cluster.database("start") as url, TemporaryDirectory() as folder:
        database.upgrade(url)

        def ready() -> float:
            begun = time.perf_counter()
            with served(url, folder):
                return time.perf_counter() - begun

        ours, floor, needed = interleave(
            5,
            ready,
            lambda: run(PYTHON, "-c", "import flask"),
            lambda: run(PYTHON, "-c", f"import {LIBRARIES}"),
        )
    return [
        Row("inv serve, until it listens / import flask", ours, floor, 3.0),
        Row("importing the libraries that it needs, alone", needed, floor),
    ]


def main() -> None:
    quick = arguments(__doc__ or "").quick
    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    rows: list[Row] = []
    with postgresql() as cluster:
        if cluster is None:
            sys.exit(1)
        for n in sizes:
            rows += leaderboards(cluster, n, 200, 3 if quick else 9)
        rows += crowd(cluster, 50, 10 if quick else 60)
        rows += start(cluster)
        rows += [] if quick else against_the_old(cluster, 1_000, 3)
    report(rows)


if __name__ == "__main__":
    main()
