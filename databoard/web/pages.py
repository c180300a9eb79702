"""The first page, and those that are of nothing in particular."""

from flask import Blueprint, render_template

from databoard import events
from databoard.access import has_closed
from databoard.web.session import reading, viewer

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """The events that the viewer sees: what is open first."""
    seen = [(event, n) for event, n in events.list_events(reading()) if viewer().sees(event)]
    now = viewer().now
    return render_template(
        "index.html",
        open_events=[each for each in seen if not has_closed(each[0], now)],
        closed_events=[each for each in seen if has_closed(each[0], now)],
    )


@blueprint.get("/privacy")
def privacy() -> str:
    """What is kept about people, and who sees it."""
    return render_template("privacy.html")


@blueprint.get("/programs")
def programs() -> str:
    """How to submit and to read boards from a shell."""
    return render_template("programs.html")
