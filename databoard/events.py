"""Problems and events: kits that are registered, and opened to teams."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from databoard import environments, kits
from databoard.catalogue import add_missing_types, add_score_type, add_workflow
from databoard.config import Settings
from databoard.database import session_scope
from databoard.errors import DataboardError
from databoard.event_settings import make_official, read_settings
from databoard.event_settings import update_event as update_event
from databoard.kits import KitSummary
from databoard.lookup import check_free, find
from databoard.model.event import Event, EventScoreType
from databoard.model.problem import Problem, ScoreType, Workflow
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
    with session_scope(engine) as session:
        if not force:
            check_free(session, Problem, name, REREAD)
        problem = put_problem(session, name, summary)
        session.flush()
        kits.place_kit(kit, settings.kits_path)
        return problem


def put_problem(session: Session, name: str, summary: KitSummary) -> Problem:
    """Register a problem as its kit is now, or bring it up to that. Raises DataboardError."""
    title, workflow = check_title("problem", summary.title), _workflow_of(session, name, summary)
    problem = session.scalar(select(Problem).where(Problem.name == name))
    if problem is None:
        problem = Problem(name=name)
        session.add(problem)
    problem.title, problem.workflow = title, workflow
    return problem


def add_event(
    engine: Engine,
    settings: Settings,
    problem_name: str,
    name: str,
    title: str | None = None,
    *,
    force: bool = False,
    requirements: str | None = None,
    report: environments.Report = lambda line: None,
    **given: Any,
) -> Event:
    """Open a problem as an event, with the folds and score types of its kit.

    `given` are settings, as of `event_settings.SETTINGS`; `requirements` those of the environment
    its kit runs in, whose making is told to `report`; empty: in Databoard's own. `force` changes
    an event that is there. What is None stays as it is, or is the default: the problem's title, not
    public, 3600 seconds for all folds of a submission. Raises NotFound, KitError, AlreadyThere,
    InvalidValue, EnvironmentFailed, DataboardError (a score type is registered otherwise).
    """
    check_name("event", name)
    given = {"title": title, **given}
    given = read_settings({setting: value for setting, value in given.items() if value is not None})
    with session_scope(engine) as session:
        find(session, Problem, problem_name)
        if not force:
            check_free(session, Event, name, CHANGE)
        requirements = requirements_of(session, name, requirements)
    kit = kits.find_kit(problem_name, settings.kits_path)
    python = environments.ensure(settings, requirements, report)
    summary = kits.inspect_kit(kit, settings.data_path, python)
    with session_scope(engine) as session:
        if not force:
            check_free(session, Event, name, CHANGE)
        problem = find(session, Problem, problem_name)
        return put_event(session, problem, name, summary, given, requirements)


def requirements_of(session: Session, event: str, given: str | None) -> str | None:
    """What an event's environment is made of: as given, or as it is; None is Databoard's own."""
    if given is None:
        return session.scalar(select(Event.requirements).where(Event.name == event))
    return "\n".join(environments.packages(given)) if given else None


def put_event(
    session: Session,
    problem: Problem,
    name: str,
    summary: KitSummary,
    given: Mapping[str, Any],
    requirements: str | None,
) -> Event:
    """Open an event with these settings and this environment, or bring it up to them and its kit.

    Raises DataboardError: it is of another problem, or a score type is registered otherwise.
    """
    event = session.scalar(select(Event).where(Event.name == name))
    if event is None:
        event = Event(name=name, problem=problem, title=problem.title)
    elif event.problem_id != problem.id:
        raise DataboardError(
            f"The event {name} is of the problem {event.problem.name}, not {problem.name}.",
            "Choose another event name.",
        )
    _take_over(session, event, summary, requirements)
    session.flush()
    return update_event(session, name, **given)


def _take_over(
    session: Session, event: Event, summary: KitSummary, requirements: str | None
) -> None:
    """Give an event the folds and scores of its kit, and the environment they are made in.

    Where these change, what is scored does not compare any more: it is put back into the queue,
    with what could not be trained for that reason.
    """
    wanted = [(_score_type_of(session, kit), kit.precision) for kit in summary.score_types]
    # Ids are in the kit's order; positions are those of the boards.
    in_order = sorted(event.score_types, key=lambda score: score.id)
    present = [(score.score_type, score.precision) for score in in_order]
    was, event.requirements = event.requirements, requirements
    if (event.folds_digest, present, was) == (summary.folds_digest, wanted, requirements):
        return
    event.n_folds, event.folds_digest = summary.n_folds, summary.folds_digest
    session.add(event)
    session.flush()
    is_stale = Submission.state.in_((SCORED, CHECKING_ERROR, *LEASED))
    put_back(session, (Submission.event_id == event.id) & is_stale)
    chosen = event.score_types[0].score_type.name if event.score_types else ""
    is_chosen = event.score_types[:1] != in_order[:1]  # by an admin: not the first of the kit
    event.score_types = []
    session.flush()
    event.score_types = [
        EventScoreType(score_type=score_type, position=position, precision=precision)
        for position, (score_type, precision) in enumerate(wanted)
    ]
    if is_chosen and chosen in [score_type.name for score_type, _ in wanted]:
        session.flush()
        make_official(session, event, chosen)


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
    add_missing_types(session, summary.elements)
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
