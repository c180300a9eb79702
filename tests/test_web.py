"""The web pages: an application on each database, and `inv serve` as a real process."""

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
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from databoard import __version__, config, database, leaderboard
from databoard.config import Settings
from databoard.model.event import Event
from databoard.web import create_app
from databoard.web.boards import PER_PAGE, cell
from tests.postgres import free_port
from tests.test_leaderboard import add_scored, make_event

HOSTILE = "<script>alert('ha')</script> & \"co\""
ABOUT = {"version": __version__, "release": "development"}
SECRET = 987654.0  # a test score
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"


@pytest.fixture
def client(settings: Settings, engine: Engine) -> Iterator[FlaskClient]:
    """The pages of a public event `autumn`, and of a hidden one."""
    with database.session_scope(engine) as session:
        for name, is_public in (("hidden", False), ("autumn", True)):
            event = make_event(session, True, name)
            event.is_public = is_public
            for number, team in enumerate(("saffron", "juniper", "lovage")):
                valid = None if team == "lovage" else number + 0.25
                add_scored(session, event, team, f"{name}_{number}", (valid, SECRET), (1.0, SECRET))
    with create_app(settings, engine).test_client() as client:
        yield client


def get(client: FlaskClient, path: str, status: int = 200) -> str:
    """The text of a page, whose status and headers are as they must be."""
    response = client.get(path)
    assert response.status_code == status
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    return response.get_data(as_text=True)


def rows_of(page: str) -> list[list[str]]:
    """The cells of the table of a page."""
    body = page.partition("<tbody>")[2]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [[unescape(td) for td in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def test_the_database_is_up(client: FlaskClient) -> None:
    assert json.loads(get(client, "/healthz")) == {**ABOUT, "database": "up", "queue": 0}


def test_the_database_is_of_another_revision(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    said = {**ABOUT, "database": "down"}
    assert json.loads(get(client, "/healthz", 503)) == said


@pytest.mark.parametrize("url", ["sqlite:////nowhere/x.db", "postgresql://u:secret@127.0.0.1:1/d"])
def test_the_database_is_away(url: str) -> None:
    settings = config.load({"DATABOARD_DB_URL": url})
    page = get(create_app(settings).test_client(), "/healthz", 503)
    assert json.loads(page) == {**ABOUT, "database": "down"}


def test_the_list_has_public_events_only(client: FlaskClient) -> None:
    page = get(client, "/")
    assert '<a href="/events/autumn">Autumn</a>' in page
    assert "3 submissions" in page
    assert "idden" not in page


def test_an_empty_list_says_so(settings: Settings, engine: Engine) -> None:
    page = get(create_app(settings, engine).test_client(), "/")
    assert "No event is public yet." in page


def test_the_page_has_the_rows_of_the_leaderboard(client: FlaskClient, engine: Engine) -> None:
    with database.reading(engine) as session:
        board = leaderboard.public(session, leaderboard.load_event(session, "autumn"))
    page = get(client, "/events/autumn")
    rows = [
        [str(place), *(cell(row[index], board.columns[index]) for index in board.shown())]
        for place, row in enumerate(board.rows, 1)
    ]
    assert rows_of(page) == rows
    assert [row[1:4] for row in rows] == [
        ["saffron", "autumn_0", "0.25"],
        ["juniper", "autumn_1", "1.25"],
        ["lovage", "autumn_2", "-"],
    ]
    titles = re.findall(r"<th scope[^>]*>(.*?)</th>", page)
    assert titles == ["#", *(board.columns[index].title for index in board.shown())]


def test_a_score_is_on_the_page_the_moment_it_is_stored(
    client: FlaskClient, engine: Engine
) -> None:
    with database.session_scope(engine) as session:
        event = leaderboard.load_event(session, "autumn")
        add_scored(session, event, "tarragon", "best", (-1.0, SECRET), (1.0, SECRET))
    assert rows_of(get(client, "/events/autumn"))[0][1:4] == ["tarragon", "best", "-1.00"]


@pytest.mark.parametrize("path", ["/", "/events/autumn", "/events/autumn?page=1", "/nowhere"])
def test_nothing_hidden_leaks(client: FlaskClient, path: str) -> None:
    page = get(client, path, 404 if path == "/nowhere" else 200)
    assert not re.search(r"987654|hidden|private|test|@|0{64}", page)
    assert not re.search(r"<script|style=|https?://", page)  # all that the policy forbids


@pytest.mark.parametrize(
    "name",
    ["hidden", "autum", "Autumn", "%00", "%ff", "..%2f", "a" * 5000, "'; DROP TABLE event; --"],
    ids=lambda name: name[:20],
)
def test_pages_that_are_not_there(client: FlaskClient, name: str) -> None:
    page = get(client, f"/events/{name}", 404)
    assert "There is no such page." in page and "Did you mean" not in page
    assert get(client, f"/events/{name}?page=2", 404) == page


def test_paging(client: FlaskClient, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        event = leaderboard.load_event(session, "autumn")
        for number in range(PER_PAGE):
            add_scored(session, event, "saffron", f"s{number:03}", (10.0 + number, 0.0), (0.0, 0.0))
    first, second = get(client, "/events/autumn"), get(client, "/events/autumn?page=2")
    assert [row[0] for row in rows_of(first)] == [str(i) for i in range(1, PER_PAGE + 1)]
    assert [row[0] for row in rows_of(second)] == ["101", "102", "103"]
    assert 'rel="next" href="/events/autumn?page=2"' in first and 'rel="prev"' not in first
    assert 'rel="prev" href="/events/autumn?page=1"' in second and 'rel="next"' not in second
    for page in ("1", "0", "-5", "one", "", "1e3"):
        assert get(client, f"/events/autumn?page={page}") == first
    for page in ("3", "1000000", "9" * 30):
        assert "There is no such page." in get(client, f"/events/autumn?page={page}", 404)


def test_titles_and_names_are_shown_as_text(client: FlaskClient, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        event = leaderboard.load_event(session, "autumn")
        event.title = HOSTILE
        event.score_types[0].score_type.name = HOSTILE
        # No command lets such names in; the database would.
        add_scored(session, event, "<b>bold</b>", "<i>", (0.0, 0.0), (0.0, 0.0))
    for path in ("/", "/events/autumn"):
        page = get(client, path)
        assert HOSTILE not in page and HOSTILE in unescape(page)
        assert not re.search(r"<(script|b|i)>", page)
    assert rows_of(get(client, "/events/autumn"))[0][1:3] == ["<b>bold</b>", "<i>"]


def test_an_event_without_scores_yet(client: FlaskClient, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        make_event(session, True, "spring").is_public = True
    page = get(client, "/events/spring")
    assert "Nothing is scored yet." in page and "<table" not in page


def test_the_style_sheet_is_served_and_nothing_else(client: FlaskClient) -> None:
    page = get(client, "/")
    (link,) = re.findall(r'<link rel="stylesheet" href="(.*?)">', page)
    assert "table" in get(client, link)
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static"):
        get(client, path, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_are_only_read(client: FlaskClient, method: str) -> None:
    for path in ("/", "/events/autumn", "/healthz"):
        assert client.open(path, method=method).status_code == 405


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
    for path, said in (("/healthz", '"up"'), ("/", "Autumn"), ("/events/autumn", "saffron")):
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
