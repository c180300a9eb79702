"""The same done with all that are ticked: each for itself, and what cannot be done is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flask import flash
from sqlalchemy.orm import Session

from databoard.errors import DataboardError
from databoard.names import counted
from databoard.web.session import writing
from databoard.web.words import explained

NAMED, LONGEST = 10, 200  # refusals that are said, and their characters: a cookie carries them


def carry_out(
    noun: str, said: str, chosen: Iterable[str], do: Callable[[Session, str], None]
) -> None:
    """Do it with each, in a transaction of its own; say how many it was, and which it was not."""
    done, refused = 0, []
    for each in dict.fromkeys(chosen):
        try:
            with writing() as session:
                do(session, each)
            done += 1
        except DataboardError as error:
            refused.append(" ".join(explained(error)).strip())
    if not done and not refused:
        flash("Choose some first.")
        return
    flash(f"{counted(done, noun)} {said}.")
    for line in refused[:NAMED]:
        flash(line if len(line) <= LONGEST else f"{line[:LONGEST]}…")
    if len(refused) > NAMED:
        flash(f"{counted(len(refused) - NAMED, 'other')} could not be {said} either.")
