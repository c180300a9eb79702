"""What people did on the web pages, for admins."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from databoard.model.base import Base, db_now

MAX_SUBJECT = 200


class Interaction(Base):
    """One act: `kind` says which, `subject` what it was done to, such as `team/submission`.

    Failed log-ins are counted by `user_id` and by `address`, from which they came.
    """

    __tablename__ = "interaction"
    __table_args__ = (
        CheckConstraint("length(kind) > 0", name="kind"),
        Index("ix_interaction_kind_at", "kind", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=db_now())
    kind: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("user_account.id", ondelete="SET NULL"), index=True
    )
    event_id: Mapped[int | None] = mapped_column(
        ForeignKey("event.id", ondelete="SET NULL"), index=True
    )
    subject: Mapped[str] = mapped_column(String(MAX_SUBJECT), default="")
    address: Mapped[str] = mapped_column(String(45), default="")
