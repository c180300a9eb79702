"""Sandbox of an event."""

from flask import Blueprint

from databoard.web.event import find_event

blueprint = Blueprint("sandbox", __name__)


@blueprint.get("/events/<name>/sandbox")
def show(name: str) -> str:
    """To be."""
    return find_event(name).title
