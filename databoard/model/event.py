"""Events, the scores they show, and the teams signed up to them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Double, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from databoard.model.base import Base, Named, db_now
from databoard.model.people import Team, User
from databoard.model.problem import Problem, ScoreType
from databoard.names import MAX_TITLE

SCORE_KINDS = ("bag", "mean")


class Event(Named):
    """A problem opened to teams.

    `folds_digest` is the fingerprint of the cross-validation: scores of one event are only
    comparable when it stays the same. `requirements` are those of the environment in which its
    kit runs; None: Databoard's own. The `*_combined` and `*_foldwise_best` are official scores: of
    the blended ensemble, and of the best submission on each fold, bagged over the folds.
    """

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint("length(name) > 0", name="name"),
        CheckConstraint(f"score_kind IN {SCORE_KINDS}", name="score_kind"),
        CheckConstraint("n_folds > 0", name="n_folds"),
        CheckConstraint("time_limit > 0 AND memory_limit > 0", name="limits"),
        CheckConstraint("max_members > 0", name="max_members"),
        CheckConstraint("min_seconds >= 0", name="min_seconds"),
        CheckConstraint("daily_quota > 0", name="daily_quota"),
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

    requirements: Mapped[str | None] = mapped_column(Text)
    max_members: Mapped[int] = mapped_column(default=1)  # of a team
    is_sign_up_controlled: Mapped[bool] = mapped_column(default=True)  # an admin approves it
    is_competitive: Mapped[bool] = mapped_column(default=False)
    min_seconds: Mapped[int] = mapped_column(default=900)  # between two submissions of a team
    daily_quota: Mapped[int | None]  # submissions of a team in 24 hours; None: any number
    is_anonymous: Mapped[bool] = mapped_column(default=False)  # boards hide the names of others
    frozen_at: Mapped[datetime | None]  # what is submitted after it is on no board yet
    opening_at: Mapped[datetime | None]
    public_opening_at: Mapped[datetime | None]  # from then on all see all code
    closing_at: Mapped[datetime | None]
    is_paused: Mapped[bool] = mapped_column(default=False)  # nothing more of it is trained
    priority: Mapped[int] = mapped_column(default=0)  # the highest is trained first
    mails_submitted: Mapped[bool] = mapped_column(default=True)  # to admins
    mails_trained: Mapped[bool] = mapped_column(default=True)  # to the team
    valid_combined: Mapped[float | None] = mapped_column(Double)
    test_combined: Mapped[float | None] = mapped_column(Double)
    valid_foldwise_best: Mapped[float | None] = mapped_column(Double)
    test_foldwise_best: Mapped[float | None] = mapped_column(Double)

    problem: Mapped[Problem] = relationship()
    admins: Mapped[list[User]] = relationship(secondary="event_admin")
    score_types: Mapped[list["EventScoreType"]] = relationship(
        order_by="EventScoreType.position", cascade="all, delete-orphan"
    )


class EventAdmin(Base):
    """A user who may do to an event what admins do."""

    __tablename__ = "event_admin"

    event_id: Mapped[int] = mapped_column(
        ForeignKey("event.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, index=True
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


class SignUpRequest(Base):
    """A team that asks to be signed up to an event; an admin decides."""

    __tablename__ = "sign_up_request"

    event_id: Mapped[int] = mapped_column(
        ForeignKey("event.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[int] = mapped_column(
        ForeignKey("team.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    asked_at: Mapped[datetime] = mapped_column(default=db_now())

    event: Mapped[Event] = relationship()
    team: Mapped[Team] = relationship()
