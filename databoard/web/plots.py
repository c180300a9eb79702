"""Plots of an event."""

from flask import Blueprint

from databoard.web.event import find_event

blueprint = Blueprint("plots", __name__)


@blueprint.get("/events/<name>/plots")
def show(name: str) -> str:
    """To be."""
    return find_event(name).title
