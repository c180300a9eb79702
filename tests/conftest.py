"""What every test may ask for: parts of the machine, and databases of both kinds."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.development import PARTS
from tests.chromium import address_of, chromium  # noqa: F401 - fixtures for all
from tests.lab.fixtures import lab, lab3, make_lab  # noqa: F401 - fixtures for all
from tests.postgres import Cluster, private_cluster
from tests.typist import typist  # noqa: F401 - a fixture for all

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from databoard.config import Settings

DIALECTS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.slow))


def pytest_configure() -> None:
    """A job in the background of a shell ignores Ctrl-C, and so would all that is tested."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def need() -> Callable[[str], Path]:
    """need("postgresql") gives the program of one of `PARTS`, or leaves the test out.

    With CI=true a missing part is a failure.
    """

    def program_of(name: str) -> Path:
        program = PARTS[name].find()
        if program is None:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(f"needs {name} ({PARTS[name].purpose}): apt-get install {PARTS[name].package}")
        return program

    return program_of


@pytest.fixture(scope="session")
def postgresql(need: Callable[[str], Path]) -> Iterator[Cluster]:
    """A running PostgreSQL of the test session's own."""
    with private_cluster(need("postgresql").resolve().parent) as cluster:
        yield cluster


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new, empty database, once on each dialect."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'databoard.db'}"
    else:
        with request.getfixturevalue("postgresql").database(unique_name()) as url:
            yield url


@pytest.fixture(params=DIALECTS)
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new database with today's schema, once on each dialect; a copy, so quick."""
    if request.param == "sqlite":
        copy = tmp_path / "databoard.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), copy)
        yield f"sqlite:///{copy}"
    else:
        template = request.getfixturevalue("migrated_postgresql")
        with request.getfixturevalue("postgresql").database(unique_name(), template) as url:
            yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `migrated_url` copies."""
    from databoard.database import upgrade

    template = tmp_path_factory.mktemp("template") / "databoard.db"
    upgrade(f"sqlite:///{template}")
    connection = sqlite3.connect(template)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the one file is everything
    connection.close()
    return template


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: Cluster) -> Iterator[str]:
    """The name of the database that `migrated_url` copies."""
    from databoard.database import upgrade

    name = "migrated"
    with postgresql.database(name) as url:
        upgrade(url)
        # A template must have no connection, and the migration's pool may still hold one.
        postgresql.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgresql.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        yield name


KIT = """
class Workflow:
    element_names = ["estimator"]

class Score:
    name, is_lower_the_better, minimum, maximum, precision = "acc", False, 0.0, 1.0, 2

class Predictions:
    pass

problem_title, workflow, score_types = "Small", Workflow(), [Score()]

def get_train_data(path="."):
    return [[0], [1], [2], [3]], [0, 1, 0, 1]

def get_test_data(path="."):
    return [[4]], [1]

def get_cv(X, y):
    return [([0, 1], [2, 3]), ([2, 3], [0, 1])]
"""


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """An engine on a new database with today's schema, once on each dialect."""
    from databoard import database

    engine = database.open_engine(migrated_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session that writes to it."""
    from databoard import database

    with database.session_scope(engine) as session:
        yield session


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    """The settings of a new deployment with such a database."""
    from databoard import config

    folder = str(tmp_path / "deployment")
    settings = config.load({"DATABOARD_DEPLOYMENT_PATH": folder, "DATABOARD_DB_URL": migrated_url})
    settings.make_folders()
    return settings


@pytest.fixture(scope="session")
def make_kit() -> Callable[..., Path]:
    """make_kit(parent, name, lines) writes a kit that is quick to load; `lines` come last."""

    def write(parent: Path, name: str = "small", lines: str = "") -> Path:
        starting_kit = parent / name / "submissions" / "starting_kit"
        starting_kit.mkdir(parents=True)
        (starting_kit / "estimator.py").write_text("print('hello')\n")
        (parent / name / "problem.py").write_text(f"{KIT}\n{lines}\n")
        return parent / name

    return write


def unique_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Close with what was left out for want of a part, and the checks that failed earlier."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    wanting = {reason: count for reason, count in reasons.items() if reason.startswith("needs ")}
    if wanting:
        terminalreporter.section("left out for want of a part")
        for reason, count in wanting.items():
            terminalreporter.line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")
    if failed := os.environ.get("DATABOARD_FAILED_CHECKS"):
        terminalreporter.section("failed before the tests", red=True)
        terminalreporter.line(failed)
