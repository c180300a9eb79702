"""Finding a row by its name, and saying what to do when it is not there."""

from typing import NoReturn, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard.errors import AlreadyThere, NotFound
from databoard.model.base import Named
from databoard.names import check_name, printable, with_article

Row = TypeVar("Row", bound=Named)

_WHAT = {  # by table, as importing all of them is slow: its name, what adds one, what lists all
    "workflow_element_type": (
        "workflow element type",
        "add-workflow-element-type",
        "list-workflow-element-types",
    ),
    "workflow": ("workflow", "add-workflow", "list-workflows"),
    "score_type": ("score type", "add-score-type", "list-score-types"),
    "keyword": ("keyword", "add-keyword", "keywords"),
    "problem": ("problem", "add-problem", "list-problems"),
    "event": ("event", "add-event", "list-events"),
    "team": ("team", "create-user", "list-teams"),
    "user_account": ("user", "create-user", "list-users"),
}


def present(session: Session, table: type[Row], name: str) -> Row | None:
    """The row of that name, if there is one."""
    if "\0" in name:  # which PostgreSQL takes in no text
        return None
    return session.scalar(select(table).where(table.name == name))


def find(session: Session, table: type[Row], name: str) -> Row:
    """The row of that name. Raises NotFound, with the name that is nearest to it."""
    _, add, _ = _WHAT[table.__tablename__]
    return present(session, table, name) or _fail(session, table, name, f"Add it with: inv {add}")


def find_old(session: Session, table: type[Row], name: str) -> Row:
    """The row of that name, where adding it would be no help: to take something back, to delete.

    Raises NotFound, with the name that is nearest to it.
    """
    _, _, list_ = _WHAT[table.__tablename__]
    return present(session, table, name) or _fail(session, table, name, f"See: inv {list_}")


def _fail(session: Session, table: type[Row], name: str, hint: str) -> NoReturn:
    from difflib import get_close_matches

    what, _, _ = _WHAT[table.__tablename__]
    nearest = get_close_matches(name, session.scalars(select(table.name)), n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else hint
    raise NotFound(f"There is no {what} {printable(name)}.", hint)


def check_free(
    session: Session, table: type[Row], name: str, hint: str = "Choose another name."
) -> str:
    """Return `name` if a new row can have it. Raises InvalidValue or AlreadyThere."""
    what, _, _ = _WHAT[table.__tablename__]
    check_name(what, name)
    if session.scalar(select(table.id).where(table.name == name)) is not None:
        raise AlreadyThere(f"There is already {with_article(what)} {name}.", hint)
    return name
