"""Finding a row by its name, and saying what to do when it is not there."""

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard.errors import AlreadyThere, NotFound
from databoard.model import (
    Event,
    Problem,
    ScoreType,
    Team,
    User,
    Workflow,
    WorkflowElementType,
)
from databoard.names import check_name, printable

Named = TypeVar("Named", WorkflowElementType, Workflow, ScoreType, Problem, Event, Team, User)

_WHAT = {
    WorkflowElementType: ("workflow element type", "add-workflow-element-type"),
    Workflow: ("workflow", "add-workflow"),
    ScoreType: ("score type", "add-score-type"),
    Problem: ("problem", "add-problem"),
    Event: ("event", "add-event"),
    Team: ("team", "create-user"),
    User: ("user", "create-user"),
}


def find(session: Session, table: type[Named], name: str) -> Named:
    """The row of that name. Raises NotFound, with the name that is nearest to it."""
    row = session.scalar(select(table).where(table.name == name))
    if row is not None:
        return row
    from difflib import get_close_matches

    what, command = _WHAT[table]
    nearest = get_close_matches(name, session.scalars(select(table.name)), n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"Add it with: inv {command}"
    raise NotFound(f"There is no {what} {printable(name)}.", hint)


def check_free(session: Session, table: type[Named], name: str) -> str:
    """Return `name` if a new row can have it. Raises InvalidValue or AlreadyThere."""
    what, _ = _WHAT[table]
    check_name(what, name)
    if session.scalar(select(table.id).where(table.name == name)) is not None:
        raise AlreadyThere(f"There is already a {what} {name}.", "Choose another name.")
    return name
