"""Submissions, their lease, their folds and their scores."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from databoard.model.base import Base, db_now
from databoard.model.event import Event
from databoard.model.people import Team
from databoard.model.states import FAILED, LEASED, STATES
from databoard.names import MAX_NAME


class Submission(Base):
    """Code of a team for an event.

    `attempt` counts the leases ever given and never goes back: a result is stored only when it
    comes from the attempt that holds the lease. Times are means over folds in seconds, memory
    is the largest of a fold in MB. `turn` is the round of its event in which it is trained: one of
    each team.
    """

    __tablename__ = "submission"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "team_id"],
            ["event_team.event_id", "event_team.team_id"],
            ondelete="RESTRICT",
        ),
        UniqueConstraint("event_id", "team_id", "name"),
        CheckConstraint("length(name) > 0", name="name"),
        CheckConstraint(f"state IN {STATES}", name="state"),
        CheckConstraint(
            f"(state IN {LEASED}) = (lease_end IS NOT NULL AND worker IS NOT NULL)", name="lease"
        ),
        CheckConstraint(
            f"state = 'deleted' OR (state IN {FAILED}) = (error_kind IS NOT NULL)", name="error"
        ),
        Index("ix_submission_event_id_state", "event_id", "state"),
        Index("ix_submission_event_id_turn", "event_id", "turn"),
        Index("ix_submission_event_id_team_id_turn", "event_id", "team_id", "turn"),
        Index("ix_submission_event_id_training_at", "event_id", "training_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="RESTRICT"))
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id", ondelete="RESTRICT"), index=True)
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    files_digest: Mapped[str] = mapped_column(String(64))
    is_in_ensemble: Mapped[bool] = mapped_column(default=True)  # an admin may exclude it
    submitted_at: Mapped[datetime] = mapped_column(default=db_now())

    state: Mapped[str] = mapped_column(String(20), default="new")
    turn: Mapped[int] = mapped_column(server_default=text("0"))  # given by a trigger
    attempt: Mapped[int] = mapped_column(default=0)
    lost_leases: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_end: Mapped[datetime | None]
    training_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    error_kind: Mapped[str | None] = mapped_column(String(20))
    error_fold: Mapped[int | None]
    error_message: Mapped[str | None] = mapped_column(Text)

    train_time: Mapped[float | None] = mapped_column(Double)
    valid_time: Mapped[float | None] = mapped_column(Double)
    test_time: Mapped[float | None] = mapped_column(Double)
    max_memory: Mapped[float | None] = mapped_column(Double)
    contributivity: Mapped[float | None] = mapped_column(Double)
    historical_contributivity: Mapped[float | None] = mapped_column(Double)

    event: Mapped[Event] = relationship(overlaps="team")
    team: Mapped[Team] = relationship(overlaps="event")


# What a submission that waits for training has not.
BLANK = dict.fromkeys(
    (
        "worker",
        "lease_end",
        "training_at",
        "ended_at",
        "error_kind",
        "error_fold",
        "error_message",
        "train_time",
        "valid_time",
        "test_time",
        "max_memory",
        "contributivity",
        "historical_contributivity",
    )
)


class SubmissionScore(Base):
    """One score of a submission over all folds; NULL where it is undefined.

    Leaderboards sort by the keys, the lowest first: the validation score, its sign turned where
    higher is better, and infinity where it is undefined.

    The bagged scores are those of the averaged predictions of all folds; means and standard
    deviations (of the population) are over the unrounded scores of the folds.
    """

    __tablename__ = "submission_score"
    __table_args__ = (
        Index("ix_submission_score_bag", "event_score_type_id", "bag_key", "submission_id"),
        Index("ix_submission_score_mean", "event_score_type_id", "mean_key", "submission_id"),
    )

    submission_id: Mapped[int] = mapped_column(
        ForeignKey("submission.id", ondelete="CASCADE"), primary_key=True
    )
    event_score_type_id: Mapped[int] = mapped_column(
        ForeignKey("event_score_type.id", ondelete="CASCADE"), primary_key=True
    )
    bag_key: Mapped[float] = mapped_column(Double)
    mean_key: Mapped[float] = mapped_column(Double)
    valid_bag: Mapped[float | None] = mapped_column(Double)
    test_bag: Mapped[float | None] = mapped_column(Double)
    train_mean: Mapped[float | None] = mapped_column(Double)
    valid_mean: Mapped[float | None] = mapped_column(Double)
    test_mean: Mapped[float | None] = mapped_column(Double)
    train_std: Mapped[float | None] = mapped_column(Double)
    valid_std: Mapped[float | None] = mapped_column(Double)
    test_std: Mapped[float | None] = mapped_column(Double)


class FoldRun(Base):
    """The run of a submission on one fold: seconds and MB."""

    __tablename__ = "fold_run"

    submission_id: Mapped[int] = mapped_column(
        ForeignKey("submission.id", ondelete="CASCADE"), primary_key=True
    )
    fold: Mapped[int] = mapped_column(primary_key=True)
    train_time: Mapped[float] = mapped_column(Double)
    valid_time: Mapped[float] = mapped_column(Double)
    test_time: Mapped[float] = mapped_column(Double)
    max_memory: Mapped[float] = mapped_column(Double)
    contributivity: Mapped[float | None] = mapped_column(Double)  # its share of the fold's blend


class FoldScore(Base):
    """One score on one fold; `*_bag` are the bagged scores of the folds up to this one."""

    __tablename__ = "fold_score"
    __table_args__ = (
        ForeignKeyConstraint(
            ["submission_id", "fold"],
            ["fold_run.submission_id", "fold_run.fold"],
            ondelete="CASCADE",
        ),
    )

    submission_id: Mapped[int] = mapped_column(primary_key=True)
    fold: Mapped[int] = mapped_column(primary_key=True)
    event_score_type_id: Mapped[int] = mapped_column(
        ForeignKey("event_score_type.id", ondelete="CASCADE"), primary_key=True
    )
    train: Mapped[float | None] = mapped_column(Double)
    valid: Mapped[float | None] = mapped_column(Double)
    test: Mapped[float | None] = mapped_column(Double)
    valid_bag: Mapped[float | None] = mapped_column(Double)
    test_bag: Mapped[float | None] = mapped_column(Double)


class RunRecord(Base):
    """What the scores of an attempt were made with, as `training.record` tells it.

    A row of another attempt than the submission's is none of its scores: these were stored by
    code that knows no records.
    """

    __tablename__ = "run_record"

    submission_id: Mapped[int] = mapped_column(
        ForeignKey("submission.id", ondelete="CASCADE"), primary_key=True
    )
    attempt: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class SubmissionCredit(Base):
    """The share of a submission, from 0 to 1, that is owed to another one (`source_id`)."""

    __tablename__ = "submission_credit"
    __table_args__ = (
        CheckConstraint("share > 0 AND share <= 1", name="share"),
        CheckConstraint("source_id <> submission_id", name="source"),
    )

    submission_id: Mapped[int] = mapped_column(
        ForeignKey("submission.id", ondelete="CASCADE"), primary_key=True
    )
    source_id: Mapped[int] = mapped_column(
        ForeignKey("submission.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    share: Mapped[float] = mapped_column(Double)


class SubmissionTransition(Base):
    """The legal transitions of `databoard.model.states`, where a trigger can see them."""

    __tablename__ = "submission_transition"

    source: Mapped[str] = mapped_column(String(20), primary_key=True)
    target: Mapped[str] = mapped_column(String(20), primary_key=True)
