"""Accounts: signing up, logging in and out, new passwords."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from databoard import accounts, database
from databoard.model.people import User
from databoard.web import create_app
from tests.web.board import PASSWORD, Browser, Site


def test_logging_in_and_out(site: Site) -> None:
    browser = site.browser()
    assert "Log in" in browser.get("/")
    response = browser.log_in("saffron")
    assert response.status_code == 302 and response.location == "/"
    assert ">saffron</a>" in browser.get("/")
    assert browser.post("/logout").status_code == 302
    assert ">saffron</a>" not in browser.get("/")


@pytest.mark.parametrize(
    ("account", "password"),
    [("saffron", "wrong"), ("nobody", PASSWORD), ("", ""), ("saffron", "x" * 10_000)],
)
def test_a_wrong_password_and_no_account_look_the_same(
    site: Site, account: str, password: str
) -> None:
    response = site.browser().log_in(account, password)
    assert response.status_code == 401
    assert "There is no such account with this password." in response.get_data(as_text=True)


def test_who_tries_too_often_has_to_wait(site: Site) -> None:
    browser = site.browser()
    for _ in range(accounts.MOST_BY_USER):
        assert browser.log_in("saffron", "wrong").status_code == 401
    response = browser.log_in("saffron")
    assert response.status_code == 401
    assert "That was tried too often. Wait 15 minutes" in response.get_data(as_text=True)
    assert browser.log_in("juniper").status_code == 302


def test_a_new_password_ends_other_sessions(site: Site) -> None:
    browser = site.browser("saffron")
    other = site.browsers.pop("saffron") and site.browser("saffron")
    form = {"action": "password", "before": PASSWORD, "password": "another lantern"}
    assert browser.post("/profile", **form).status_code in (200, 302)
    assert ">saffron</a>" in browser.get("/") and ">saffron</a>" not in other.get("/")


def test_an_old_hash_is_made_anew(site: Site) -> None:
    from nacl.pwhash import argon2id

    old = argon2id.str(PASSWORD.encode(), opslimit=3, memlimit=8192 * 1024).decode()
    with database.session_scope(site.engine) as session:
        session.query(User).filter_by(name="saffron").update({"password_hash": old})
    site.browser("saffron")
    with database.reading(site.engine) as session:
        (new,) = session.query(User.password_hash).filter_by(name="saffron").one()
    assert new != old and "$m=7168,t=5,p=1$" in new


@pytest.mark.parametrize(
    ("url", "asked", "is_secure"),
    [
        ("", "http://localhost", False),
        ("", "https://localhost", True),
        ("http://ramp.example.org", "http://localhost", False),
        ("https://ramp.example.org", "http://localhost", True),
    ],
)
def test_cookies(
    site: Site, monkeypatch: pytest.MonkeyPatch, url: str, asked: str, is_secure: bool
) -> None:
    monkeypatch.setenv("DATABOARD_SITE_URL", url)
    client = create_app(site.settings, site.engine).test_client()
    response = client.get("/login", base_url=asked)
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert ("Cross-Origin-Opener-Policy" in response.headers) == is_secure
    name, *parts = cookie.split("; ")
    assert name.startswith("__Host-databoard=" if is_secure else "databoard=")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(parts)
    assert ("Secure" in parts) == is_secure and not any("Domain" in part for part in parts)


def test_signing_up_twice_at_once(site: Site) -> None:
    form = {"name": "tansy", "email": "tansy@example.org", "password": PASSWORD}
    barrier = threading.Barrier(4)

    def sign_up(_: int) -> int:
        browser = Browser(site.app.test_client())
        token = browser.token("/sign-up")
        barrier.wait()
        return browser.client.post("/sign-up", data=form | {"csrf_token": token}).status_code

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(sign_up, range(4)))
    assert got.count(302) == 1 and set(got) <= {302, 400, 409}
    assert site.browser().log_in("tansy").status_code == 302
