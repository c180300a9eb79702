"""The pages of admins: what each kind of person may do there, and what is refused."""

from __future__ import annotations

import csv
import io

import pytest

from databoard import database, joining, people
from databoard.event_settings import settings_of
from databoard.leaderboard import load_event
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, User
from databoard.model.submission import Submission
from tests.web.board import Site

OF_SITE = ("/admin/users", "/admin/interactions", "/admin/interactions.csv")
OF_EVENT = (
    "/admin",
    "/admin/sign-ups",
    "/admin/queue",
    "/admin/events/autumn",
    "/admin/events/autumn/submissions",
    "/admin/interactions?event=autumn",
    "/admin/interactions.csv?event=autumn",
)


@pytest.mark.parametrize("path", [*OF_SITE, *OF_EVENT])
def test_who_sees_the_pages(site: Site, path: str) -> None:
    site.browser("root").get(path)
    site.browser("sage").get(path, 404 if path in OF_SITE else 200)
    for who in ("saffron", "lovage", "sorrel"):
        site.browser(who).get(path, 404)
    response = site.browser().open(path)
    assert response.status_code == (404 if path == "/admin" else 302)


@pytest.mark.parametrize("who", ["saffron", "sorrel", "sage"])
def test_who_may_not_let_people_in(site: Site, who: str) -> None:
    response = site.browser(who).post("/admin/users", action="approve", user="sorrel")
    assert response.status_code == 404
    response = site.browser(who).post("/admin/users", action="level", user=who, level="admin")
    assert response.status_code == 404
    with database.reading(site.engine) as session:
        assert find(session, User, "sorrel").access_level == "asked"
        assert find(session, User, who).access_level != "admin"


def test_users_are_let_in_in_bulk(site: Site) -> None:
    with database.session_scope(site.engine) as session:
        people.create_user(session, "tansy", "tansy@example.org")
    browser = site.browser("root")
    chosen = ["sorrel", "nobody", "saffron", "tansy"]
    response = browser.post("/admin/users", "/admin/users", action="approve", user=chosen)
    assert response.location == "/admin/users"
    page = browser.get("/admin/users")
    assert "2 users approved." in page
    assert "There is no user &#39;nobody&#39;." in page
    assert "The user saffron is already approved." in page
    with database.reading(site.engine) as session:
        for name in ("sorrel", "tansy"):
            assert find(session, User, name).access_level == "user"


def test_levels_and_notes(site: Site) -> None:
    browser = site.browser("root")
    browser.post("/admin/users", action="level", user="lovage", level="admin")
    browser.post("/admin/users", action="level", user="root", level="user")
    browser.get("/admin/users", 404)  # root is none any more
    page = site.browser("lovage").get("/admin/users")
    assert "root" in page
    site.browser("lovage").post("/admin/users", action="level", user="lovage", level="user")
    assert "The user lovage is the only admin." in site.browser("lovage").get("/admin/users")
    form = {"action": "notes", "user": "saffron", "notes": '"><script>'}
    site.browser("lovage").post("/admin/users", **form)
    assert 'value="&#34;&gt;&lt;script&gt;"' in site.browser("lovage").get("/admin/users?text=saff")
    assert "saffron" not in site.browser("lovage").get("/admin/users?text=100%25")


def ask(site: Site, team: str, event: str = "autumn") -> None:
    with database.session_scope(site.engine) as session:
        joining.ask_to_join(session, load_event(session, event), find(session, Team, team))


def test_sign_ups_are_answered(site: Site) -> None:
    ask(site, "lovage")
    ask(site, "root")
    ask(site, "sage")
    browser = site.browser("sage")
    page = browser.get("/admin/sign-ups")
    assert 'value="autumn/lovage"' in page
    with database.session_scope(site.engine) as session:  # root is not let in any more
        people.create_user(session, "basil", "basil@example.org", access_level="admin")
        find(session, User, "root").access_level = "asked"
    chosen = ["autumn/lovage", "autumn/root", "autumn/nobody", "summer/lovage"]
    browser.post("/admin/sign-ups", "/admin/sign-ups", action="approve", request=chosen)
    page = browser.get("/admin/sign-ups")
    assert "1 team signed up." in page
    for said in (
        "root of the team root is not approved.",
        "There is no team &#39;nobody&#39;.",
        "There is no event &#39;summer&#39;.",
    ):
        assert said in page
    browser.post("/admin/sign-ups", "/admin/sign-ups", action="refuse", request="autumn/sage")
    assert "1 team not signed up." in browser.get("/admin/sign-ups")
    with database.reading(site.engine) as session:
        event = load_event(session, "autumn")
        assert session.get(EventTeam, (event.id, find(session, Team, "lovage").id))
        assert not session.get(EventTeam, (event.id, find(session, Team, "sage").id))
        assert [each.team.name for each in joining.requests(session)] == ["root"]


def form_of(site: Site, **changed: str) -> dict[str, str]:
    """All fields of the settings, as the page has them."""
    from databoard.web.admin_event import _typed

    with database.reading(site.engine) as session:
        settings = settings_of(load_event(session, "autumn"))
    return {name: _typed(value) for name, value in settings.items()} | changed


def test_settings_are_changed(site: Site) -> None:
    browser, page = site.browser("sage"), "/admin/events/autumn"
    form = form_of(site, title="Fall", daily_quota="3", closing_at="2100-01-01T12:30")
    assert browser.post(page, page, action="settings", **form).location == page
    assert "Changed: title, daily quota, closing at." in browser.get(page)
    assert browser.post(page, page, action="settings", **form_of(site)).location == page
    assert "Nothing has changed." in browser.get(page)
    with database.reading(site.engine) as session:
        event = load_event(session, "autumn")
        assert (event.title, event.daily_quota) == ("Fall", 3)
        assert f"{event.closing_at}" == "2100-01-01 12:30:00+00:00"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("title", "", "&#39;&#39; cannot be the title of an event."),
        ("min_seconds", "-1", "The setting min_seconds is &#39;-1&#39;."),
        ("daily_quota", "many", "The setting daily_quota is &#39;many&#39;."),
        ("opening_at", "2200-01-01T00:00", ""),
        ("closing_at", "soon", "The setting closing_at is &#39;soon&#39;."),
        ("official_score", "x", "The event autumn has no score type &#39;x&#39;."),
        ("score_kind", "median", "&#39;median&#39; is no kind of score."),
    ],
)
def test_settings_that_are_refused(site: Site, field: str, value: str, said: str) -> None:
    browser, page = site.browser("root"), "/admin/events/autumn"
    changed = {field: value}
    if field == "opening_at":
        changed["closing_at"] = "2100-01-01T00:00"
        said = "The closing of autumn at 2100-01-01 00:00 UTC is not after its opening"
    form = form_of(site, is_public="no", **changed)
    response = browser.post(page, page, action="settings", **form)
    assert response.status_code == 400 and said in response.get_data(as_text=True)
    with database.reading(site.engine) as session:
        assert load_event(session, "autumn").is_public


def test_teams_and_admins_of_an_event(site: Site) -> None:
    browser, page = site.browser("sage"), "/admin/events/autumn"
    assert browser.post(page, page, action="sign up", team="lovage").location == page
    assert browser.post(page, page, action="make an admin", user="saffron").location == page
    site.browser("saffron").get(page)
    for form, said in (
        ({"action": "sign up", "team": "lovage"}, "is already signed up to autumn."),
        ({"action": "sign up", "team": "x"}, "There is no team &#39;x&#39;."),
        ({"action": "make an admin", "user": "x"}, "There is no user &#39;x&#39;."),
        ({"action": "make an admin", "user": "saffron"}, "is an admin of autumn already."),
    ):
        response = browser.post(page, page, **form)
        assert response.status_code == 400 and said in response.get_data(as_text=True)


def test_submissions_in_bulk(site: Site) -> None:
    one, two = site.add_scored("saffron", "one"), site.add_scored("juniper", "two")
    new, other = site.submit("saffron", "three"), site.add_scored("saffron", "x", event="winter")
    browser, page = site.browser("sage"), "/admin/events/autumn/submissions"
    with database.session_scope(site.engine) as session:  # sage is no admin of winter
        winter = find(session, Event, "winter")
        winter.admins.clear()
    chosen = [str(each) for each in (one, two, new, other, 99, 2**40)]
    browser.post(page, page, action="train again", submission=chosen)
    said = browser.get(page)
    assert "2 submissions put back into the queue." in said
    for refused in (
        "saffron/three: it is new.",
        "There is no submission &#39;99&#39; in this event.",
        f"There is no submission &#39;{other}&#39; in this event.",
        "There is no submission &#39;1099511627776&#39; in this event.",
    ):
        assert refused in said
    with database.reading(site.engine) as session:
        states = {each.name: each.state for each in session.query(Submission)}
    assert states == {"one": "new", "two": "new", "three": "new", "x": "scored"}
    browser.post(page, page, action="delete", submission=[str(one), str(other)])
    assert "1 submission deleted for good." in browser.get(page)
    with database.reading(site.engine) as session:
        assert session.get(Submission, one) is None and session.get(Submission, other)
    for form, said in (
        ({"action": "drop table", "submission": [str(two)]}, "Choose what to do first."),
        ({"action": "delete"}, "Choose some first."),
    ):
        browser.post(page, page, **form)
        assert said in browser.get(page)


def test_filters(site: Site) -> None:
    site.add_scored("saffron", "one")
    site.submit("juniper", "two")
    page = "/admin/events/autumn/submissions"
    browser = site.browser("root")
    assert ">two</a>" not in browser.get(f"{page}?state=scored")
    assert ">one</a>" not in browser.get(f"{page}?text=JUNI")
    for query in ("state=nothing", "text=%25", "text=%27", "page=9999999999", "page=x"):
        assert browser.get(f"{page}?{query}")
    assert "There is none like that." in browser.get(f"{page}?text=%25")


def test_the_queue(site: Site) -> None:
    site.submit("saffron", "one")
    page = site.browser("sage").get("/admin/queue")
    assert "saffron: one" in page and "1 waits." in page
    assert "<code>inv backend-train-test-loop</code>" in page
    with database.session_scope(site.engine) as session:
        for event in session.query(Event).all():
            event.admins.clear()
    site.browser("sage").get("/admin/queue", 404)


def test_what_people_did(site: Site) -> None:
    form = {"action": "save", "text-estimator": "print()\n"}
    site.browser("saffron").post("/events/autumn/sandbox", **form)
    form = {"action": "submit", "submission": "first", "text-estimator": "print()\n"}
    site.browser("saffron").post("/events/autumn/sandbox", "/events/autumn/sandbox", **form)
    page = site.browser("sage").get("/admin/interactions?event=autumn")
    assert "saffron/first" in page and "logged in" not in page
    text = site.browser("root").get("/admin/interactions.csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0].keys() == {"at", "kind", "user", "event", "subject", "address"}
    assert {(row["kind"], row["user"], row["subject"]) for row in rows} >= {
        ("logged in", "saffron", ""),
        ("submitted", "saffron", "saffron/first"),
    }
