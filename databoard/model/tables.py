"""All tables, with all indexes, for migrations.

The indexes over a part of a table stand here and not with their tables: naming a dialect imports
it, which every command would pay for.
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
