"""Problems and events: kits that are registered, and opened to teams."""

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from databoard import environments, kits
from databoard.catalogue import add_score_type, add_workflow, add_workflow_element_type
from databoard.config import Settings
from databoard.database import session_scope
from databoard.errors import AlreadyThere, DataboardError
from databoard.kits import KitSummary
from databoard.lookup import check_free, find
from databoard.model.event import Event, EventScoreType
from databoard.model.problem import Problem, ScoreType, Workflow, WorkflowElementType
from databoard.model.states import CHECKING_ERROR, LEASED, SCORED
from databoard.model.submission import Submission
from databoard.names import check_name, check_title
from databoard.submissions import put_back

REREAD = "Choose another name, or read it again with --force."
CHANGE = "Choose another name, or change it with --force."


def add_problem(
    engine: Engine,
    settings: Settings,
    name: str,
    force: bool = False,
    requirements: str | None = None,
    report: environments.Report = lambda line: None,
) -> Problem:
    """Register a kit as a problem, with the workflow it uses.

    `force` reads a registered one again; in an environment of `requirements`, if given, whose
    making is told to `report`. Raises KitError, AlreadyThere, EnvironmentFailed, DataboardError
    (its workflow differs from the registered one of that name).
    """
    check_name("problem", name)
    kit = kits.find_kit(name, settings.kits_path)
    if not force:
        with session_scope(engine) as session:
            check_free(session, Problem, name, REREAD)
    python = environments.ensure(settings, requirements, report)
    summary = kits.inspect_kit(kit, settings.data_path, python)
    check_title("problem", summary.title)
    with session_scope(engine) as session:
        workflow = _workflow_of(session, name, summary)
        problem = session.scalar(select(Problem).where(Problem.name == name))
        if problem is None:
            problem = Problem(name=name, title=summary.title.strip(), workflow=workflow)
            session.add(problem)
        elif force:
            problem.title, problem.workflow = summary.title.strip(), workflow
        else:
            raise AlreadyThere(f"There is already a problem {name}.", REREAD)
        session.flush()
        kits.place_kit(kit, settings.kits_path)
        return problem


def add_event(
    engine: Engine,
    settings: Settings,
    problem_name: str,
    name: str,
    title: str | None = None,
    is_public: bool | None = None,
    force: bool = False,
    time_limit: int | None = None,
    memory_limit: int | None = None,
    requirements: str | None = None,
    report: environments.Report = lambda line: None,
) -> Event:
    """Open a problem as an event, with the folds and score types of its kit.

    `force` changes an event that is there. What is None stays as it is, or is the default: the
    problem's title, not public, 3600 seconds for all folds of a submission, 4096 MB for each,
    no environment of its own. An empty `requirements` takes that away. Raises NotFound, KitError,
    AlreadyThere, EnvironmentFailed, DataboardError (a score type is registered otherwise).
    """
    check_name("event", name)
    if title is not None:
        title = check_title("event", title)
    with session_scope(engine) as session:
        find(session, Problem, problem_name)
        if not force:
            check_free(session, Event, name, CHANGE)
        if requirements is None:
            requirements = session.scalar(select(Event.requirements).where(Event.name == name))
    kit = kits.find_kit(problem_name, settings.kits_path)
    requirements = "\n".join(environments.packages(requirements)) if requirements else None
    python = environments.ensure(settings, requirements, report)
    summary = kits.inspect_kit(kit, settings.data_path, python)
    with session_scope(engine) as session:
        problem = find(session, Problem, problem_name)
        event = session.scalar(select(Event).where(Event.name == name))
        if event is not None and not force:
            raise AlreadyThere(f"There is already an event {name}.", CHANGE)
        if event is not None and event.problem_id != problem.id:
            raise DataboardError(
                f"The event {name} is of the problem {event.problem.name}, not {problem_name}.",
                "Choose another event name.",
            )
        if event is None:
            event = Event(name=name, problem=problem, title=problem.title)
        given = {
            "title": title,
            "is_public": is_public,
            "time_limit": time_limit,
            "memory_limit": memory_limit,
        }
        for attribute, value in given.items():
            if value is not None:
                setattr(event, attribute, value)
        _take_over(session, event, summary, requirements)
        return event


def _take_over(
    session: Session, event: Event, summary: KitSummary, requirements: str | None
) -> None:
    """Give an event the folds and scores of its kit, and the environment they are made in.

    Where these change, what is scored does not compare any more: it is put back into the queue,
    with what could not be trained for that reason.
    """
    wanted = [(_score_type_of(session, kit), kit.precision) for kit in summary.score_types]
    present = [(score.score_type, score.precision) for score in event.score_types]
    was, event.requirements = event.requirements, requirements
    if (event.folds_digest, present, was) == (summary.folds_digest, wanted, requirements):
        return
    event.n_folds, event.folds_digest = summary.n_folds, summary.folds_digest
    session.add(event)
    session.flush()
    is_stale = Submission.state.in_((SCORED, CHECKING_ERROR, *LEASED))
    put_back(session, (Submission.event_id == event.id) & is_stale)
    event.score_types = []
    session.flush()
    event.score_types = [
        EventScoreType(score_type=score_type, position=position, precision=precision)
        for position, (score_type, precision) in enumerate(wanted)
    ]


def list_events(session: Session) -> list[tuple[Event, int]]:
    """All events, the newest first, each with its number of submissions that are not deleted."""
    counts = (
        select(Submission.event_id, func.count().label("n"))
        .where(Submission.state != "deleted")
        .group_by(Submission.event_id)
        .subquery()
    )
    rows = session.execute(
        select(Event, func.coalesce(counts.c.n, 0))
        .outerjoin(counts, counts.c.event_id == Event.id)
        .order_by(Event.id.desc())
    )
    return [(event, count) for event, count in rows]


def _workflow_of(session: Session, problem_name: str, summary: KitSummary) -> Workflow:
    """The kit's workflow, registered now if it is new."""
    workflow = session.scalar(select(Workflow).where(Workflow.name == summary.workflow))
    names = [element.name for element in summary.elements]
    if workflow is not None:
        if workflow.element_names != names:
            raise DataboardError(
                f"The kit {problem_name} uses the workflow {summary.workflow} with the elements "
                f"{', '.join(names)}; it is registered with {', '.join(workflow.element_names)}.",
                "Give the workflow class of the kit a name of its own.",
            )
        return workflow
    for element in summary.elements:
        known = select(WorkflowElementType).where(WorkflowElementType.name == element.name)
        if session.scalar(known) is None:
            add_workflow_element_type(session, element.name, element.kind)
    session.flush()
    return add_workflow(session, summary.workflow, names)


def _score_type_of(session: Session, score: kits.ScoreTypeOfKit) -> ScoreType:
    """The kit's score type, registered now if it is new."""
    known = session.scalar(select(ScoreType).where(ScoreType.name == score.name))
    of_kit = (score.is_lower_the_better, score.minimum, score.maximum)
    if known is None:
        return add_score_type(session, score.name, *of_kit)
    registered = (known.is_lower_the_better, known.minimum, known.maximum)
    if registered != of_kit:
        raise DataboardError(
            f"The kit's score type {score.name} is {_score_words(*of_kit)}; it is registered as "
            f"{_score_words(*registered)}.",
            "Give the kit's score another name (the argument name= in its problem.py).",
        )
    return known


def _score_words(is_lower_the_better: bool, minimum: float, maximum: float) -> str:
    return f"{'lower' if is_lower_the_better else 'higher'} the better in [{minimum}, {maximum}]"
