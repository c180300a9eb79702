"""Links in mails: an address that is confirmed, another one, a password set anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from databoard import accounts, database
from databoard.lookup import find
from databoard.model.people import User
from tests.test_mail import Postbox, postbox, running, variables  # noqa: F401 - a fixture
from tests.training.deployment import until
from tests.web.board import PASSWORD, Browser, Site

NEW = {"name": "tansy", "email": "tansy@example.org", "password": PASSWORD}
PROFILE = "/profile"


@pytest.fixture
def mails(
    postbox: Postbox,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Postbox]:
    """What the site has sent."""
    with running(postbox) as port:
        for name, value in variables(port).items():
            monkeypatch.setenv(name, value)
        yield postbox


def user(site: Site, name: str) -> User:
    with database.reading(site.engine) as session:
        return find(session, User, name)


def link_in(mails: Postbox, count: int) -> str:
    """The path of the link in the last of so many mails."""
    until(lambda: len(mails.mails) == count)
    return path_in(mails.mails[-1])


def path_in(mail: EmailMessage) -> str:
    (link,) = re.findall(r"^http://localhost(/\S+)", mail.get_content(), re.MULTILINE)
    return str(link)


def change_mail(browser: Browser, email: str, password: str = PASSWORD) -> str:
    form = {"action": "mail", "email": email, "known": password}
    response = browser.post(PROFILE, PROFILE, **form)
    if response.status_code == 302:
        return browser.get(PROFILE)
    assert response.status_code == 400
    return response.get_data(as_text=True)


def test_an_address_is_confirmed_by_the_link_in_a_mail(site: Site, mails: Postbox) -> None:
    browser = site.browser()
    browser.post("/sign-up", "/sign-up", **NEW, firstname="", lastname="")
    link = link_in(mails, 1)
    assert mails.addresses == ["tansy@example.org"]
    site.browser("saffron").get(link)  # looking at it confirms nothing
    assert user(site, "tansy").access_level == "not_confirmed"
    assert "Open the link in the mail" in browser.get(PROFILE)
    for _ in range(2):  # the second time, too
        assert browser.post(link, link).status_code == 302
        assert "Your mail address is confirmed. An admin will look" in browser.get(PROFILE)
        assert user(site, "tansy").access_level == "asked"


def test_who_logs_in_unconfirmed_gets_some_more_mails(site: Site, mails: Postbox) -> None:
    site.browser().post("/sign-up", "/sign-up", **NEW, firstname="", lastname="")
    for _ in range(accounts.MOST_MAILS + 2):
        assert Browser(site.app.test_client()).log_in("tansy").status_code == 302
    site.browser("sorrel")  # whose address is confirmed
    link = link_in(mails, 1 + accounts.MOST_MAILS)
    assert set(mails.addresses) == {"tansy@example.org"}
    assert site.browser().post(link, link).status_code == 302


def test_another_mail_address(site: Site, mails: Postbox) -> None:
    browser = site.browser("saffron")
    assert "We sent a mail to new@example.org" in change_mail(browser, "New@example.org")
    link = link_in(mails, 1)
    assert mails.addresses == ["new@example.org"]
    assert user(site, "saffron").email == "saffron@example.org"
    assert browser.post(link, link).status_code == 302
    assert "Your mail address is confirmed." in (page := browser.get(PROFILE))
    assert "An admin will look" not in page and "It is new@example.org." in page
    assert site.browser().log_in("new@example.org").status_code == 302


def test_a_mail_address_that_is_wanted_twice(site: Site, mails: Postbox) -> None:
    for number, name in enumerate(("saffron", "juniper"), 1):
        change_mail(site.browser(name), "new@example.org")
        link_in(mails, number)
    first, second = map(path_in, mails.mails)
    assert site.browser().post(first, first).status_code == 302
    response = site.browser().post(second, second)
    assert response.status_code == 400
    assert "new@example.org has an account already" in response.get_data(as_text=True)
    assert user(site, "juniper").email == "juniper@example.org"


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("new@example.org", "wrong", "That is not your password."),
        ("new", PASSWORD, "&#39;new&#39; is not a mail address."),
        ("juniper@example.org", PASSWORD, "juniper@example.org has an account already."),
    ],
)
def test_a_mail_address_that_is_refused(
    site: Site, mails: Postbox, email: str, password: str, said: str
) -> None:
    assert said in change_mail(site.browser("saffron"), email, password)
    assert user(site, "saffron").email == "saffron@example.org" and not mails.mails


def test_no_more_mails_than_some(site: Site, mails: Postbox) -> None:
    for number in range(accounts.MOST_MAILS):
        assert "We sent" in change_mail(site.browser("saffron"), f"new{number}@example.org")
    assert "tried too often" in change_mail(site.browser("saffron"), "last@example.org")
    link_in(mails, accounts.MOST_MAILS)


def test_a_site_without_mails_changes_it_at_once(site: Site) -> None:
    assert "Your mail address is changed." in change_mail(site.browser("saffron"), "n@example.org")
    assert user(site, "saffron").email == "n@example.org"


def test_a_new_password_by_mail(site: Site, mails: Postbox) -> None:
    old = site.browser("saffron")
    answers = {
        site.browser().post("/reset", "/reset", account=account).get_data(as_text=True)
        for account in ("saffron@example.org", "nobody@example.org", "'", "")
    }
    assert len(answers) == 1
    link = link_in(mails, 1)
    browser = Browser(site.app.test_client())
    assert browser.post(link, link, password="short").status_code == 400
    assert browser.post(link, link, password="another lantern").status_code == 302
    assert ">saffron</a>" in browser.get("/") and ">saffron</a>" not in old.get("/")
    assert browser.open(link).status_code == 400  # it is used up
    assert browser.post(link, password="yet another lantern").status_code == 400
    assert site.browser().log_in("saffron", "another lantern").status_code == 302


def test_links_that_are_too_old(
    site: Site, mails: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_mail(site.browser("saffron"), "new@example.org")
    confirm = link_in(mails, 1)
    site.browser().post("/reset", "/reset", account="saffron")
    reset = link_in(mails, 2)
    monkeypatch.setattr(accounts, "CONFIRM_AGE", -1)
    monkeypatch.setattr(accounts, "RESET_AGE", -1)
    assert site.browser().post(confirm, "/login").status_code == 400
    assert site.browser().open(reset).status_code == 400
    assert user(site, "saffron").email == "saffron@example.org"
