"""Leaderboards as pages: the rows of the board, the moment they are stored, and nothing hidden."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from databoard import database, leaderboard
from databoard.config import Settings
from databoard.web import create_app
from databoard.web.app import POLICY
from databoard.web.boards import PER_PAGE, cell
from tests.test_leaderboard import add_scored, make_event

HOSTILE = "<script>alert('ha')</script> & \"co\""
BOARD = "/events/autumn/leaderboard"
SECRET = 987654.0  # a test score


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
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    return [[unescape(re.sub(r"</?a\b.*?>", "", td)) for td in row] for row in cells]


def test_the_list_has_public_events_only(client: FlaskClient) -> None:
    page = get(client, "/")
    assert '<a href="/events/autumn">Autumn</a>' in page
    assert "3 submissions" in page
    assert "idden" not in page


def test_an_empty_list_says_so(settings: Settings, engine: Engine) -> None:
    page = get(create_app(settings, engine).test_client(), "/")
    assert "No event is open to everybody." in page


def test_the_page_has_the_rows_of_the_leaderboard(client: FlaskClient, engine: Engine) -> None:
    with database.reading(engine) as session:
        board = leaderboard.public(session, leaderboard.load_event(session, "autumn"))
    page = get(client, BOARD)
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
    titles = re.findall(r"<th scope[^>]*>(?:<a .*?>)?(.*?)(?:</a>)?</th>", page)
    assert titles == ["#", *(board.columns[index].title for index in board.shown())]


def test_a_score_is_on_the_page_the_moment_it_is_stored(
    client: FlaskClient, engine: Engine
) -> None:
    with database.session_scope(engine) as session:
        event = leaderboard.load_event(session, "autumn")
        add_scored(session, event, "tarragon", "best", (-1.0, SECRET), (1.0, SECRET))
    assert rows_of(get(client, BOARD))[0][1:4] == [
        "tarragon",
        "best",
        "-1.00",
    ]


def test_a_board_as_csv(client: FlaskClient, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        event = leaderboard.load_event(session, "autumn")
        add_scored(session, event, "tarragon", "=cmd()", (2.25, SECRET), (1.0, SECRET))
    response = client.get(f"{BOARD}.csv")
    assert response.headers["Content-Disposition"] == "attachment; filename=autumn-public.csv"
    rows = list(csv.reader(io.StringIO(response.get_data(as_text=True))))
    assert rows[0][:3] == ["team", "submission", "autumn_0"]
    assert [row[:3] for row in rows[1:]] == [
        ["saffron", "autumn_0", "0.25"],
        ["juniper", "autumn_1", "1.25"],
        ["tarragon", "'=cmd()", "2.25"],
        ["lovage", "autumn_2", ""],
    ]
    assert client.get(f"{BOARD}/private.csv").status_code == 404
    assert client.get("/events/hidden/leaderboard.csv").status_code == 404


@pytest.mark.parametrize("path", ["/", BOARD, f"{BOARD}.csv", f"{BOARD}?page=1", "/nowhere"])
def test_nothing_hidden_leaks(client: FlaskClient, path: str) -> None:
    page = get(client, path, 404 if path == "/nowhere" else 200)
    assert not re.search(r"987654|hidden|private|test|@|0{64}", page)
    assert not re.search(r"<script(?! type=.module. src=)|style=|https?://", page)


@pytest.mark.parametrize(
    "name",
    ["hidden", "autum", "Autumn", "%00", "%ff", "..%2f", "a" * 5000, "'; DROP TABLE event; --"],
    ids=lambda name: name[:20],
)
def test_pages_that_are_not_there(client: FlaskClient, name: str) -> None:
    page = get(client, f"/events/{name}/leaderboard", 404)
    assert "There is no such page." in page and "Did you mean" not in page
    assert get(client, f"/events/{name}/leaderboard?page=2", 404) == page


def test_paging(client: FlaskClient, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        event = leaderboard.load_event(session, "autumn")
        for number in range(PER_PAGE):
            add_scored(session, event, "saffron", f"s{number:03}", (10.0 + number, 0.0), (0.0, 0.0))
    first, second = (
        get(client, BOARD),
        get(client, f"{BOARD}?page=2"),
    )
    assert [row[0] for row in rows_of(first)] == [str(i) for i in range(1, PER_PAGE + 1)]
    assert [row[0] for row in rows_of(second)] == ["101", "102", "103"]
    assert f'rel="next" href="{BOARD}?page=2"' in first and 'rel="prev"' not in first
    assert f'rel="prev" href="{BOARD}"' in second and 'rel="next"' not in second
    for page in ("1", "0", "-5", "one", "", "1e3"):
        assert get(client, f"{BOARD}?page={page}") == first
    for page in ("3", "1000000", "9" * 30):
        assert "There is no such page." in get(client, f"{BOARD}?page={page}", 404)


def test_titles_and_names_are_shown_as_text(client: FlaskClient, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        event = leaderboard.load_event(session, "autumn")
        event.title = HOSTILE
        event.score_types[0].score_type.name = HOSTILE
        # No command lets such names in; the database would.
        add_scored(session, event, "<b>bold</b>", "<i>", (0.0, 0.0), (0.0, 0.0))
    for path in ("/", BOARD):
        page = get(client, path)
        assert HOSTILE not in page and HOSTILE in unescape(page)
        assert not re.search(r"<(script|b|i)>", page)
    assert rows_of(get(client, BOARD))[0][1:3] == ["<b>bold</b>", "<i>"]


def test_an_event_without_scores_yet(client: FlaskClient, engine: Engine) -> None:
    with database.session_scope(engine) as session:
        make_event(session, True, "spring").is_public = True
    page = get(client, "/events/spring/leaderboard")
    assert "Nothing is scored yet." in page and "<table" not in page


def test_the_style_sheet_is_served_and_nothing_else(client: FlaskClient) -> None:
    page = get(client, "/")
    (link,) = re.findall(r'<link rel="stylesheet" href="(.*?)">', page)
    assert "table" in get(client, link)
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static"):
        get(client, path, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_are_only_read(client: FlaskClient, method: str) -> None:
    for path in ("/", BOARD, "/healthz"):
        assert client.open(path, method=method).status_code == 405
