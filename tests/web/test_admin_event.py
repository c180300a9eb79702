"""What admins of an event do with its teams, submissions and notes; nothing of other events."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from databoard import database, interactions, joining
from databoard.leaderboard import load_event
from databoard.lookup import find
from databoard.model.audit import Interaction
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, User
from databoard.model.submission import Submission
from tests.web.board import Site
from tests.web.test_admin import form_of
from tests.web.test_hostile import NAMES

PAGE = "/admin/events/autumn"


def only_admin_of_autumn(site: Site) -> None:
    """From now on sage administers one event."""
    with database.session_scope(site.engine) as session:
        winter = find(session, Event, "winter")
        winter.admins.clear()


def test_a_team_is_taken_out(site: Site) -> None:
    one, other = site.add_scored("saffron", "one"), site.add_scored("saffron", "x", event="winter")
    browser = site.browser("sage")
    assert 'aria-label="Take saffron out"' in browser.get(PAGE)
    shown = browser.post(PAGE, PAGE, action="look", team="saffron").get_data(as_text=True)
    assert "This would delete the sign-up of saffron to autumn" in shown
    assert "with 1 submission with scores and files (1 scored)" in shown
    with database.session_scope(site.engine) as session:
        assert session.get(Submission, one)
        find(session, Event, "autumn").valid_combined = 0.5  # it has been blended
    assert browser.post(PAGE, PAGE, action="take out", team="saffron").location == PAGE
    assert (
        "The team saffron is out of this event. Contributivities are as before, until: "
        "inv compute-contributivity autumn"
    ) in browser.get(PAGE)
    with database.reading(site.engine) as session:
        assert session.get(Submission, one) is None and session.get(Submission, other)
        assert session.query(EventTeam).count() == 3
        (act,) = session.query(Interaction).filter_by(kind="took out")
        assert (act.subject, act.event_id) == ("saffron", load_event(session, "autumn").id)


@pytest.mark.parametrize("action", ["look", "take out"])
def test_teams_that_stay(site: Site, action: str) -> None:
    browser, id_ = site.browser("sage"), site.submit("juniper", "one")
    with database.session_scope(site.engine) as session:
        submission = session.get_one(Submission, id_)
        submission.state, submission.worker = "training", "w"
        submission.lease_end = submission.submitted_at
    for team, said in (
        ("juniper", "The submission one is being trained."),
        ("lovage", "The team lovage is not signed up to autumn."),
        ("nobody", "There is no team &#39;nobody&#39;."),
        ("nul\0", "There is a character in it that no text has: NUL."),
        ("", "There is no team &#39;&#39;."),
    ):
        response = browser.post(PAGE, PAGE, action=action, team=team)
        assert response.status_code == 400 and said in response.get_data(as_text=True)
    response = browser.post(PAGE, PAGE, action="x")
    assert "Choose what to do first." in response.get_data(as_text=True)
    with database.reading(site.engine) as session:
        assert session.query(EventTeam).count() == 4


def test_who_signs_a_team_up_has_answered_it(site: Site) -> None:
    with database.session_scope(site.engine) as session:
        event, team = load_event(session, "autumn"), find(session, Team, "lovage")
        joining.ask_to_join(session, event, team)
    site.browser("sage").post(PAGE, PAGE, action="sign up", team="lovage")
    with database.reading(site.engine) as session:
        assert joining.requests(session) == []
    assert "No team waits for an answer." in site.browser("sage").get("/admin/sign-ups")


def test_what_is_wrong_is_said_beside_its_field(site: Site) -> None:
    form = form_of(site, min_seconds="-1", daily_quota="many", title="Fall")
    text = site.browser("sage").post(PAGE, PAGE, action="settings", **form).get_data(as_text=True)
    for name, said in (
        ("min_seconds", "Use a whole number from 0 to 2147483647."),
        ("daily_quota", "Use a whole number from 1 to 2147483647."),
    ):
        assert f'<p class="wrong" id="{name}-wrong">{said}</p>' in text
    assert text.count('aria-invalid="true"') == 2 and 'value="Fall"' in text


def test_seconds_that_the_form_does_not_show_stay(site: Site) -> None:
    opening = datetime(2020, 1, 1, 12, 30, 59, tzinfo=UTC)
    site.set(opening_at=opening)
    site.browser("sage").post(PAGE, PAGE, action="settings", **form_of(site, title="Fall"))
    assert "Changed: title." in site.browser("sage").get(PAGE)
    with database.reading(site.engine) as session:
        assert load_event(session, "autumn").opening_at == opening
    site.browser("sage").post(PAGE, PAGE, action="settings", **form_of(site, opening_at=""))
    with database.reading(site.engine) as session:
        assert load_event(session, "autumn").opening_at is None


def test_an_admin_of_one_event_touches_no_other(site: Site) -> None:
    other = site.add_scored("saffron", "x", event="winter")
    with database.session_scope(site.engine) as session:
        event, team = load_event(session, "winter"), find(session, Team, "lovage")
        joining.ask_to_join(session, event, team)
    only_admin_of_autumn(site)
    browser = site.browser("sage")
    for page in (
        "/admin/events/winter",
        "/admin/events/winter/submissions",
        "/admin/interactions?event=winter",
        "/admin/interactions.csv?event=winter",
    ):
        browser.get(page, 404)
    winter = "/admin/events/winter"
    for form in (
        {"action": "settings", "title": "Mine"},
        {"action": "sign up", "team": "lovage"},
        {"action": "take out", "team": "saffron"},
        {"action": "make an admin", "user": "sage"},
    ):
        assert browser.post(winter, PAGE, **form).status_code == 404
    for action in ("train again", "exclude", "withdraw", "delete"):
        form = {"action": action, "submission": str(other)}
        assert browser.post(f"{winter}/submissions", PAGE, **form).status_code == 404
        assert browser.post(f"{PAGE}/submissions", PAGE, **form).status_code == 302
        said = browser.get(f"{PAGE}/submissions")
        assert f"There is no submission &#39;{other}&#39; in this event." in said
    browser.post("/admin/sign-ups", PAGE, action="approve", request="winter/lovage")
    assert "There is no event &#39;winter&#39;." in browser.get("/admin/sign-ups")
    for page in ("/admin", "/admin/queue", "/admin/sign-ups"):
        assert "winter" not in browser.get(page)
    with database.reading(site.engine) as session:
        event = load_event(session, "winter")
        assert event.title == "The winter school" and not event.admins
        submission = session.get_one(Submission, other)
        assert submission.state == "scored" and submission.is_in_ensemble
        assert len(joining.requests(session)) == 1


@pytest.mark.parametrize(
    ("action", "said", "kind"),
    [
        ("exclude", "1 submission excluded from the ensemble.", "excluded from the ensemble"),
        ("withdraw", "1 submission withdrawn.", "withdrawn"),
        ("delete", "1 submission deleted for good.", "deleted for good"),
    ],
)
def test_what_leaves_a_blended_event(site: Site, action: str, said: str, kind: str) -> None:
    id_, page = site.add_scored("saffron", "one"), f"{PAGE}/submissions"
    with database.session_scope(site.engine) as session:
        find(session, Event, "autumn").valid_combined = 0.5
    browser = site.browser("sage")
    browser.post(page, page, action=action, submission=str(id_))
    text = browser.get(page)
    assert said in text
    assert "Contributivities are as before, until: inv compute-contributivity autumn" in text
    with database.reading(site.engine) as session:
        (act,) = session.query(Interaction).filter_by(kind=kind)
        assert act.subject == "saffron/one"


def test_excluding_twice(site: Site) -> None:
    id_, page = site.add_scored("saffron", "one"), f"{PAGE}/submissions"
    browser = site.browser("sage")
    for action, said in (
        ("include", "saffron/one: it is in the ensemble already."),
        ("exclude", "1 submission excluded from the ensemble."),
        ("exclude", "saffron/one: it is out of the ensemble already."),
        ("include", "1 submission included in the ensemble."),
        ("cancel", "saffron/one: it is scored."),
    ):
        browser.post(page, page, action=action, submission=str(id_))
        assert said in browser.get(page)


def test_filters_of_submissions(site: Site) -> None:
    site.add_scored("saffron", "one")
    site.submit("juniper", "two")
    browser, page = site.browser("sage"), f"{PAGE}/submissions"
    assert ">two</a>" in browser.get(f"{page}?team=juniper&state=new&text=TW")
    text = browser.get(f"{page}?team=juniper")
    assert ">one</a>" not in text and "<option selected>juniper</option>" in text
    assert "There is none like that." in browser.get(f"{page}?team=junipe")
    response = browser.post(page, page, action="cancel", team="juniper", state="new", text="t")
    assert response.location == f"{page}?state=new&team=juniper&text=t"


def test_what_is_trained(site: Site) -> None:
    id_ = site.submit("saffron", "one")
    site.submit("saffron", "broken")
    with database.session_scope(site.engine) as session:
        submission = session.get_one(Submission, id_)
        submission.state, submission.worker, submission.attempt = "training", "host:77", 3
        submission.training_at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
        submission.lease_end = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
        broken = session.query(Submission).filter_by(name="broken").one()
        broken.state, broken.worker, broken.lease_end = "training", "w", broken.submitted_at
        session.flush()
        broken.state, broken.error_kind = "checking_error", "platform"
        broken.worker = broken.lease_end = None
    text = site.browser("sage").get("/admin/queue")
    for said in ("host:77", "2026-01-02 03:04 UTC", "2026-01-02 03:05 UTC", ">3</td>", "data-live"):
        assert said in text
    assert "Nothing waits." in text
    text = site.browser("sage").get("/admin")
    assert f'<a href="{PAGE}/submissions?state=checking_error">1 failed because of this' in text
    assert ">broken</a>" in site.browser("sage").get(f"{PAGE}/submissions?state=checking_error")


def fill_acts(site: Site, count: int) -> None:
    with database.session_scope(site.engine) as session:
        event, user = load_event(session, "autumn"), find(session, User, "saffron")
        for number in range(count):
            interactions.note(session, "submitted", user, event, f"=saffron/{number}")
        interactions.note(session, "withdrawn", find(session, User, "juniper"), event, "juniper/x")


def test_acts_by_user_and_kind(site: Site) -> None:
    fill_acts(site, 250)
    browser, page = site.browser("sage"), "/admin/interactions?event=autumn"
    text = browser.get(f"{page}&kind=withdrawn")
    assert "juniper/x" in text and "saffron/" not in text
    assert "juniper/x" not in browser.get(f"{page}&user=saffron")
    first, second = browser.get(f"{page}&user=saffron"), browser.get(f"{page}&user=saffron&page=2")
    assert "=saffron/249<" in first and "=saffron/49<" not in first and "Older" in first
    assert "=saffron/49<" in second and "Newer" in second
    assert "user=saffron" in second.partition('rel="prev"')[2].partition(">")[0]
    assert "Nobody did that." in browser.get(f"{page}&user=nobody")
    browser.get("/admin/interactions?user=saffron", 404)  # those of all events


def test_acts_are_exported_as_they_are_filtered(site: Site) -> None:
    fill_acts(site, 2100)
    browser, page = site.browser("sage"), "/admin/interactions.csv?event=autumn"
    response = browser.open(f"{page}&user=saffron&kind=submitted")
    assert response.is_streamed and response.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))
    assert [row["subject"] for row in rows] == [f"'=saffron/{n}" for n in reversed(range(2100))]
    text = browser.get(f"{page}&kind=nothing")
    assert text == "at,kind,user,event,subject,address\n"


@pytest.mark.parametrize("what", NAMES)
def test_hostile_filters(site: Site, what: str) -> None:
    site.add_scored("saffron", "one")
    fill_acts(site, 1)
    name, root = quote(NAMES[what], safe=""), site.browser("root")
    is_nul = "\0" in NAMES[what]
    for path in (
        f"/admin/users?level={name}&text={name}",
        f"{PAGE}/submissions?team={name}&state={name}&text={name}",
        f"/admin/interactions?user={name}&kind={name}&page={name}",
        f"/admin/interactions.csv?user={name}&kind={name}",
    ):
        text = root.get(path, 400 if is_nul else 200)
        assert "<script>alert" not in text and 'onmouseover="alert' not in text
    root.get(f"/admin/interactions?event={name or 'x'}", 400 if is_nul else 404)
    root.get(f"/admin/users/{name}", 404)
    for form in (
        {"action": "take out", "team": NAMES[what]},
        {"action": "sign up", "team": NAMES[what]},
        {"action": "make an admin", "user": NAMES[what]},
        {"action": NAMES[what]},
    ):
        assert root.post(PAGE, PAGE, **form).status_code == 400
    for page, form in (
        ("/admin/users", {"action": "approve", "user": NAMES[what]}),
        ("/admin/users", {"action": "level", "user": "saffron", "level": NAMES[what]}),
        ("/admin/sign-ups", {"action": "approve", "request": f"autumn/{NAMES[what]}"}),
        ("/admin/sign-ups", {"action": "approve", "request": NAMES[what]}),
        (f"{PAGE}/submissions", {"action": NAMES[what], "submission": "1"}),
        (f"{PAGE}/submissions", {"action": "delete", "submission": NAMES[what]}),
    ):
        assert root.post(page, page, **form).status_code == (400 if is_nul else 302)
    with database.reading(site.engine) as session:
        assert session.query(Submission).count() == 1
        assert find(session, User, "saffron").access_level == "user"
        assert session.query(EventTeam).count() == 4
