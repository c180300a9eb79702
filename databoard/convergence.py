"""Manifests and the database: what differs, and bringing the one to the other.

A plan is what applying would do: it is done, compared and taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from databoard import catalogue, environments, events, kits, people
from databoard.config import Settings
from databoard.database import reading, session_scope
from databoard.environments import EnvironmentFailed
from databoard.errors import DataboardError, KitError
from databoard.event_settings import SETTINGS
from databoard.kits import KitSummary
from databoard.lookup import find, present
from databoard.manifest import Direction, Manifest
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.problem import (
    Problem,
    ScoreType,
    Workflow,
    WorkflowElement,
    WorkflowElementType,
)
from databoard.model.states import DELETED
from databoard.model.submission import Submission

Stand = dict[str, str]  # 'score type auc' to what it is; what is not there is missing


@dataclass(frozen=True)
class Change:
    """A line of the difference: None where it is not there before, or after."""

    what: str
    before: str | None
    after: str | None


@dataclass
class Difference:
    """What differs, and sentences about what the manifest needs and is not there yet."""

    changes: list[Change] = field(default_factory=list)
    wanting: list[DataboardError] = field(default_factory=list)


def plan(engine: Engine, settings: Settings, manifest: Manifest, prune: bool = False) -> Difference:
    """What `apply` would do. Raises DataboardError where it would, but not for want of force."""
    kit = _look(engine, settings, manifest)
    with session_scope(engine) as session:
        difference, _ = _converge(session, manifest, kit, prune)
        session.rollback()
    return difference


def apply(
    engine: Engine,
    settings: Settings,
    manifest: Manifest,
    prune: bool = False,
    force: bool = False,
    report: environments.Report = lambda line: None,
) -> Difference:
    """Bring the database to the manifest in one transaction; `prune` ends sign-ups of other teams.

    The environment is made before, if it is not there, and told to `report`. What the manifest
    does not name stays as it is. Raises DataboardError: a running event's scores would change and
    `force` is not given, or a name means something else already.
    """
    kit = _look(engine, settings, manifest, report)
    with session_scope(engine) as session:
        difference, disturbed = _converge(session, manifest, kit, prune)
        if disturbed and not force:
            several = len(disturbed) > 1
            raise DataboardError(
                f"{', '.join(disturbed)} {'have' if several else 'has'} submissions, whose scores "
                f"or ranks would change.",
                f"Look: inv plan {manifest.name}. Then: inv apply {manifest.name} --force",
            )
        session.flush()
        if isinstance(kit, Kit):
            kits.place_kit(kits.find_kit(manifest.problem, settings.kits_path), settings.kits_path)
    return difference


@dataclass(frozen=True)
class Kit:
    """A kit that was looked at, in the environment of these requirements."""

    summary: KitSummary
    requirements: str | None


def _look(
    engine: Engine,
    settings: Settings,
    manifest: Manifest,
    report: environments.Report | None = None,
) -> Kit | DataboardError:
    """The kit, or why it cannot be looked at; without `report` no environment is made for it."""
    with reading(engine) as session:
        requirements = events.requirements_of(session, manifest.name, manifest.environment)
    try:
        kit = kits.find_kit(manifest.problem, settings.kits_path)
        if report is None and not environments.python_of(settings, requirements).exists():
            return EnvironmentFailed(
                f"The environment of {manifest.name} is not made yet.",
                f"Make it with all else: inv apply {manifest.name}",
            )
        python = environments.ensure(settings, requirements, report or (lambda line: None))
        return Kit(kits.inspect_kit(kit, settings.data_path, python), requirements)
    except (KitError, EnvironmentFailed) as error:
        return error


def _converge(
    session: Session, manifest: Manifest, kit: Kit | DataboardError, prune: bool
) -> tuple[Difference, list[str]]:
    """What was changed, and the events with submissions whose scores that changes."""
    difference = Difference()
    disturbed: set[str] = set()
    summary = kit.summary if isinstance(kit, Kit) else None
    before = _stand(session, manifest, summary)
    with _watching(session, disturbed):
        _register(session, manifest)
        if isinstance(kit, Kit):
            problem = events.put_problem(session, manifest.problem, kit.summary)
            event = events.put_event(
                session, problem, manifest.name, kit.summary, manifest.event, kit.requirements
            )
            difference.wanting += _sign_up(session, manifest, event, prune)
        else:
            difference.wanting.append(kit)
    after = _stand(session, manifest, summary)
    difference.changes = [
        Change(what, before.get(what), after.get(what))
        for what in dict.fromkeys([*after, *before])
        if before.get(what) != after.get(what)
    ]
    return difference, sorted(disturbed)


def _register(session: Session, manifest: Manifest) -> None:
    """The element types, the workflow and the score types that the manifest names."""
    for name, kind in manifest.workflow_element_types.items():
        if type_ := present(session, WorkflowElementType, name):
            type_.kind = kind
        else:
            catalogue.add_workflow_element_type(session, name, kind)
    for name, elements in manifest.workflow.items():
        if workflow := present(session, Workflow, name):
            if workflow.element_names != list(elements):
                types = [find(session, WorkflowElementType, element) for element in elements]
                workflow.elements = []
                session.flush()
                workflow.elements = [
                    WorkflowElement(type=type_, position=position)
                    for position, type_ in enumerate(types)
                ]
        else:
            catalogue.add_workflow(session, name, elements)
    for name, direction in manifest.score_types.items():
        wanted = (direction.is_lower_the_better, direction.minimum, direction.maximum)
        if score_type := present(session, ScoreType, name):
            catalogue.change_score_type(session, score_type, *wanted, manifest.problem)
        else:
            catalogue.add_score_type(session, name, *wanted)
    session.flush()


def _sign_up(
    session: Session, manifest: Manifest, event: Event, prune: bool
) -> list[DataboardError]:
    """Sign up the teams that are not; returns why some cannot be."""
    wanting: list[DataboardError] = []
    if manifest.teams is None:
        return wanting
    signed_up = set(_teams(session, event))
    for name in manifest.teams:
        if name not in signed_up:
            try:
                people.sign_up_team(session, event.name, name)
            except DataboardError as error:
                wanting.append(error)
    for name in sorted(signed_up.difference(manifest.teams)) if prune else ():
        team = find(session, Team, name)
        mine = (Submission.event_id == event.id) & (Submission.team_id == team.id)
        if session.scalar(select(Submission.id).where(mine).limit(1)) is not None:
            wanting.append(
                DataboardError(
                    f"The team {name} has submissions in {event.name}: it stays signed up.",
                    f"Delete them: inv delete-event-team {event.name} {name}",
                )
            )
        else:
            session.delete(session.get_one(EventTeam, (event.id, team.id)))
    session.flush()
    return wanting


def _stand(session: Session, manifest: Manifest, summary: KitSummary | None) -> Stand:
    """How everything stands that the manifest and its kit name."""
    session.flush()
    session.expire_all()
    types, scores = list(manifest.workflow_element_types), list(manifest.score_types)
    workflows = list(manifest.workflow)
    if summary:
        types += [element.name for element in summary.elements]
        workflows.append(summary.workflow)
        scores += [score.name for score in summary.score_types]
    stand: Stand = {}
    for name in types:
        if type_ := present(session, WorkflowElementType, name):
            stand[f"workflow element type {name}"] = type_.kind
    for name in workflows:
        if workflow := present(session, Workflow, name):
            stand[f"workflow {name}"] = ", ".join(workflow.element_names)
    for name in scores:
        if score := present(session, ScoreType, name):
            direction = Direction(score.is_lower_the_better, score.minimum, score.maximum)
            stand[f"score type {name}"] = str(direction)
    stand |= _ranks(session, scores)
    if problem := present(session, Problem, manifest.problem):
        stand[f"problem {manifest.problem}"] = f"{problem.title} ({problem.workflow.name})"
    if event := present(session, Event, manifest.name):
        stand |= _stand_of(session, event, manifest)
    return stand


def _stand_of(session: Session, event: Event, manifest: Manifest) -> Stand:
    stand = {f"event {event.name}": event.title}
    for setting in manifest.event:
        stand[f"event {event.name}: {setting}"] = str(SETTINGS[setting].of(event))
    stand[f"event {event.name}: folds"] = f"{event.n_folds} ({event.folds_digest[:12]})"
    stand[f"event {event.name}: score types"] = ", ".join(
        score.score_type.name for score in event.score_types
    )
    if manifest.environment is not None:
        stand[f"event {event.name}: environment"] = ", ".join(
            (event.requirements or "Databoard's own").splitlines()
        )
    return stand | {f"sign-up of {team}": "signed up" for team in _teams(session, event)}


def _ranks(session: Session, scores: Sequence[str]) -> Stand:
    """How events with submissions rank by these scores, and whether they have an ensemble."""
    stand: Stand = {}
    for event in session.scalars(_running()):
        for score in event.score_types:
            if (name := score.score_type.name) in scores:
                first = "lowest" if score.score_type.is_lower_the_better else "highest"
                stand[f"event {event.name}: ranks by {name}"] = f"the {first} first"
        if event.valid_combined is not None:
            stand[f"event {event.name}: ensemble"] = "blended"
    return stand


def _teams(session: Session, event: Event) -> list[str]:
    query = select(Team.name).join(EventTeam).where(EventTeam.event_id == event.id)
    return list(session.scalars(query.order_by(Team.name)))


@contextmanager
def _watching(session: Session, disturbed: set[str]) -> Iterator[None]:
    """Note the events whose submissions would be scored otherwise after than before."""
    before = _bases(session)
    yield
    session.flush()
    session.expire_all()
    after = _bases(session)
    disturbed.update(name for name in before if after[name] != before[name])


def _bases(session: Session) -> dict[str, object]:
    """What the scores of each event with submissions rest on."""
    return {
        event.name: (
            event.folds_digest,
            event.requirements,
            event.problem.workflow.element_names,
            [element.type.kind for element in event.problem.workflow.elements],
            [
                (
                    score.score_type.name,
                    score.score_type.is_lower_the_better,
                    score.score_type.minimum,
                    score.score_type.maximum,
                )
                for score in event.score_types
            ],
            event.score_kind,
        )
        for event in session.scalars(_running())
    }


def _running() -> Select[tuple[Event]]:
    """The events with submissions."""
    running = select(Submission.event_id).where(Submission.state != DELETED)
    return select(Event).where(Event.id.in_(running)).order_by(Event.name)
