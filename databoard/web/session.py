"""The database session of a request."""

from flask import current_app, g
from sqlalchemy.orm import Session


def reading() -> Session:
    """A session that only reads, opened at the first use and closed with the request."""
    if "session" not in g:
        engine = current_app.extensions["databoard.engine"].execution_options(reads_only=True)
        g.session = Session(engine)
    session: Session = g.session
    return session
