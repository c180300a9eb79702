"""A site with people of each kind, and a browser without a window for each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from databoard import database, events, people, submissions
from databoard.config import Settings
from databoard.lookup import find
from databoard.model.event import Event, EventScoreType
from databoard.model.people import User
from databoard.model.submission import Submission
from databoard.submitted import SubmittedFile, digest_of, store
from databoard.teams import make_event_admin
from tests.test_leaderboard import add_scored

PASSWORD = "quiet lantern 7"
EVENT, HIDDEN = "autumn", "winter"
# Who there is: name, access level. `saffron` and `juniper` take part, `lovage` does not, `sage`
# administers the event, `root` all; `sorrel` waits to be let in.
PEOPLE = {
    "saffron": "user",
    "juniper": "user",
    "lovage": "user",
    "sage": "user",
    "root": "admin",
    "sorrel": "asked",
}


class Browser:
    """Somebody who looks at pages and sends forms, as a browser without scripts does."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, status: int = 200) -> str:
        """The text of a page, which has this status."""
        response = self.open(path)
        assert response.status_code == status, (path, response.status_code)
        return response.get_data(as_text=True)

    def open(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, **more)

    def post(self, path: str, form_on: str = "/login", **form: Any) -> TestResponse:
        """Send a form with the token that the page `form_on` has."""
        form["csrf_token"] = self.token(form_on)
        return self.client.post(path, data=form, content_type="multipart/form-data")

    def token(self, path: str = "/privacy") -> str:
        """A form's token, from a page."""
        for page in (path, "/privacy", "/login"):
            found = re.search(r'name="csrf_token" value="(.*?)"', self.open(page).get_data(True))
            if found:
                return unescape(found[1])
        raise AssertionError(f"{path} has no form")

    def log_in(self, name: str, password: str = PASSWORD) -> TestResponse:
        return self.post("/login", account=name, password=password)


@dataclass
class Site:
    """An application with the event `autumn`, public, and `winter`, which is not."""

    settings: Settings
    engine: Engine
    app: Flask
    browsers: dict[str, Browser] = field(default_factory=dict)

    def browser(self, name: str = "") -> Browser:
        """That of a person, who is logged in; without a name, of nobody in particular."""
        if name not in self.browsers:
            browser = self.browsers[name] = Browser(self.app.test_client())
            if name:
                assert browser.log_in(name).status_code == 302
        return self.browsers[name]

    def set(self, event: str = EVENT, **settings: Any) -> None:
        """Change settings of an event."""
        with database.session_scope(self.engine) as session:
            events.update_event(session, event, **settings)

    def add_scored(self, team: str, name: str, score: float = 0.5, event: str = EVENT) -> int:
        """A scored submission with a file. Returns its id."""
        files = [SubmittedFile("estimator.py", f"print('{team} {name}')\n".encode())]
        with database.session_scope(self.engine) as session:
            id_ = add_scored(session, find(session, Event, event), team, name, (score, score / 2))
            session.get_one(Submission, id_).files_digest = digest_of(files)
        store(files, submissions.folder_of(self.settings, id_) / "files")
        return id_

    def submit(self, team: str, name: str, code: str = "print('new')\n", event: str = EVENT) -> int:
        """A submission that waits. Returns its id."""
        folder = self.settings.deployment_path / "typed"
        folder.mkdir(exist_ok=True)
        Path(folder, "estimator.py").write_text(code)
        with database.session_scope(self.engine) as session:
            return submissions.submit(session, self.settings, event, team, name, folder).id


def fill(settings: Settings, engine: Engine) -> None:
    """The people and the events."""
    password_hash = people.hash_password(PASSWORD)
    for name in (EVENT, HIDDEN):
        events.add_problem(engine, settings, "small", force=True)
        events.add_event(engine, settings, "small", name, f"The {name} school")
    with database.session_scope(engine) as session:
        for name, level in PEOPLE.items():
            people.create_user(session, name, f"{name}@example.org", access_level=level)
        session.flush()
        for name in PEOPLE:
            find(session, User, name).password_hash = password_hash
        for event in (EVENT, HIDDEN):
            for team in ("saffron", "juniper"):
                people.sign_up_team(session, event, team)
            make_event_admin(session, event, "sage")
        events.update_event(session, EVENT, is_public=True, min_seconds=0)
        assert session.query(EventScoreType).count() == 2
