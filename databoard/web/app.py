"""The Flask application: its factory, its errors, its headers."""

from flask import Flask, Response, g, render_template
from sqlalchemy import Engine

from databoard import database
from databoard.config import Settings
from databoard.errors import InvalidValue, NotFound
from databoard.web import boards, health

POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """The application on one database; `engine` is for tests that have one already."""
    app = Flask(__name__)
    app.extensions["databoard.engine"] = engine or database.open_engine(settings.db_url)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(boards.blueprint)
    app.register_error_handler(404, _not_found)
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(InvalidValue, _not_found)
    app.after_request(_harden)
    app.teardown_appcontext(_close)
    return app


def _not_found(error: Exception) -> tuple[str, int]:
    return render_template("error.html", message="There is no such page."), 404


def _harden(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _close(error: BaseException | None) -> None:
    session = g.pop("session", None)
    if session is not None:
        session.close()
