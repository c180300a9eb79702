"""The tables, one file per subject."""

from databoard.model.base import Base, db_now
from databoard.model.event import Event, EventScoreType, EventTeam
from databoard.model.people import Team, TeamMember, User
from databoard.model.problem import (
    Problem,
    ScoreType,
    Workflow,
    WorkflowElement,
    WorkflowElementType,
)
from databoard.model.submission import (
    FoldRun,
    FoldScore,
    Submission,
    SubmissionScore,
    SubmissionTransition,
)

__all__ = [
    "Base",
    "Event",
    "EventScoreType",
    "EventTeam",
    "FoldRun",
    "FoldScore",
    "Problem",
    "ScoreType",
    "Submission",
    "SubmissionScore",
    "SubmissionTransition",
    "Team",
    "TeamMember",
    "User",
    "Workflow",
    "WorkflowElement",
    "WorkflowElementType",
    "db_now",
]
