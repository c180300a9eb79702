"""Workflow element types, workflows, score types and problems: the catalogue."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Double, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from databoard.model.base import Base, Named, db_now
from databoard.names import MAX_TITLE

KINDS = ("code", "data", "text")
KEYWORD_KINDS = ("data_domain", "data_science_theme")


class WorkflowElementType(Named):
    """A kind of file that a submission consists of: code, data or text."""

    __tablename__ = "workflow_element_type"
    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        CheckConstraint("length(name) > 0", name="name"),
    )

    kind: Mapped[str] = mapped_column(String(10))


class Workflow(Named):
    """What is done with the files of a submission: a named list of element types."""

    __tablename__ = "workflow"
    __table_args__ = (CheckConstraint("length(name) > 0", name="name"),)

    elements: Mapped[list["WorkflowElement"]] = relationship(
        order_by="WorkflowElement.position", cascade="all, delete-orphan"
    )

    @property
    def element_names(self) -> list[str]:
        """Names of the elements in their order."""
        return [element.type.name for element in self.elements]


class WorkflowElement(Base):
    """The place of an element type in a workflow."""

    __tablename__ = "workflow_element"
    __table_args__ = (UniqueConstraint("workflow_id", "type_id"),)

    workflow_id: Mapped[int] = mapped_column(
        ForeignKey("workflow.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    type_id: Mapped[int] = mapped_column(
        ForeignKey("workflow_element_type.id", ondelete="RESTRICT"), index=True
    )

    type: Mapped[WorkflowElementType] = relationship()


class ScoreType(Named):
    """A figure of merit, its direction and its bounds (both may be infinite)."""

    __tablename__ = "score_type"
    __table_args__ = (
        CheckConstraint("length(name) > 0", name="name"),
        CheckConstraint("minimum < maximum", name="bounds"),
    )

    is_lower_the_better: Mapped[bool]
    minimum: Mapped[float] = mapped_column(Double)
    maximum: Mapped[float] = mapped_column(Double)


class Problem(Named):
    """A prediction task: a kit on disk, registered with its workflow."""

    __tablename__ = "problem"
    __table_args__ = (CheckConstraint("length(name) > 0", name="name"),)

    title: Mapped[str] = mapped_column(String(MAX_TITLE))
    workflow_id: Mapped[int] = mapped_column(
        ForeignKey("workflow.id", ondelete="RESTRICT"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(default=db_now())

    workflow: Mapped[Workflow] = relationship()
    keywords: Mapped[list["Keyword"]] = relationship(secondary="problem_keyword")


class Keyword(Named):
    """A data domain or a data science theme that problems are found by."""

    __tablename__ = "keyword"
    __table_args__ = (
        CheckConstraint("length(name) > 0", name="name"),
        CheckConstraint(f"kind IN {KEYWORD_KINDS}", name="kind"),
    )

    kind: Mapped[str] = mapped_column(String(20))
    description: Mapped[str] = mapped_column(Text, default="")


class ProblemKeyword(Base):
    """A keyword of a problem."""

    __tablename__ = "problem_keyword"

    problem_id: Mapped[int] = mapped_column(
        ForeignKey("problem.id", ondelete="CASCADE"), primary_key=True
    )
    keyword_id: Mapped[int] = mapped_column(
        ForeignKey("keyword.id", ondelete="CASCADE"), primary_key=True, index=True
    )
