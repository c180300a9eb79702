"""Lists of the catalogue, of events and of people: each is one query, shown like a board."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from databoard.leaderboard import Board, Column
from databoard.model.event import Event, EventScoreType, EventTeam
from databoard.model.people import Team, User
from databoard.model.problem import (
    Keyword,
    Problem,
    ProblemKeyword,
    ScoreType,
    Workflow,
    WorkflowElement,
    WorkflowElementType,
)
from databoard.model.states import DELETED
from databoard.model.submission import Submission

NAME, TITLE = Column("name", "name"), Column("title", "title", wraps=True)
EVENTS = Column("events", "events")


def workflow_element_types(session: Session) -> Board:
    """All kinds of submission files, by name, and how many workflows use each."""
    of_type = WorkflowElement.type_id == WorkflowElementType.id
    query = select(
        WorkflowElementType.name, WorkflowElementType.kind, _count(WorkflowElement, of_type)
    )
    columns = (NAME, Column("kind", "kind"), Column("workflows", "workflows"))
    return _board(session, "workflow element types", columns, query, WorkflowElementType.name)


def workflows(session: Session) -> Board:
    """All workflows, by name, with their elements in order."""
    path = selectinload(Workflow.elements).joinedload(WorkflowElement.type)
    found = session.scalars(select(Workflow).options(path).order_by(Workflow.name))
    rows = [(workflow.name, tuple(workflow.element_names)) for workflow in found]
    return Board("workflows", (NAME, Column("elements", "elements", wraps=True)), rows)


def score_types(session: Session) -> Board:
    """All scores, by name, with direction and bounds."""
    query = select(
        ScoreType.name,
        ScoreType.is_lower_the_better,
        ScoreType.minimum,
        ScoreType.maximum,
        _count(EventScoreType, EventScoreType.score_type_id == ScoreType.id),
    )
    columns = (
        NAME,
        Column("is_lower_the_better", "lower is better"),
        Column("minimum", "minimum"),
        Column("maximum", "maximum"),
        EVENTS,
    )
    return _board(session, "score types", columns, query, ScoreType.name)


def problems(session: Session) -> Board:
    """All problems, by name."""
    query = select(
        Problem.name,
        Problem.title,
        Workflow.name,
        _count(Event, Event.problem_id == Problem.id),
    ).join(Problem.workflow)
    columns = (NAME, TITLE, Column("workflow", "workflow"), EVENTS)
    keywords: dict[str, list[str]] = {}
    for problem, keyword in session.execute(
        select(Problem.name, Keyword.name)
        .join(ProblemKeyword, ProblemKeyword.problem_id == Problem.id)
        .join(Keyword, Keyword.id == ProblemKeyword.keyword_id)
        .order_by(Keyword.name)
    ):
        keywords.setdefault(problem, []).append(keyword)
    board = _board(session, "problems", columns, query, Problem.name)
    rows = [(*row, tuple(keywords.get(row[0], [])) or None) for row in board.rows]
    return Board(board.title, (*columns, Column("keywords", "keywords", wraps=True)), rows)


def events(session: Session) -> Board:
    """All events, the newest first, with teams and submissions that are not deleted."""
    own = (Submission.event_id == Event.id) & (Submission.state != DELETED)
    query = select(
        Event.name,
        Problem.name,
        Event.title,
        Event.is_public,
        Event.opening_at,
        Event.public_opening_at,
        Event.closing_at,
        _count(EventTeam, EventTeam.event_id == Event.id),
        _count(Submission, own),
    ).join(Event.problem)
    columns = (
        NAME,
        Column("problem", "problem"),
        TITLE,
        Column("is_public", "public"),
        Column("opening_at", "opening (UTC)"),
        Column("public_opening_at", "public opening (UTC)"),
        Column("closing_at", "closing (UTC)"),
        Column("teams", "teams"),
        Column("submissions", "submissions"),
    )
    return _board(session, "events", columns, query, Event.id.desc())


def users(session: Session) -> Board:
    """All users, by name."""
    query = select(
        User.name, User.firstname, User.lastname, User.email, User.access_level, User.created_at
    )
    columns = (
        NAME,
        Column("firstname", "first name"),
        Column("lastname", "last name"),
        Column("email", "email"),
        Column("access_level", "access level"),
        Column("created_at", "created at (UTC)"),
    )
    return _board(session, "users", columns, query, User.name)


def teams(session: Session) -> Board:
    """All teams, by name, with their members."""
    query = select(Team).options(selectinload(Team.members)).order_by(Team.name)
    counts = dict(
        session.execute(select(EventTeam.team_id, func.count()).group_by(EventTeam.team_id))
        .tuples()
        .all()
    )
    rows = [
        (team.name, tuple(sorted(user.name for user in team.members)), counts.get(team.id, 0))
        for team in session.scalars(query)
    ]
    return Board("teams", (NAME, Column("members", "members", wraps=True), EVENTS), rows)


def keywords(session: Session) -> Board:
    """All keywords, by kind and name."""
    query = select(
        Keyword.name,
        Keyword.kind,
        Keyword.description,
        _count(ProblemKeyword, ProblemKeyword.keyword_id == Keyword.id),
    )
    columns = (
        NAME,
        Column("kind", "kind"),
        Column("description", "description", wraps=True),
        Column("problems", "problems"),
    )
    return _board(session, "keywords", columns, query, Keyword.kind, Keyword.name)


def _count(table: Any, which: Any) -> Any:
    return select(func.count()).select_from(table).where(which).scalar_subquery()


def _board(
    session: Session, title: str, columns: tuple[Column, ...], query: Select[Any], *order: Any
) -> Board:
    return Board(title, columns, session.execute(query.order_by(*order)).all())
