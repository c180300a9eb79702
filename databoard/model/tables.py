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


def _partial(name: str, column: Any, where: str) -> None:
    """An index on the rows for which `where` holds."""
    Index(name, column, postgresql_where=text(where), sqlite_where=text(where))


_partial("ix_submission_queue", Submission.id, "state = 'new'")
_partial("ix_submission_lease_end", Submission.lease_end, "lease_end IS NOT NULL")
# The number of a submission that is gone is given to no other one.
Base.metadata.tables["submission"].dialect_options["sqlite"]["autoincrement"] = True
