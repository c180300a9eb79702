"""A submission: its whole story on one page."""

from flask import Blueprint

blueprint = Blueprint("submission", __name__)


@blueprint.get("/submissions/<int:id>")
def show(id: int) -> str:
    """To be."""
    return str(id)
