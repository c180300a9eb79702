"""Finding a row by its name, and saying what to do when it is not there."""

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard.errors import AlreadyThere, NotFound
from databoard.model.base import Named
from databoard.names import check_name, printable, with_article

Row = TypeVar("Row", bound=Named)

_WHAT = {  # by table, as importing all of them is slow
    "workflow_element_type": ("workflow element type", "add-workflow-element-type"),
    "workflow": ("workflow", "add-workflow"),
    "score_type": ("score type", "add-score-type"),
    "keyword": ("keyword", "add-keyword"),
    "problem": ("problem", "add-problem"),
    "event": ("event", "add-event"),
    "team": ("team", "create-user"),
    "user_account": ("user", "create-user"),
}


def present(session: Session, table: type[Row], name: str) -> Row | None:
    """The row of that name, if there is one."""
    return session.scalar(select(table).where(table.name == name))


def find(session: Session, table: type[Row], name: str) -> Row:
    """The row of that name. Raises NotFound, with the name that is nearest to it."""
    row = present(session, table, name)
    if row is not None:
        return row
    from difflib import get_close_matches

    what, command = _WHAT[table.__tablename__]
    nearest = get_close_matches(name, session.scalars(select(table.name)), n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"Add it with: inv {command}"
    raise NotFound(f"There is no {what} {printable(name)}.", hint)


def check_free(
    session: Session, table: type[Row], name: str, hint: str = "Choose another name."
) -> str:
    """Return `name` if a new row can have it. Raises InvalidValue or AlreadyThere."""
    what, _ = _WHAT[table.__tablename__]
    check_name(what, name)
    if session.scalar(select(table.id).where(table.name == name)) is not None:
        raise AlreadyThere(f"There is already {with_article(what)} {name}.", hint)
    return name
