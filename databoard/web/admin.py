"""What admins see and do."""

from flask import Blueprint

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


@blueprint.get("")
def show() -> str:
    """To be."""
    return ""


@blueprint.get("/events/<name>")
def event(name: str) -> str:
    """To be."""
    return name
