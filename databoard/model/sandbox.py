"""Sandboxes: what a team of an event works on in the browser, before it submits."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from databoard.model.base import Base, db_now


class SandboxFile(Base):
    """A file of a team's sandbox. It is never trained; submitting copies it."""

    __tablename__ = "sandbox_file"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "team_id"],
            ["event_team.event_id", "event_team.team_id"],
            ondelete="CASCADE",
        ),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    saved_at: Mapped[datetime] = mapped_column(default=db_now(), onupdate=db_now())
