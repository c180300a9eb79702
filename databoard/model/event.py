"""Events, the scores they show, and the teams signed up to them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from databoard.model.base import Base, Named, db_now
from databoard.model.people import Team
from databoard.model.problem import Problem, ScoreType
from databoard.names import MAX_TITLE

SCORE_KINDS = ("bag", "mean")


class Event(Named):
    """A problem opened to teams.

    `folds_digest` is the fingerprint of the cross-validation: scores of one event are only
    comparable when it stays the same.
    """

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint("length(name) > 0", name="name"),
        CheckConstraint(f"score_kind IN {SCORE_KINDS}", name="score_kind"),
        CheckConstraint("n_folds > 0", name="n_folds"),
        CheckConstraint("time_limit > 0 AND memory_limit > 0", name="limits"),
    )

    problem_id: Mapped[int] = mapped_column(
        ForeignKey("problem.id", ondelete="RESTRICT"), index=True
    )
    title: Mapped[str] = mapped_column(String(MAX_TITLE))
    is_public: Mapped[bool] = mapped_column(default=False)
    score_kind: Mapped[str] = mapped_column(String(4), default="bag")
    n_folds: Mapped[int]
    folds_digest: Mapped[str] = mapped_column(String(64))
    time_limit: Mapped[int] = mapped_column(default=3600)  # seconds, all folds together
    memory_limit: Mapped[int] = mapped_column(default=4096)  # MB, each fold
    created_at: Mapped[datetime] = mapped_column(default=db_now())

    problem: Mapped[Problem] = relationship()
    score_types: Mapped[list["EventScoreType"]] = relationship(
        order_by="EventScoreType.position", cascade="all, delete-orphan"
    )


class EventScoreType(Base):
    """A score of an event; position 0 is the official one. `precision` is in digits."""

    __tablename__ = "event_score_type"
    __table_args__ = (
        UniqueConstraint("event_id", "position"),
        UniqueConstraint("event_id", "score_type_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    score_type_id: Mapped[int] = mapped_column(
        ForeignKey("score_type.id", ondelete="RESTRICT"), index=True
    )
    position: Mapped[int]
    precision: Mapped[int]

    score_type: Mapped[ScoreType] = relationship()


class EventTeam(Base):
    """A team signed up to an event."""

    __tablename__ = "event_team"

    event_id: Mapped[int] = mapped_column(
        ForeignKey("event.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[int] = mapped_column(
        ForeignKey("team.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    signed_up_at: Mapped[datetime] = mapped_column(default=db_now())

    event: Mapped[Event] = relationship()
    team: Mapped[Team] = relationship()
