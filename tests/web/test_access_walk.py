"""Every page, as every kind of person, in every phase of an event: who gets it, what is on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from databoard import database
from databoard.kittree import BUNDLE
from databoard.lookup import find
from databoard.model.people import User
from databoard.model.submission import SubmissionScore
from databoard.submissions import folder_of
from tests.web.board import Site

CODE, TEST, NOTE = "the_code_of_one", "98765.25", "pays_by_card"
# nobody; who waits to be let in; who is in; who takes part; whose submission it is; the admins
ROLES = ("", "sorrel", "lovage", "juniper", "saffron", "sage", "root")
TEAMS, ADMINS = {"juniper", "saffron"}, {"sage", "root"}
EVERYBODY, USERS = set(ROLES), set(ROLES) - {""}
INSIDE = TEAMS | ADMINS
PHASES: dict[str, dict[str, Any]] = {
    "open": {},
    "early": {"opening_at": "2200-01-01"},
    "competitive": {"is_competitive": True},
    "shared": {"is_competitive": True, "public_opening_at": "2020-01-01"},
    "frozen": {"frozen_at": "2020-01-01"},
    "closed": {"closing_at": "2020-01-01"},
    "hidden": {"is_public": False},
    "anonymous": {"is_anonymous": True},
}


def seeing(phase: str) -> set[str]:
    return INSIDE if phase == "hidden" else EVERYBODY


def private(phase: str) -> set[str]:
    return seeing(phase) if phase == "closed" else ADMINS


def page(phase: str) -> set[str]:
    return {"saffron", *ADMINS} if phase == "frozen" else seeing(phase)


def code(phase: str) -> set[str]:
    is_open = phase not in ("competitive", "frozen")
    return {"saffron", *ADMINS} | ({"juniper"} if is_open else set())


def team_page(phase: str) -> set[str]:
    """It takes part in an event that is seen with its names."""
    if phase == "hidden":
        return INSIDE
    return INSIDE if phase == "anonymous" else USERS  # winter is seen with its names


# Of each route: a path of it, and who gets it.
TABLE: dict[str, tuple[str, Any]] = {
    "/": ("/", EVERYBODY),
    "/healthz": ("/healthz", EVERYBODY),
    "/metrics": ("/metrics", EVERYBODY),  # on this machine
    "/privacy": ("/privacy", EVERYBODY),
    "/programs": ("/programs", EVERYBODY),
    "/static/<path:filename>": ("/static/databoard.css", EVERYBODY),
    "/login": ("/login", {""}),
    "/sign-up": ("/sign-up", EVERYBODY),
    "/reset": ("/reset", EVERYBODY),
    "/reset/<text>": ("/reset/forged", set()),
    "/confirm/<text>": ("/confirm/forged", EVERYBODY),
    "/profile": ("/profile", USERS),
    "/teams/<name>": ("/teams/saffron", team_page),
    "/problems": ("/problems", EVERYBODY),
    "/problems/<name>": ("/problems/small", seeing),
    "/problems/<name>/starting_kit.zip": ("/problems/small/starting_kit.zip", seeing),
    "/problems/<name>/notebook": ("/problems/small/notebook", seeing),
    "/events/<name>": ("/events/autumn", seeing),
    "/events/<name>/mine": ("/events/autumn/mine", lambda phase: seeing(phase) & USERS),
    "/events/<name>/sandbox": ("/events/autumn/sandbox", TEAMS),
    "/events/<name>/plots": ("/events/autumn/plots", seeing),
    "/events/<name>/plots.json": ("/events/autumn/plots.json", seeing),
    "/events/<name>/leaderboard": ("/events/autumn/leaderboard", seeing),
    "/events/<name>/leaderboard.csv": ("/events/autumn/leaderboard.csv", seeing),
    "/events/<name>/leaderboard/<any(private, competition, final):kind>.csv": (
        "/events/autumn/leaderboard/private.csv",
        private,
    ),
    "/events/<name>/leaderboard/<any(private, competition, final):kind>": (
        "/events/autumn/leaderboard/private",
        private,
    ),
    "/submissions/<int:id>": ("/submissions/{id}", page),
    "/submissions/<int:id>/folds.json": ("/submissions/{id}/folds.json", page),
    "/submissions/<int:id>/files/<name>": ("/submissions/{id}/files/estimator.py", code),
    "/submissions/<int:id>.zip": ("/submissions/{id}.zip", code),
    "/submissions/<int:id>/diff": ("/submissions/{id}/diff", set()),  # it leads elsewhere
    "/submissions/<int:id>/diff/<int:other>": ("/submissions/{id}/diff/{id}", code),
    "/admin": ("/admin", ADMINS),
    "/admin/users": ("/admin/users", {"root"}),
    "/admin/users/<name>": ("/admin/users/saffron", {"root"}),
    "/admin/sign-ups": ("/admin/sign-ups", ADMINS),
    "/admin/events/<name>": ("/admin/events/autumn", ADMINS),
    "/admin/events/<name>/submissions": ("/admin/events/autumn/submissions", ADMINS),
    "/admin/queue": ("/admin/queue", ADMINS),
    "/admin/interactions": ("/admin/interactions", {"root"}),
    "/admin/interactions.csv": ("/admin/interactions.csv", {"root"}),
    # what a browser's cookie says is nothing to the API: these are as nobody
    "/api/openapi.json": ("/api/openapi.json", EVERYBODY),
    "/api/v1/events": ("/api/v1/events", EVERYBODY),
    "/api/v1/events/<name>": (
        "/api/v1/events/autumn",
        lambda phase: set() if phase == "hidden" else EVERYBODY,
    ),
    "/api/v1/events/<name>/leaderboards/<kind>": (
        "/api/v1/events/autumn/leaderboards/private",
        lambda phase: EVERYBODY if phase == "closed" else set(),
    ),
    "/api/v1/events/<name>/submissions": ("/api/v1/events/autumn/submissions", set()),
    "/api/v1/submissions/<int:id>": (
        "/api/v1/submissions/{id}",
        lambda phase: set() if phase in ("hidden", "frozen") else EVERYBODY,
    ),
    "/api/v1/submissions/<int:id>/files/<name>": (
        "/api/v1/submissions/{id}/files/estimator.py",
        set(),
    ),
}
MORE = {  # other pages of routes above
    "/events/autumn/leaderboard/competition": seeing,
    "/events/autumn/leaderboard/final": private,
    "/events/autumn/leaderboard/final.csv": private,
    "/events/autumn/leaderboard?sort=acc&order=reversed": seeing,
    "/admin/interactions?event=autumn": ADMINS,
    "/admin/interactions.csv?event=autumn": ADMINS,
    "/api/v1/events/autumn/leaderboards/public": lambda phase: (
        set() if phase == "hidden" else EVERYBODY
    ),
    "/admin/interactions?event=autumn&user=saffron&kind=submitted": ADMINS,
    "/admin/interactions?user=saffron": {"root"},
    "/admin/users?text=a": {"root"},
    "/admin/users/nobody": set(),
}


def test_the_table_has_every_route(site: Site) -> None:
    routes = {
        rule.rule for rule in site.app.url_map.iter_rules() if "GET" in (rule.methods or set())
    }
    assert routes == set(TABLE)


@pytest.fixture
def submission(site: Site) -> Iterator[int]:
    """A submission of saffron whose code and whose test score are secrets."""
    id_ = site.add_scored("saffron", "precious", 0.625)
    (folder_of(site.settings, id_) / "files" / "estimator.py").write_text(f"{CODE} = 1\n")
    kit = site.settings.kits_path / "small"
    (kit / BUNDLE).write_bytes(b"PK")
    (kit / "small_starting_kit.html").write_text("<h1>The notebook</h1>")
    with database.session_scope(site.engine) as session:
        values = {"test_bag": float(TEST), "test_mean": float(TEST)}
        session.query(SubmissionScore).update(values)  # type: ignore[arg-type]
        find(session, User, "saffron").hidden_notes = NOTE
    yield id_


@pytest.mark.parametrize("phase", PHASES)
def test_who_gets_what(site: Site, submission: int, phase: str) -> None:
    site.set(**PHASES[phase])
    wrong = []
    paths = {path.format(id=submission): who for path, who in TABLE.values()} | MORE
    for role in ROLES:
        for path, who in paths.items():
            allowed = who(phase) if callable(who) else who
            response = site.browser(role).open(path)
            text, status = response.data.decode(errors="replace"), response.status_code
            if (status == 200) != (role in allowed):
                wrong.append(f"{role or 'nobody'} gets {status} from {path}")
            if status not in (200, 302, 400, 401, 404):
                wrong.append(f"{role or 'nobody'} gets {status} from {path}")
            for said in leaks(phase, role, path, text):
                wrong.append(f"{role or 'nobody'} reads {said} on {path}")
    assert not wrong, "\n".join(wrong)


def leaks(phase: str, role: str, path: str, text: str) -> Iterator[str]:
    """What a person reads on a page and must not."""
    if TEST in text and role not in private(phase) and not path.startswith("/api"):
        yield "a test score"
    if TEST in text and path.startswith("/api") and phase != "closed":
        yield "a test score"
    if CODE in text and role not in code(phase):
        yield "code"
    if NOTE in text and not (role == "root" and path.startswith("/admin/users")):
        yield "a hidden note"
    mails = set(re.findall(r"[\w.]+@example\.org", text)) - {f"{role}@example.org"}
    if mails and not (role == "root" and path.startswith("/admin/users")):
        yield "a mail address"
    if phase == "anonymous" and role not in {"saffron", *ADMINS} and "saffron" not in path:
        yield from (each for each in ("saffron", "precious") if each in text)
