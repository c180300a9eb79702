"""Whether this application serves: for rollouts and for monitoring."""

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from databoard import __version__, config, database
from databoard.errors import DataboardError
from databoard.model.states import NEW, TRAINING
from databoard.model.submission import Submission

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """The version, the release, and how many submissions wait or are trained.

    200 when the database answers and this code may use it, else 503.
    """
    about = {"version": __version__, "release": config.release()}
    try:
        engine = current_app.extensions["databoard.engine"]
        database.check(engine)
        return jsonify(**about, database="up", queue=_queue_length(engine)), 200
    except (DataboardError, SQLAlchemyError):
        return jsonify(**about, database="down"), 503


def _queue_length(engine: Engine) -> int:
    with database.reading(engine) as session:
        waiting = select(func.count()).where(Submission.state.in_((NEW, TRAINING)))
        return session.scalar(waiting) or 0
