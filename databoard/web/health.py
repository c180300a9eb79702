"""Whether this application serves: for rollouts and for monitoring."""

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from databoard import __version__, database
from databoard.errors import DataboardError

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """200 with the version when the database answers and is at this code's revision, else 503."""
    try:
        database.check(current_app.extensions["databoard.engine"])
    except (DataboardError, SQLAlchemyError):
        return jsonify(version=__version__, database="down"), 503
    return jsonify(version=__version__, database="up"), 200
