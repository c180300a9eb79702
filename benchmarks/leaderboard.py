"""Leaderboards on PostgreSQL: the rows in Python, against the same SQL printed by psql."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from measure import Row, arguments, interleave, postgresql, report, seconds
from sqlalchemy import Engine, event, text

from databoard import database, leaderboard
from databoard.model.event import Event, EventScoreType
from databoard.model.problem import Problem, ScoreType, Workflow
from tests.postgres import Cluster

LOAD = """
INSERT INTO team (name, created_at) SELECT 'team' || i, now() FROM generate_series(1, :teams) i;
INSERT INTO event_team (event_id, team_id, signed_up_at) SELECT 1, id, now() FROM team;
INSERT INTO submission (event_id, team_id, name, files_digest, submitted_at, state, attempt,
                        lost_leases, train_time, valid_time, test_time, max_memory)
    SELECT 1, 1 + i % :teams, 'submission' || i, '', now() - i * interval '1 second', 'scored', 1,
           0, random(), random(), random(), 100 + random() FROM generate_series(1, :n) i;
INSERT INTO submission_score
    SELECT s.id, t.id, -r, -r, r, r, r, r, r, r, r, r
    FROM submission s, event_score_type t, LATERAL (SELECT random() + 0 * s.id * t.id AS r) x;
"""


def load(engine: Engine, n: int) -> None:
    """An event with `n` scored submissions of three scores each."""
    types = [
        EventScoreType(
            position=i,
            precision=3,
            score_type=ScoreType(name=f"s{i}", is_lower_the_better=i > 0, minimum=0, maximum=1),
        )
        for i in range(3)
    ]
    problem = Problem(name="p", title="p", workflow=Workflow(name="w"))
    made = Event(
        name="e", title="e", problem=problem, n_folds=8, folds_digest="", score_types=types
    )
    with database.session_scope(engine) as session:
        session.add(made)
        session.flush()
        for statement in LOAD.split(";\n")[:4]:
            session.execute(text(statement), {"n": n, "teams": max(1, n // 10)})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


class Psql:
    """A running psql that prints to nowhere."""

    def __init__(self, program: Path, url: str, *options: str) -> None:
        self._process = subprocess.Popen(
            [program, url, "-qtX", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Psql:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, sql: str) -> None:
        """Run a statement and wait until all its rows are printed."""
        process = self._process
        assert process.stdin and process.stdout
        process.stdin.write(f"\\o /dev/null\n{sql};\n\\o\n\\echo done\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"


def boards(cluster: Cluster, n: int, rounds: int) -> list[Row]:
    """The whole board of an event with `n` submissions, and its first page."""
    with cluster.database(f"board{n}") as url:
        database.upgrade(url)
        engine = database.open_engine(url)
        load(engine, n)
        program = cluster.programs / "psql"
        with Psql(program, url) as aligned, Psql(program, url, "-A") as unaligned:
            whole = measure(engine, rounds, None, aligned, unaligned)
            page = measure(engine, 51, 100, aligned)
        engine.dispose()
    return [
        Row(f"public leaderboard of {n:,} / psql", whole[0], whole[1], 1.5),
        Row(f"public leaderboard of {n:,} / psql, unaligned", whole[0], whole[2]),
        Row(f"top 100 of {n:,} / psql", *page),
        Row(f"top 100 of {n:,}", page[0], None, 0.05),
    ]


def measure(engine: Engine, rounds: int, limit: int | None, *programs: Psql) -> list[float]:
    """Seconds of the board, and of its SQL in each psql, medians."""
    executed: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def keep(_connection, cursor, statement, parameters, *_rest) -> None:  # type: ignore[no-untyped-def]
        executed.append(cursor.mogrify(statement, parameters).decode())

    with database.reading(engine) as session:
        found = leaderboard.load_event(session, "e")

        def ours() -> object:
            return leaderboard.public(session, found, limit=limit)

        ours()
        event.remove(engine, "before_cursor_execute", keep)
        sides: list[Callable[[], float]] = [partial(seconds, ours)]
        sides += [partial(seconds, partial(psql.run, executed[-1])) for psql in programs]
        return interleave(rounds, *sides)


def main() -> None:
    quick = arguments(__doc__ or "").quick
    sizes = (100, 1_000, 10_000) if quick else (100, 1_000, 10_000, 100_000)
    rows: list[Row] = []
    with postgresql() as cluster:
        if cluster is None:
            sys.exit(1)
        for n in sizes:
            measured = boards(cluster, n, 15 if n > 10_000 else 51)
            rows += measured if n == sizes[-1] else measured[:2]
    report(rows)


if __name__ == "__main__":
    main()
