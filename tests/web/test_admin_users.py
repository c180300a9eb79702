"""What admins of the site do with users, and the mails that follow."""

from __future__ import annotations

import pytest

from databoard import accounts, database, joining, people
from databoard.leaderboard import load_event
from databoard.lookup import find, present
from databoard.model.audit import Interaction
from databoard.model.event import EventTeam
from databoard.model.people import Team, User
from databoard.model.submission import Submission
from databoard.people import is_password
from databoard.teams import add_team
from tests.test_mail import Postbox, postbox, running, variables  # noqa: F401 - a fixture
from tests.training.deployment import until
from tests.web.board import PASSWORD, Browser, Site


def noted(site: Site) -> list[tuple[str, str]]:
    """What root did: kinds and subjects, but for the log-ins."""
    with database.reading(site.engine) as session:
        rows = session.query(Interaction).join(User).filter(User.name == "root")
        acts = rows.order_by(Interaction.id).all()
    return [(act.kind, act.subject) for act in acts if act.kind != "logged in"]


@pytest.mark.parametrize("who", ["", "saffron", "sorrel", "sage"])
@pytest.mark.parametrize("action", ["approve", "level", "notes", "password", "close", "delete"])
def test_who_may_not_touch_accounts(site: Site, who: str, action: str) -> None:
    form = {"action": action, "level": "admin", "notes": "x"}
    response = site.browser(who).post("/admin/users/sorrel", **form)
    assert response.status_code == (404 if who else 302)
    with database.reading(site.engine) as session:
        user = find(session, User, "sorrel")
        assert (user.access_level, user.hidden_notes) == ("asked", "")
        assert is_password(user.password_hash or "", PASSWORD)


def test_one_user(site: Site) -> None:
    browser, page = site.browser("root"), "/admin/users/sorrel"
    assert "Let sorrel in" in browser.get(page)
    for form, said in (
        ({"action": "approve"}, "sorrel is approved."),
        ({"action": "level", "level": "admin"}, "The access of sorrel is set."),
        ({"action": "notes", "notes": "met\r\nin May"}, "The notes are kept."),
    ):
        assert browser.post(page, page, **form).location == page
        assert said in browser.get(page)
    assert ">met\nin May</textarea>" in browser.get(page)
    acts = [(kind, "sorrel") for kind in ("approved", "made admin", "described")]
    assert noted(site) == acts


@pytest.mark.parametrize(
    ("name", "form", "said"),
    [
        ("saffron", {"action": "approve"}, "The user saffron is already approved."),
        ("saffron", {"action": "level", "level": "x"}, "&#39;x&#39; is no access level."),
        ("root", {"action": "level", "level": "user"}, "The user root is the only admin."),
        ("saffron", {"action": "notes", "notes": "x" * 10_001}, "longer than 10000 characters."),
        ("saffron", {"action": "password"}, "This site sends no mails."),
        ("root", {"action": "close"}, "Your own account is closed on your profile."),
        ("root", {"action": "look"}, "Your own account is closed on your profile."),
        ("root", {"action": "delete"}, "Your own account is closed on your profile."),
        ("saffron", {"action": "drop"}, "Choose what to do first."),
        ("saffron", {}, "Choose what to do first."),
    ],
)
def test_what_is_refused(site: Site, name: str, form: dict[str, str], said: str) -> None:
    page = f"/admin/users/{name}"
    response = site.browser("root").post(page, page, **form)
    assert response.status_code == 400 and said in response.get_data(as_text=True)
    assert noted(site) == []


def test_an_account_is_closed(site: Site) -> None:
    browser, page = site.browser("root"), "/admin/users/saffron"
    site.browser("saffron").get("/profile")
    browser.post(page, page, action="close")
    said = browser.get(page)
    assert "The account saffron is closed." in said and "nobody can log in to it" in said
    assert site.browser("saffron").open("/profile").status_code == 302
    assert Browser(site.app.test_client()).log_in("saffron").status_code == 401
    for action in ("close", "approve", "level"):
        response = browser.post(page, page, action=action, level="user")
        assert "The account saffron is closed." in response.get_data(as_text=True)
    with database.reading(site.engine) as session:
        user = find(session, User, "saffron")
        assert user.access_level == "not_confirmed" and accounts.is_closed(user)
    assert noted(site) == [("closed an account", "saffron")]


def test_a_user_is_deleted(site: Site) -> None:
    site.add_scored("saffron", "one")
    browser, page = site.browser("root"), "/admin/users/saffron"
    shown = browser.post(page, page, action="look").get_data(as_text=True)
    assert "This would delete the user saffron" in shown
    assert "with 1 submission with scores and files (1 scored)" in shown
    with database.reading(site.engine) as session:
        assert present(session, User, "saffron") and session.query(Submission).count() == 1
    assert browser.post(page, page, action="delete").location == "/admin/users"
    assert "The user saffron is deleted." in browser.get("/admin/users")
    browser.get(page, 404)
    assert browser.post(page, "/admin/users", action="delete").status_code == 404
    with database.reading(site.engine) as session:
        assert not present(session, User, "saffron") and not present(session, Team, "saffron")
        assert session.query(Submission).count() == 0
    assert noted(site) == [("deleted a user", "saffron")]


def test_a_user_whose_submission_is_trained_stays(site: Site) -> None:
    id_ = site.submit("saffron", "one")
    with database.session_scope(site.engine) as session:
        submission = session.get_one(Submission, id_)
        submission.state, submission.worker = "training", "w"
        submission.lease_end = submission.submitted_at
    response = site.browser("root").post("/admin/users/saffron", action="delete")
    assert response.status_code == 400
    assert "The submission one is being trained." in response.get_data(as_text=True)


def test_refusals_in_bulk_fit_into_the_cookie(site: Site) -> None:
    browser, page = site.browser("root"), "/admin/users"
    chosen = [*(f"{'x' * 500}{number}" for number in range(61)), "sorrel"]
    browser.post(page, page, action="approve", user=chosen)
    said = browser.get(page)
    assert "1 user approved." in said and "51 others could not be approved either." in said
    browser.post(page, page, action="approve")
    assert "Choose some first." in browser.get(page)
    browser.post(page, page, action="x", user="sorrel")
    assert "Choose what to do first." in browser.get(page)


def test_users_by_level_and_page(site: Site) -> None:
    browser = site.browser("root")
    assert ">saffron</a>" not in browser.get("/admin/users?level=asked")
    assert ">sorrel</a>" in browser.get("/admin/users?level=asked")
    with database.session_scope(site.engine) as session:
        for number in range(101):
            people.create_user(session, f"z{number:03}", f"z{number}@example.org")
    first, second = (browser.get(f"/admin/users?text=z&page={page}") for page in (1, 2))
    assert ">z000</a>" in first and ">z100</a>" not in first and "Next" in first
    assert ">z100</a>" in second and ">z000</a>" not in second and "Previous" in second


def test_mails_to_those_who_are_let_in(
    site: Site,
    postbox: Postbox,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser = site.browser("root")
    with database.session_scope(site.engine) as session:
        people.create_user(session, "tansy", "tansy@example.org")
        people.create_user(session, "thyme", "thyme@example.org")
    with running(postbox) as port:
        for name, value in variables(port).items():
            monkeypatch.setenv(name, value)
        browser.post("/admin/users", action="approve", user=["sorrel", "saffron", "nobody"])
        browser.post("/admin/users/tansy", action="level", level="user")
        browser.post("/admin/users/thyme", action="level", level="not_confirmed")
        browser.post("/admin/users/tansy", action="level", level="admin")
        browser.post("/admin/users/thyme", action="approve")
        until(lambda: len(postbox.mails) == 3)
    assert postbox.addresses == [f"{name}@example.org" for name in ("sorrel", "tansy", "thyme")]
    assert {mail["Subject"] for mail in postbox.mails} == {
        "Your account is open at http://localhost"
    }


def test_a_mail_to_a_team_that_had_asked(
    site: Site,
    postbox: Postbox,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site.set(max_members=2)
    with database.session_scope(site.engine) as session:
        add_team(session, "herbs", ["lovage", "root"])
        event = load_event(session, "autumn")
        for team in ("herbs", "lovage"):
            joining.ask_to_join(session, event, find(session, Team, team))
    browser, page = site.browser("sage"), "/admin/events/autumn"
    with running(postbox) as port:
        for name, value in variables(port).items():
            monkeypatch.setenv(name, value)
        browser.post("/admin/sign-ups", action="approve", request="autumn/herbs")
        browser.post(page, page, action="sign up", team="root")  # which had not asked
        browser.post(page, page, action="sign up", team="lovage")  # which had
        until(lambda: len(postbox.mails) == 3)
    addresses = [f"{name}@example.org" for name in ("lovage", "root", "lovage")]
    assert sorted(postbox.addresses) == sorted(addresses)
    subjects = ["herbs takes part in The autumn school"] * 2
    assert sorted(mail["Subject"] for mail in postbox.mails) == [
        *subjects,
        "lovage takes part in The autumn school",
    ]
    assert "http://localhost/events/autumn" in postbox.mails[0].get_content().splitlines()
    with database.reading(site.engine) as session:
        assert joining.requests(session) == []
        assert session.query(EventTeam).count() == 7


def test_a_new_password_by_mail(
    site: Site,
    postbox: Postbox,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser, page = site.browser("root"), "/admin/users/saffron"
    site.browser("saffron").get("/profile")
    with running(postbox) as port:
        for name, value in variables(port).items():
            monkeypatch.setenv(name, value)
        assert "Send a new password by mail" in browser.get(page)
        assert browser.post(page, page, action="password").location == page
        assert "saffron gets a new password by mail." in browser.get(page)
        with database.session_scope(site.engine) as session:
            find(session, User, "juniper").email = "full@example.org"
        response = browser.post("/admin/users/juniper", page, action="password")
        assert response.status_code == 400
        assert "No mail was sent to juniper" in response.get_data(as_text=True)
    (mail,) = postbox.mails
    password = mail.get_content().partition("password   ")[2].split()[0]
    assert Browser(site.app.test_client()).log_in("saffron", password).status_code == 302
    assert site.browser("saffron").open("/profile").status_code == 302  # the session has ended
    assert Browser(site.app.test_client()).log_in("juniper").status_code == 302
    assert noted(site) == [("sent a new password", "saffron")]
    response = browser.post(page, page, action="password")  # the server is away now
    assert "cannot be used" in response.get_data(as_text=True)
