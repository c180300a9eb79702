"""A site that is served by a real process and trained by another, and a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from databoard import config, database, events, people
from databoard.config import Settings
from databoard.lookup import find
from databoard.model.people import User
from tests.postgres import free_port
from tests.web.board import PASSWORD

INVOKE = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT)]


def fill(settings: Settings) -> None:
    """An event of the kit iris, which is quick to train, and an admin."""
    engine = database.open_engine(settings.db_url)
    events.add_problem(engine, settings, "iris")
    limits = {"min_seconds": 0, "is_public": True}
    events.add_event(engine, settings, "iris", "iris", "Which iris is it?", **limits)
    with database.session_scope(engine) as session:
        people.create_user(session, "root", "root@example.org", access_level="admin")
        session.flush()
        find(session, User, "root").password_hash = people.hash_password(PASSWORD)
    engine.dispose()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The address of `inv serve`."""
    command = ["serve", "--port", str(free_port()), "--host", "127.0.0.1"]
    with started(settings, *command) as process:
        assert process.stdout is not None
        found = re.match(r"Serving (http://\S+)/ -", process.stdout.readline())
        assert found
        yield found[1]


@contextmanager
def started(settings: Settings, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the site, until the end."""
    environment = os.environ | {
        "DATABOARD_DB_URL": settings.db_url,
        "DATABOARD_DEPLOYMENT_PATH": str(settings.deployment_path),
    }
    with subprocess.Popen(
        [*INVOKE, *command],
        cwd=settings.deployment_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
