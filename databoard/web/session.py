"""The database session of a request, and who makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from flask import Flask, Request, abort, current_app, g, redirect, request, url_for
from flask import session as cookie
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from databoard.access import Viewer
from databoard.accounts import session_mark
from databoard.config import Settings
from databoard.database import session_scope
from databoard.errors import DataboardError
from databoard.interactions import note as note_act
from databoard.model.event import Event
from databoard.model.people import User
from databoard.sitekey import site_key


class SignedSessions(SecureCookieSessionInterface):
    """Sessions in cookies, signed with the key that the database has for all processes.

    Of a site that says that it is served by HTTPS, or is asked so, they never travel otherwise.
    """

    def __init__(self, is_https: bool) -> None:
        self.is_https = is_https

    def get_cookie_secure(self, app: Flask) -> bool:
        return self.is_https or request.is_secure

    def get_cookie_name(self, app: Flask) -> str:
        return "__Host-databoard" if self.get_cookie_secure(app) else "databoard"

    def open_session(self, app: Flask, asked: Request) -> SecureCookieSession | None:
        if not app.secret_key and asked.endpoint not in ("static", "health.healthz"):
            try:
                app.secret_key = site_key(app.extensions["databoard.engine"])
            except (DataboardError, SQLAlchemyError):
                return None  # the page will say that the database is away
        return super().open_session(app, asked)


def engine() -> Engine:
    found: Engine = current_app.extensions["databoard.engine"]
    return found


def settings() -> Settings:
    found: Settings = current_app.extensions["databoard.settings"]
    return found


def reading() -> Session:
    """A session that only reads, opened at the first use and closed with the request."""
    if "session" not in g:
        g.session = Session(engine().execution_options(reads_only=True))
    session: Session = g.session
    return session


@contextmanager
def writing() -> Iterator[Session]:
    """A session that writes: committed at the end, rolled back on any error."""
    with session_scope(engine()) as session:
        yield session


def viewer() -> Viewer:
    """Who makes this request; looked up once."""
    if "viewer" not in g:
        g.viewer = Viewer(reading(), _user(reading()))
    found: Viewer = g.viewer
    return found


def myself(session: Session) -> User:
    """The same user, in a session that writes."""
    user = _user(session)
    if user is None:
        abort(403)
    return user


def _user(session: Session) -> User | None:
    id_, mark = cookie.get("user"), cookie.get("mark")
    user = session.get(User, id_) if isinstance(id_, int) else None
    return user if user is not None and session_mark(user) == mark else None


def begin(user: User) -> None:
    """Log in: a new session, as one from before might be known to somebody else."""
    cookie.clear()
    cookie.permanent = True
    cookie["user"], cookie["mark"] = user.id, session_mark(user)
    g.pop("viewer", None)


def end() -> None:
    """Log out."""
    cookie.clear()
    g.pop("viewer", None)


def logged_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """For users alone; others are asked to log in, and come back."""

    @wraps(view)
    def asked(*args: Any, **kwargs: Any) -> Any:
        if viewer().user is None:
            there = request.full_path.rstrip("?") if request.method == "GET" else None
            return redirect(url_for("account.log_in", next=there))
        return view(*args, **kwargs)

    return asked


def note(
    session: Session, kind: str, user: User, event: Event | None = None, subject: str = ""
) -> None:
    """Note an act with the address that it came from."""
    note_act(session, kind, user, event, subject, request.remote_addr or "")
