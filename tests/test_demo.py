"""The demo and the test set-up, typed in a fresh deployment."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from databoard import config
from tasks.demo import EVENTS, SUBMISSIONS, TEAMS

REFUSAL = (
    "test-setup fills the database with made-up teams.\n"
    "Switch to the test deployment first: export DATABOARD_TEST=True\n"
)
FAILED = {"wrong_axis": "validating_error", "square_root": "scoring_error"}


def inv(*typed: str, **environment: str | Path) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT), *typed],
        env=kept | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
    )


def state(folder: Path) -> tuple[str, dict[str, str]]:
    """All tables, and all files but the database's."""
    with closing(sqlite3.connect(folder / "databoard.db")) as connection:
        tables = "\n".join(connection.iterdump())
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix[:3] != ".db"]
    return tables, {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def boards(stdout: str) -> list[str]:
    """The titles of the boards that were printed."""
    return [line for line in stdout.splitlines() if line.endswith((" leaderboard", " submissions"))]


@pytest.mark.slow
def test_a_challenge_happens(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "deployment"
    first = inv("demo", DATABOARD_DEPLOYMENT_PATH=folder)
    assert (first.returncode, first.stderr) == (0, "")
    made = sorted(path.name for path in folder.iterdir() if path.suffix[:3] != ".db")
    assert made == ["ramp-data", "ramp-kits", "submissions"]
    kinds = ("public leaderboard", "private leaderboard", "private competition leaderboard")
    kinds = (*kinds, "failed submissions")
    titles = [f"{title}: {kind}" for title in EVENTS.values() for kind in kinds]
    assert boards(first.stdout) == titles
    with closing(sqlite3.connect(folder / "databoard.db")) as connection:
        rows = connection.execute(
            "SELECT event.name, team.name, submission.name, state FROM submission "
            "JOIN event ON event.id = event_id JOIN team ON team.id = team_id "
            "ORDER BY submission.id"
        ).fetchall()
    assert rows == [
        (event, team, name, FAILED.get(name, "scored"))
        for event, entries in SUBMISSIONS.items()
        for team, name in entries
    ]
    assert all(team in first.stdout for team in TEAMS)
    for event, entries in SUBMISSIONS.items():
        assert f"{event}/{entries[0][0]}/{entries[0][1]}: fold 1/" in first.stdout

    before = state(folder)
    again = inv("demo", DATABOARD_DEPLOYMENT_PATH=folder)
    assert (again.returncode, again.stderr) == (0, "")
    assert state(folder) == before
    assert first.stdout.endswith(again.stdout)  # nothing but the boards

    # Half of it lost: made good, and nothing else.
    with closing(sqlite3.connect(folder / "databoard.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM submission WHERE name = 'ridge'")
    repaired = inv("demo", DATABOARD_DEPLOYMENT_PATH=folder)
    assert "diabetes/lovage/ridge: scored\n" in repaired.stdout
    assert repaired.stdout.count(": scored\n") == 1

    refused = inv("test-setup", DATABOARD_DEPLOYMENT_PATH=folder)
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", REFUSAL)
    test_folder = tmp_path / "test"
    shutil.copytree(folder, test_folder)
    test = inv(
        "test-setup",
        DATABOARD_TEST="True",
        DATABOARD_DEPLOYMENT_PATH=tmp_path / "never",
        DATABOARD_DEPLOYMENT_PATH_TEST=test_folder,
    )
    assert (test.returncode, test.stderr, boards(test.stdout)) == (0, "", titles)
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("value", ["", "False", "0", "no"])
def test_the_test_set_up_refuses_any_other_deployment(tmp_path: Path, value: str) -> None:
    folder = tmp_path / "deployment"
    for variable in ("DATABOARD_DEPLOYMENT_PATH", "DATABOARD_DEPLOYMENT_PATH_TEST"):
        refused = inv("test-setup", DATABOARD_TEST=value, **{variable: folder})
        assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", REFUSAL)
    assert not folder.exists()
