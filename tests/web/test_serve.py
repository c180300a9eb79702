"""`inv serve` as a real process, and what it says of its health."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from databoard import __version__, config, database
from databoard.config import Settings
from databoard.model.event import Event
from databoard.web import create_app
from tests.postgres import free_port
from tests.test_leaderboard import add_scored, make_event
from tests.web.board import Site

ABOUT = {"version": __version__, "release": "development"}


def test_the_database_is_up(site: Site) -> None:
    assert json.loads(site.browser().get("/healthz")) == {**ABOUT, "database": "up", "queue": 0}


def test_the_database_is_of_another_revision(site: Site, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    said = {**ABOUT, "database": "down"}
    assert json.loads(site.browser().get("/healthz", 503)) == said


@pytest.mark.parametrize("url", ["sqlite:////nowhere/x.db", "postgresql://u:secret@127.0.0.1:1/d"])
def test_the_database_is_away(url: str) -> None:
    settings = config.load({"DATABOARD_DB_URL": url})
    response = create_app(settings).test_client().get("/healthz")
    assert response.status_code == 503
    assert response.json == {**ABOUT, "database": "down"}


def test_metrics(site: Site) -> None:
    site.add_scored("saffron", "one")
    site.submit("juniper", "two")
    lines = site.browser().get("/metrics").splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    # as Prometheus reads them
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+')
    assert all(sample.fullmatch(line) for line in samples)
    assert 'databoard_submissions{event="autumn",state="scored"} 1' in samples
    assert 'databoard_submissions{event="autumn",state="new"} 1' in samples
    assert "databoard_workers 0" in samples


def test_metrics_are_for_this_machine(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"REMOTE_ADDR": "192.0.2.7"}
    client = site.app.test_client()
    assert client.get("/metrics", environ_overrides=asked).status_code == 404
    monkeypatch.setenv("DATABOARD_METRICS", "public")
    assert client.get("/metrics", environ_overrides=asked).status_code == 200


@pytest.fixture
def served(migrated_url: str, settings: Settings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`inv serve` as a process, and the address that it gave."""
    engine = database.open_engine(migrated_url)
    with database.session_scope(engine) as session:
        add_scored(session, make_event(session, True), "saffron", "one", (1.0, 0.0), (1.0, 0.0))
        session.query(Event).update({"is_public": True})
    engine.dispose()
    command = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT)]
    process = subprocess.Popen(
        [*command, "serve", "--port", str(free_port()), "--host", "127.0.0.1"],
        cwd=settings.deployment_path,
        env=os.environ
        | {
            "DATABOARD_DB_URL": migrated_url,
            "DATABOARD_DEPLOYMENT_PATH": str(settings.deployment_path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"Serving (http://127\.0\.0\.1:\d+)/ - stop with Ctrl-C\n", line)
    try:
        assert found, line
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def test_serve(served: tuple[subprocess.Popen[str], str]) -> None:
    process, address = served
    for path, said in (
        ("/healthz", '"up"'),
        ("/", "Autumn"),
        ("/events/autumn/leaderboard", "saffron"),
    ):
        with urllib.request.urlopen(address + path, timeout=30) as response:  # noqa: S310
            assert said in response.read().decode()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("127.0.0.1", "Nothing can listen at 127.0.0.1, port {port}: Address already in use."),
        ("192.0.2.1", "Nothing can listen at 192.0.2.1, port {port}: Cannot assign requested"),
        ("a b", "Nothing can listen at a b, port {port}: Name or service not known."),
    ],
)
def test_serve_where_it_cannot(migrated_sqlite: Path, host: str, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT)]
        done = subprocess.run(
            [*command, "serve", "--port", str(port), "--host", host],
            env=os.environ | {"DATABOARD_DB_URL": f"sqlite:///{migrated_sqlite}"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(said.format(port=port))
    assert done.stderr.endswith("\nChoose another --host or --port.\n")
