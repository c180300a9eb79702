"""The Flask application: its factory, its errors, its headers."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, current_app, g, jsonify, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from databoard import config, database
from databoard.config import Settings
from databoard.errors import DataboardError, InvalidValue, NotFound
from databoard.web import (
    account,
    admin,
    admin_event,
    admin_queue,
    admin_sign_ups,
    admin_submissions,
    admin_users,
    api,
    boards,
    event,
    health,
    metrics,
    openapi,
    pages,
    plots,
    problem,
    profile,
    sandbox,
    session,
    submission,
    words,
)
from databoard.web.boards import BoardCache
from databoard.web.words import explained

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
MAX_REQUEST = 110 * 1024**2  # bytes: the files of a submission and what is around them
# They add to its blueprint.
PARTS_OF_ADMIN = (admin_event, admin_queue, admin_sign_ups, admin_submissions, admin_users)
BLUEPRINTS = (
    *(words, health, metrics, pages, account, profile, problem),
    *(event, boards, plots, sandbox, submission, admin, api, openapi),
)


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """The application on one database; `engine` is for tests that have one already."""
    app = Flask(__name__)
    app.url_map.merge_slashes = False
    app.extensions["databoard.engine"] = engine or database.open_engine(settings.db_url)
    app.extensions["databoard.settings"] = settings
    app.extensions["databoard.boards"] = BoardCache()
    app.extensions[boards.RELEASE] = config.release()
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_REQUEST,
        MAX_FORM_MEMORY_SIZE=MAX_REQUEST,
        MAX_FORM_PARTS=200,
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        WTF_CSRF_SSL_STRICT=True,
    )
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    is_https = os.environ.get("DATABOARD_SITE_URL", "").startswith("https://")
    app.session_interface = session.SignedSessions(is_https)
    CSRFProtect(app).exempt(api.blueprint)  # it reads no cookie
    for module in BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    for kind, handler in (
        (404, _not_found),
        (NotFound, _not_found),
        (InvalidValue, _not_found),
        (405, _not_allowed),
        (413, _too_large),
        (CSRFError, _stale),
        (DataboardError, _refused),
        (IntegrityError, _at_once),
        (SQLAlchemyError, _no_database),
        (500, _failed),
    ):
        app.register_error_handler(kind, handler)
    app.before_request(_refuse_nul)
    app.after_request(_harden)
    app.teardown_appcontext(_close)
    app.context_processor(_about_all_pages)
    return app


def page(message: str, status: int, hint: str = "") -> tuple[str | Response, int]:
    """A page that says what went wrong; for programs as JSON."""
    if request.path.startswith(api.PREFIX):
        return jsonify(error=message, hint=hint), status
    return render_template("error.html", message=message, hint=hint), status


def _not_found(error: Exception) -> tuple[str | Response, int]:
    # Of what is hidden as of what is not there: the same page.
    return page("There is no such page.", 404)


def _not_allowed(error: Exception) -> tuple[str | Response, int]:
    return page("This page cannot be used like that.", 405)


def _too_large(error: Exception) -> tuple[str | Response, int]:
    return page(f"That is too large: {MAX_REQUEST // 1024**2} MB are the most.", 413)


def _stale(error: Exception) -> tuple[str | Response, int]:
    return page(
        "This form is too old, or was not ours.", 400, "Go back, load the page again, and repeat."
    )


def _refused(error: DataboardError) -> tuple[str | Response, int]:
    return page(*_said(error))


def _said(error: DataboardError) -> tuple[str, int, str]:
    message, hint = explained(error)
    return message, 400, hint


def _at_once(error: IntegrityError) -> tuple[str | Response, int]:
    return page("Somebody did the same at this moment.", 409, "Load the page, and look first.")


def _no_database(error: SQLAlchemyError) -> tuple[str | Response, int]:
    return page("The database does not answer.", 503, "Try again in a minute.")


def _failed(error: Exception) -> tuple[str | Response, int]:
    return page("Something went wrong here.", 500, "It is noted. Nothing that was stored is lost.")


def _refuse_nul() -> tuple[str | Response, int] | None:
    """PostgreSQL has no text with a NUL, and no browser sends one that was not asked to."""
    for values in (request.args, request.form):
        if any("\0" in text for texts in values.listvalues() for text in texts):
            return page("There is a character in it that no text has: NUL.", 400)
    return None


def _harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.session_interface.get_cookie_secure(current_app):  # browsers want HTTPS for it
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.vary.add("Cookie")
    return response


def _close(error: BaseException | None) -> None:
    opened = g.pop("session", None)
    if opened is not None:
        opened.close()


def _about_all_pages() -> dict[str, object]:
    return {
        "viewer": session.viewer,
        "now": datetime.now(UTC),
    }
