"""Workflow element types, workflows and score types: what problems are made of."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard import contributivity
from databoard.errors import DataboardError, InvalidValue
from databoard.kits import Element
from databoard.lookup import check_free, find, present
from databoard.model.event import Event, EventScoreType
from databoard.model.problem import (
    KEYWORD_KINDS,
    KINDS,
    Keyword,
    Problem,
    ScoreType,
    Workflow,
    WorkflowElement,
    WorkflowElementType,
)
from databoard.names import check_title, printable
from databoard.ranking import rank_again


def add_workflow_element_type(session: Session, name: str, kind: str) -> WorkflowElementType:
    """Register a kind of submission file. Raises InvalidValue, AlreadyThere."""
    if kind not in KINDS:
        raise InvalidValue(
            f"{printable(kind)} is no kind of workflow element.", f"Use one of {', '.join(KINDS)}."
        )
    row = WorkflowElementType(name=check_free(session, WorkflowElementType, name), kind=kind)
    session.add(row)
    return row


def add_missing_types(session: Session, elements: Sequence[Element]) -> list[str]:
    """Register the element types that are not there yet; returns the names of all."""
    for element in elements:
        if present(session, WorkflowElementType, element.name) is None:
            add_workflow_element_type(session, element.name, element.kind)
    session.flush()
    return [element.name for element in elements]


def add_workflow(session: Session, name: str, element_names: Sequence[str]) -> Workflow:
    """Register a workflow of known element types. Raises AlreadyThere, NotFound."""
    check_free(session, Workflow, name)
    types = [find(session, WorkflowElementType, element) for element in element_names]
    workflow = Workflow(
        name=name,
        elements=[
            WorkflowElement(type=type_, position=position) for position, type_ in enumerate(types)
        ],
    )
    session.add(workflow)
    return workflow


def add_score_type(
    session: Session, name: str, is_lower_the_better: bool, minimum: float, maximum: float
) -> ScoreType:
    """Register a score type. Raises InvalidValue (bounds not in order), AlreadyThere."""
    check_free(session, ScoreType, name)
    if not minimum < maximum:
        raise InvalidValue(
            f"The minimum {minimum} of {name} is not below its maximum {maximum}.",
            "Give the minimum first.",
        )
    score_type = ScoreType(
        name=name, is_lower_the_better=is_lower_the_better, minimum=minimum, maximum=maximum
    )
    session.add(score_type)
    return score_type


def change_score_type(
    session: Session,
    score_type: ScoreType,
    is_lower_the_better: bool,
    minimum: float,
    maximum: float,
    problem_name: str,
) -> None:
    """Change a score type as the kit of a problem has changed.

    Another direction ranks the problem's events anew, and forgets their ensembles. Raises
    DataboardError: events of other problems rank by it, whose kits say that it is as it was.
    """
    session.refresh(score_type, with_for_update=True)  # no worker stores scores meanwhile
    is_turned = score_type.is_lower_the_better != is_lower_the_better
    score_type.is_lower_the_better = is_lower_the_better
    score_type.minimum, score_type.maximum = minimum, maximum
    if not is_turned:
        return
    using = select(EventScoreType.event_id).where(EventScoreType.score_type_id == score_type.id)
    events = session.scalars(select(Event).where(Event.id.in_(using)).order_by(Event.name)).all()
    if others := [event.name for event in events if event.problem.name != problem_name]:
        raise DataboardError(
            f"The score type {score_type.name} is {'higher' if is_lower_the_better else 'lower'} "
            f"the better in events of other problems: {', '.join(others)}.",
            f"Give the score of {problem_name} another name, in its problem.py and its manifest.",
        )
    session.flush()
    rank_again(session, score_type)
    for event in events:
        if event.score_types[0].score_type is score_type:
            contributivity.forget(session, event)


def add_keyword(session: Session, name: str, kind: str, description: str = "") -> Keyword:
    """Register a data domain or a data science theme. Raises InvalidValue, AlreadyThere."""
    if kind not in KEYWORD_KINDS:
        raise InvalidValue(
            f"{printable(kind)} is no kind of keyword.", f"Use one of {', '.join(KEYWORD_KINDS)}."
        )
    if description:
        description = check_title("keyword", description)
    keyword = Keyword(name=check_free(session, Keyword, name), kind=kind, description=description)
    session.add(keyword)
    return keyword


def set_keywords(session: Session, problem_name: str, names: Sequence[str]) -> Problem:
    """Attach these keywords to a problem, and no others. Raises NotFound."""
    problem = find(session, Problem, problem_name)
    problem.keywords = [find(session, Keyword, name) for name in names]
    return problem
