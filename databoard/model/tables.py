"""All tables, with all indexes, for migrations.

What is different in a dialect stands here and not with its table, such as an index over a part of
it: naming a dialect imports it, which every command would pay for.
"""

from typing import Any

from sqlalchemy import Index, text

from databoard.model import audit, event, people, problem, sandbox, site
from databoard.model.base import Base
from databoard.model.submission import Submission

__all__ = ["Base", "audit", "event", "people", "problem", "sandbox", "site"]


def _partial(name: str, where: str, *columns: Any) -> None:
    """An index on the rows for which `where` holds."""
    Index(name, *columns, postgresql_where=text(where), sqlite_where=text(where))


_turn = (Submission.event_id, Submission.turn, Submission.id)
_partial("ix_submission_queue", "state = 'new'", *_turn)
_partial("ix_submission_lease_end", "lease_end IS NOT NULL", Submission.lease_end)
# The number of a submission that is gone is given to no other one.
Base.metadata.tables["submission"].dialect_options["sqlite"]["autoincrement"] = True
