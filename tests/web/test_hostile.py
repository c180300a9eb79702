"""Hostile inputs, each with what it must get: never an error of ours, never more than it may."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Engine

from databoard import accounts, database, sitekey
from databoard.lookup import find
from databoard.model.event import Event
from databoard.model.people import User
from databoard.model.sandbox import SandboxFile
from databoard.model.submission import Submission
from tests.web.board import PASSWORD, Browser, Site

NAMES = {  # what is typed where a name belongs
    "sql": "' OR 1=1 --",
    "sql comment": "autumn'/*",
    "sql stacked": "x'; DROP TABLE submission; --",
    "sql union": "x' UNION SELECT password_hash FROM user_account --",
    "template": "{{7*7}}",
    "template attack": "{{config.__class__.__init__.__globals__}}",
    "format": "%s%n%x",
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)',
    "dots": "..",
    "traversal": "../../../../etc/passwd",
    "encoded traversal": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "backslashes": "..\\..\\windows",
    "absolute": "/etc/passwd",
    "nul": "autumn\0",
    "newline": "autumn\nSet-Cookie: a=b",
    "return": "autumn\r\n\r\n<html>",
    "right to left": "autumn\u202e",
    "zero width": "autu\u200bmn",
    "look-alike": "аutumn",  # noqa: RUF001 - the first letter is Cyrillic
    "full width": "ａｕｔｕｍｎ",  # noqa: RUF001
    "combining": "autumn" + "\u0301" * 50,
    "long": "a" * 3000,
    "dot first": ".autumn",
    "shell": "$(reboot)`id`|id;id",
    "ldap": "*)(uid=*))(|(uid=*",
    "surrogate": "\ud800".encode("utf-8", "surrogatepass").decode("latin1"),
    "empty": " ",
}
ROUTES = (
    "/events/{}",
    "/events/{}/leaderboard",
    "/problems/{}",
    "/teams/{}",
    "/admin/events/{}",
    "/api/v1/events/{}",
)


@pytest.mark.parametrize("what", NAMES)
def test_names_in_addresses(site: Site, what: str) -> None:
    for route in ROUTES:
        response = site.browser("root").open(route.format(quote(NAMES[what], safe="")))
        assert response.status_code in ((400, 404) if "api" in route else (404,)), route
        text = response.get_data(as_text=True)
        assert "alert(1)" not in text or "<script>alert" not in text
        assert "49" not in text.partition("<main")[2].partition("</main>")[0]


@pytest.mark.parametrize("what", NAMES)
def test_names_in_queries(site: Site, what: str) -> None:
    site.add_scored("saffron", "one")
    name, browser = quote(NAMES[what], safe=""), site.browser("root")
    is_nul = "\0" in NAMES[what]
    sorted_ = browser.open(f"/events/autumn/leaderboard?sort={name}")
    assert sorted_.status_code == (400 if is_nul else 404)
    for path in (
        f"/events/autumn/leaderboard?page={name}&order={name}",
        f"/admin/users?text={name}&page={name}",
        f"/admin/events/autumn/submissions?text={name}&state={name}&page={name}",
        f"/login?next={name}",
    ):
        assert browser.open(path).status_code in ((400,) if is_nul else (200, 302)), path
    acts = browser.open(f"/admin/interactions?event={name}")
    assert acts.status_code in ((400,) if is_nul else (200, 404))


@pytest.mark.parametrize("what", NAMES)
def test_names_of_submissions_and_files(site: Site, what: str) -> None:
    name, browser = NAMES[what], site.browser("saffron")
    form = {"action": "submit", "submission": name, "text-estimator": "x = 1\n"}
    response = browser.post("/events/autumn/sandbox", "/events/autumn/sandbox", **form)
    assert response.status_code == 400
    assert "<script>alert" not in response.get_data(as_text=True)
    # The name of an uploaded file is the browser's word: the element's name is taken.
    upload = (io.BytesIO(b"x = 2\n"), name)
    form = {"action": "save", "upload-estimator": upload}
    assert browser.post("/events/autumn/sandbox", **form).status_code in (302, 400)
    with database.reading(site.engine) as session:
        assert session.query(Submission).count() == 0
        assert {file.name for file in session.query(SandboxFile)} <= {"estimator.py"}
    assert not list(Path(site.settings.deployment_path).rglob("*passwd*"))


@pytest.mark.parametrize("what", NAMES)
def test_names_of_accounts(site: Site, what: str) -> None:
    form = {"name": NAMES[what], "email": "new@example.org", "password": PASSWORD}
    response = site.browser().post("/sign-up", "/sign-up", **form, firstname="", lastname="")
    assert response.status_code == 400
    assert "<script>alert" not in response.get_data(as_text=True)
    with database.reading(site.engine) as session:
        assert session.query(User).count() == 6
    response = site.browser().log_in(NAMES[what], NAMES[what])
    assert response.status_code == (400 if "\0" in NAMES[what] else 401)


@pytest.mark.parametrize(
    "email",
    [
        "x",
        "x@",
        "@example.org",
        "a b@example.org",
        "x@example.org\nBcc: all@example.org",
        "x@example.org,y@example.org",
        "<x@example.org>",
        "x@example",
        "x@exämple.org",
        "a" * 300 + "@example.org",
        "x@example.org\0",
        "saffron@example.org",
        "SAFFRON@EXAMPLE.ORG",
    ],
)
def test_addresses_that_are_none_or_taken(site: Site, email: str) -> None:
    form = {"name": "new", "email": email, "password": PASSWORD, "firstname": "", "lastname": ""}
    assert site.browser().post("/sign-up", "/sign-up", **form).status_code == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", ""),
        ("password", "short"),
        ("password", "x" * 2000),
        ("firstname", "x" * 101),
        ("firstname", "a\nb"),
        ("lastname", "\0"),
        ("lastname", "\u202eevil"),
    ],
)
def test_other_fields_of_an_account(site: Site, field: str, value: str) -> None:
    form = {"name": "new", "email": "new@example.org", "password": PASSWORD}
    form |= {"firstname": "", "lastname": "", field: value}
    assert site.browser().post("/sign-up", "/sign-up", **form).status_code == 400


@pytest.mark.parametrize("extra", ["access_level", "is_admin", "id", "hidden_notes", "action"])
def test_more_fields_than_there_are(site: Site, extra: str) -> None:
    form = {"name": "new", "email": "new@example.org", "password": PASSWORD, extra: "admin"}
    browser = site.browser()
    assert browser.post("/sign-up", "/sign-up", **form, firstname="", lastname="").location
    browser.post("/profile", "/profile", **{"action": "names", "firstname": "N", extra: "admin"})
    browser.get("/admin", 404)
    with database.reading(site.engine) as session:
        user = find(session, User, "new")
        assert (user.access_level, user.hidden_notes) == ("asked", "")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " //evil.example",
        "\t//evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "evil.example",
        "@evil.example",
        "",
    ],
)
def test_nobody_is_led_elsewhere(site: Site, target: str) -> None:
    form = {"account": "saffron", "password": PASSWORD, "next": target}
    assert site.browser().post("/login", "/login", **form).location == "/"
    assert site.browser().open(f"/login?next={quote(target)}").location == "/"


def every_post(site: Site) -> list[str]:
    """An address of each route that changes something."""
    given = {"name": "autumn", "id": 1, "text": "x", "action": "withdraw", "kind": "public"}
    with site.app.test_request_context():
        adapter = site.app.url_map.bind("localhost")
        return [
            adapter.build(rule.endpoint, {each: given[each] for each in rule.arguments}, "POST")
            for rule in site.app.url_map.iter_rules()
            if "POST" in (rule.methods or set()) and not rule.rule.startswith("/api/")
        ]


@pytest.mark.parametrize("token", [None, "", "x", "forged", "of another", "twice"])
def test_forms_without_our_token(site: Site, token: str | None) -> None:
    id_ = site.add_scored("saffron", "one")
    browser, other = site.browser("saffron"), site.browser("juniper")
    if token == "of another":
        token = other.token("/profile")
    if token == "twice":
        token = browser.token("/profile") * 2
    forms = every_post(site)
    assert len(forms) >= 14
    for path in forms:
        data = {"action": "withdraw"} if token is None else {"csrf_token": token}
        response = browser.client.post(path, data=data)
        assert response.status_code == 400, path
        assert "This form is too old, or was not ours." in response.get_data(as_text=True)
    with database.reading(site.engine) as session:
        assert session.get_one(Submission, id_).state == "scored"


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/xml", "x"])
def test_forms_of_another_kind(site: Site, kind: str) -> None:
    browser = site.browser("saffron")
    body = '{"action": "leave", "csrf_token": "x"}'
    for path in ("/profile", "/logout", "/login"):
        response = browser.client.post(path, data=body, content_type=kind)
        assert response.status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
def test_other_methods(site: Site, method: str) -> None:
    for path in ("/", "/events/autumn", "/profile", "/admin/users", "/submissions/1"):
        code = site.browser("root").client.open(path, method=method).status_code
        assert code in ((200, 405) if method == "OPTIONS" else (405,)), path
    headers = {"X-HTTP-Method-Override": method}
    assert site.browser("root").client.get("/", headers=headers).status_code == 200


def cookie_of(browser: Browser) -> str:
    found = browser.client.get_cookie("databoard")
    assert found is not None
    return str(found.value)


@pytest.mark.parametrize("how", ["cut", "turned", "grown", "swapped", "empty", "other key", "none"])
def test_cookies_that_are_not_ours(site: Site, how: str) -> None:
    browser = site.browser("saffron")
    value = cookie_of(browser)
    payload, time, signature = value.split(".")[-3:]
    other_payload = cookie_of(site.browser("root")).split(".")[-3]
    key = site.app.secret_key
    if how == "other key":
        site.app.secret_key = "x" * 64
        value = cookie_of(Site(site.settings, site.engine, site.app).browser("root"))
        site.app.secret_key = key
    changed = {
        "cut": value[:-3],
        "turned": value[::-1],
        "grown": value + "a" * 5000,
        "swapped": f"{other_payload}.{time}.{signature}",
        "empty": "",
        "other key": value,
        "none": "..",
    }[how]
    assert payload
    client = site.app.test_client()
    client.set_cookie("databoard", changed)
    assert ">saffron</a>" not in Browser(client).get("/")
    Browser(client).get("/admin", 404)


def test_a_session_ends_with_its_user(site: Site) -> None:
    browser = site.browser("saffron")
    stolen = site.app.test_client()
    stolen.set_cookie("databoard", cookie_of(browser))
    assert ">saffron</a>" in Browser(stolen).get("/")
    form = {"action": "leave", "leaving": PASSWORD}
    assert browser.post("/profile", "/profile", **form).location == "/"
    assert ">saffron</a>" not in Browser(stolen).get("/")
    assert browser.log_in("saffron").status_code == 401


@pytest.mark.parametrize("text", ["x", "a.b.c", "." * 500, "é", "'", "{{7*7}}", "of another kind"])
def test_links_that_are_not_ours(site: Site, text: str) -> None:
    key = sitekey.site_key(site.engine)
    is_ours = text == "of another kind"  # it confirms an address, and sets no password
    if is_ours:
        with database.reading(site.engine) as session:
            text = accounts.confirmation(key, find(session, User, "saffron"))
    link = f"/reset/{quote(text, safe='')}"
    page = site.browser().get(link, 400)
    assert "This link is not valid any more." in page
    response = site.browser().post(link, "/login", password="another password")
    assert response.status_code == 400
    response = site.browser().post(f"/confirm/{quote(text, safe='')}", "/login")
    assert response.status_code == (302 if is_ours else 400)
    assert Browser(site.app.test_client()).log_in("saffron").status_code == 302


def test_a_link_works_once_and_not_for_long(site: Site, engine: Engine) -> None:
    key = sitekey.site_key(engine)
    with database.reading(engine) as session:
        link = f"/reset/{accounts.reset_link(key, find(session, User, 'saffron'))}"
    assert "New password" in site.browser().get(link)
    response = site.browser().post(link, link, password="short")
    assert response.status_code == 400 and "too short" in response.get_data(as_text=True)
    assert site.browser().post(link, link, password="another password").location == "/"
    site.browser().get(link, 400)
    assert sitekey.signed(key, "reset", link.removeprefix("/reset/"), max_age=-1) is None
    assert Browser(site.app.test_client()).log_in("saffron", "another password").location == "/"


NUMBERS = ("-1", "0", "1.5", "1e9", "NaN", "0x10", "9" * 40, "١", "--", "null")  # noqa: RUF001


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers(site: Site, number: str) -> None:
    browser, number = site.browser("root"), quote(number)
    for path in ("/submissions/{}", "/submissions/{}.zip", "/submissions/1/diff/{}"):
        browser.get(path.format(number), 404)
    for path in ("/events/autumn/leaderboard?page={}", "/admin/users?page={}"):
        assert browser.open(path.format(number)).status_code in (200, 404)
    page = "/admin/events/autumn/submissions"
    response = browser.post(page, page, action="delete", submission=[number, "1", "x"])
    assert response.location == page


def test_repeated_and_endless_fields(site: Site) -> None:
    browser = site.browser("root")
    names = [str(number) for number in range(500)]
    assert browser.post("/admin/users", action="level", user=names).status_code in (302, 413)
    form = {f"field{number}": "x" for number in range(1000)}
    assert browser.post("/login", **form).status_code in (400, 401, 413)
    query = "&".join(itertools.repeat("sort=acc", 2000))
    assert browser.open(f"/events/autumn/leaderboard?{query}").status_code == 200


def test_an_event_of_hostile_words_is_shown_as_text(site: Site) -> None:
    words = "<img src=x onerror=alert(1)> {{7*7}} ' \" &"
    with database.session_scope(site.engine) as session:
        find(session, Event, "autumn").title = words
    for path in ("/", "/events/autumn", "/events/autumn/leaderboard", "/events/autumn/plots"):
        page = site.browser("saffron").get(path)
        assert "<img" not in page and "&lt;img src=x onerror=alert(1)&gt; {{7*7}}" in page


def test_host_headers_change_nothing(site: Site) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1", "[::1]", "a" * 300):
        response = site.app.test_client().get("/", headers={"Host": host})
        assert response.status_code in (200, 400)
        assert "evil.example" not in response.get_data(as_text=True)
        assert not re.search("evil", str(response.headers))
