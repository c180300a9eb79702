"""The API: what programs read and submit with a token, and with none."""

from __future__ import annotations

import io
from typing import Any

import pytest
from werkzeug.test import TestResponse

from databoard import accounts, database
from databoard.lookup import find
from databoard.model.people import AccessToken, User
from databoard.model.submission import Submission
from tests.web.board import Site

EVENTS = "/api/v1/events"
MINE = f"{EVENTS}/autumn/submissions"


class Program:
    """A program that has a token of a person, or none."""

    def __init__(self, site: Site, name: str = "") -> None:
        self.client, self.headers = site.app.test_client(), {}
        if name:
            with database.session_scope(site.engine) as session:
                token = accounts.add_token(session, find(session, User, name), "laptop")
            self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, status: int = 200) -> Any:
        response = self.client.get(path, headers=self.headers)
        assert response.status_code == status, response.get_data(as_text=True)
        return response.json if response.is_json else response.get_data(as_text=True)

    def submit(self, name: str, *files: tuple[str, bytes]) -> TestResponse:
        form = {"name": name, "file": [(io.BytesIO(content), file) for file, content in files]}
        return self.client.post(MINE, data=form, headers=self.headers)


def test_events(site: Site) -> None:
    (event,) = Program(site).get(EVENTS)
    assert (event["name"], event["files"], event["team"]) == ("autumn", ["estimator"], None)
    seen = Program(site, "saffron").get(EVENTS)
    assert [each["name"] for each in seen] == ["winter", "autumn"]
    assert Program(site, "juniper").get(f"{EVENTS}/winter")["team"] == "juniper"
    answer = Program(site).get(f"{EVENTS}/winter", 404)
    assert answer["error"] == "There is no event winter."


def test_leaderboards(site: Site) -> None:
    site.add_scored("saffron", "one", 0.25)
    id_ = site.add_scored("juniper", "two", 0.75)
    board = f"{EVENTS}/autumn/leaderboards"
    rows = Program(site).get(f"{board}/public")
    assert [(row["team"], row["submission"], row["acc"]) for row in rows] == [
        ("juniper", "two", 0.75),
        ("saffron", "one", 0.25),
    ]
    assert rows[0]["id"] == id_ and "team_id" not in rows[0]
    text = Program(site).get(f"{board}/competition?format=csv")
    assert text.splitlines()[1].startswith("1,juniper,two,0.75")
    for kind in ("private", "final", "nothing"):
        Program(site, "saffron" if kind == "private" else "").get(f"{board}/{kind}", 404)
    assert Program(site, "sage").get(f"{board}/private")[0]["acc_test_bag"] == 0.375
    site.set(is_anonymous=True)
    assert "juniper" not in Program(site).get(f"{board}/public?format=csv")


def test_submitting(site: Site) -> None:
    program = Program(site, "saffron")
    response = program.submit("first", ("estimator.py", b"print('api')\n"))
    assert response.status_code == 201 and response.json is not None
    told = response.json
    assert (told["team"], told["name"], told["state"]) == ("saffron", "first", "new")
    assert [each["id"] for each in program.get(MINE)] == [told["id"]]
    one = f"/api/v1/submissions/{told['id']}"
    assert program.get(one)["files"] == ["estimator.py"]
    assert program.get(f"{one}/files/estimator.py") == "print('api')\n"
    Program(site, "juniper").get(one, 404)
    response = program.client.post(f"{one}/withdraw", headers=program.headers)
    assert response.json == {"id": told["id"], "state": "deleted"}
    program.get(one, 404)


@pytest.mark.parametrize(
    ("name", "files", "status", "said"),
    [
        ("", [("estimator.py", b"")], 400, "'' cannot be the name of a submission."),
        ("x", [], 400, "The submission has no file estimator.py."),
        ("x", [("other.py", b"")], 400, "'other.py' is no file of this event."),
        ("x", [("../estimator.py", b"")], 400, "'../estimator.py' is no file of this event."),
        ("x", [("estimator.py", b""), ("b.py", b"")], 400, "'b.py' is no file of this event."),
        ("x", [("estimator.py", b"x" * (10 * 2**20 + 1))], 400, "A file is larger than 10 MB."),
        ("taken", [("estimator.py", b"")], 409, "The team saffron already has a submission"),
    ],
)
def test_what_is_refused(
    site: Site, name: str, files: list[tuple[str, bytes]], status: int, said: str
) -> None:
    site.add_scored("saffron", "taken")
    response = Program(site, "saffron").submit(name, *files)
    assert response.status_code == status and response.json is not None
    assert response.json["error"].startswith(said)
    with database.reading(site.engine) as session:
        assert session.query(Submission).count() == 1


def test_too_soon(site: Site) -> None:
    site.set(min_seconds=900)
    program = Program(site, "saffron")
    assert program.submit("one", ("estimator.py", b"")).status_code == 201
    assert program.submit("two", ("estimator.py", b"")).status_code == 429
    assert Program(site, "sage").submit("three", ("estimator.py", b"")).status_code == 404


@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Bearer ", "Basic c2FmZnJvbjp4", "Bearer é", "x", "Bearer\tx"]
)
def test_wrong_tokens(site: Site, authorization: str) -> None:
    response = site.app.test_client().get(EVENTS, headers={"Authorization": authorization})
    assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json == {
        "error": "This token is nobody's.",
        "hint": "Make one on your profile page.",
    }


def test_cookies_are_not_read(site: Site) -> None:
    browser = site.browser("saffron")
    assert browser.client.get(MINE).status_code == 401
    assert browser.client.post(MINE, data={"name": "x"}).status_code == 401
    assert len(browser.client.get(EVENTS).json or []) == 1


def test_a_token_is_shown_once_and_ends(site: Site) -> None:
    browser = site.browser("saffron")
    response = browser.post("/profile", "/profile", action="token", name="laptop")
    token = response.get_data(as_text=True).partition('<code class="token">')[2].partition("<")[0]
    assert token.startswith("databoard_") and token not in browser.get("/profile")
    headers = {"Authorization": f"Bearer {token}"}
    assert len(site.app.test_client().get(EVENTS, headers=headers).json or []) == 2
    with database.reading(site.engine) as session:
        stored = session.query(AccessToken).one()
        assert token not in stored.digest and stored.last_used_at is not None
    browser.post("/profile", "/profile", action="delete token", name="laptop")
    assert site.app.test_client().get(EVENTS, headers=headers).status_code == 401


def test_who_guesses_tokens_is_stopped(site: Site) -> None:
    headers = {"Authorization": "Bearer guessed"}
    codes = [site.app.test_client().get(EVENTS, headers=headers).status_code for _ in range(51)]
    assert codes == [401] * 50 + [429]
