"""Workflow element types, workflows, score types, problems and events, on both databases."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from databoard import catalogue, database, events
from databoard.config import Settings
from databoard.errors import AlreadyThere, DataboardError, InvalidValue, KitError, NotFound
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Problem, ScoreType, Workflow, WorkflowElementType
from databoard.model.submission import Submission

MakeKit = Callable[..., Path]
KIT_NAME = "Give the kit's score another name (the argument name= in its problem.py)."


def read(engine: Engine, table: type[Problem | Event | ScoreType | Workflow]) -> list[str]:
    """The names in a table."""
    with database.reading(engine) as session:
        return sorted(session.scalars(select(table.name)))


def test_a_workflow_keeps_the_order_of_its_elements(session: Session) -> None:
    for name, kind in (("regressor", "code"), ("prices", "data"), ("notes", "text")):
        catalogue.add_workflow_element_type(session, name, kind)
    catalogue.add_workflow(session, "Market", ["prices", "notes", "regressor"])
    session.flush()
    session.expire_all()
    workflow = session.scalars(select(Workflow)).one()
    assert workflow.element_names == ["prices", "notes", "regressor"]
    assert [element.type.kind for element in workflow.elements] == ["data", "text", "code"]


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-math.inf, math.inf), (0.0, math.inf)])
def test_bounds_of_a_score_type(session: Session, bounds: tuple[float, float]) -> None:
    catalogue.add_score_type(session, "rmse", True, *bounds)
    session.flush()
    session.expire_all()
    score_type = session.scalars(select(ScoreType)).one()
    assert (score_type.minimum, score_type.maximum) == bounds
    assert score_type.is_lower_the_better


Do = Callable[[Session], object]
MISTAKES: list[tuple[Do, type[DataboardError], str]] = [
    (
        lambda session: catalogue.add_workflow_element_type(session, "new", "program"),
        InvalidValue,
        "'program' is no kind of workflow element.\nUse one of code, data, text.",
    ),
    (
        lambda session: catalogue.add_workflow_element_type(session, "estimator", "code"),
        AlreadyThere,
        "There is already a workflow element type estimator.\nChoose another name.",
    ),
    (
        lambda session: catalogue.add_workflow(session, "Estimator", ["estimator"]),
        AlreadyThere,
        "There is already a workflow Estimator.\nChoose another name.",
    ),
    (
        lambda session: catalogue.add_workflow(session, "New", ["estimator", "estimatr"]),
        NotFound,
        "There is no workflow element type 'estimatr'.\nDid you mean estimator?",
    ),
    (
        lambda session: catalogue.add_workflow(session, "New", ["xyz"]),
        NotFound,
        "There is no workflow element type 'xyz'.\nAdd it with: inv add-workflow-element-type",
    ),
    (
        lambda session: catalogue.add_score_type(session, "acc", False, 0.0, 1.0),
        AlreadyThere,
        "There is already a score type acc.\nChoose another name.",
    ),
    (
        lambda session: catalogue.add_score_type(session, "new", False, 1.0, 1.0),
        InvalidValue,
        "The minimum 1.0 of new is not below its maximum 1.0.\nGive the minimum first.",
    ),
]


@pytest.mark.parametrize(("do", "kind", "said"), MISTAKES, ids=[m[2][:40] for m in MISTAKES])
def test_mistakes(session: Session, do: Do, kind: type[DataboardError], said: str) -> None:
    catalogue.add_workflow_element_type(session, "estimator", "code")
    session.flush()
    catalogue.add_workflow(session, "Estimator", ["estimator"])
    catalogue.add_score_type(session, "acc", False, 0.0, 1.0)
    session.flush()
    with pytest.raises(kind) as caught:
        do(session)
    assert str(caught.value) == said
    assert not session.new


def test_a_problem_brings_its_workflow_and_an_event_its_scores(
    engine: Engine, settings: Settings, make_kit: MakeKit
) -> None:
    make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    added = events.add_event(engine, settings, "small", "autumn")
    assert (added.title, added.n_folds, added.is_public) == ("Small", 2, False)
    assert (added.time_limit, added.memory_limit) == (3600, 4096)
    with database.reading(engine) as session:
        problem = session.scalars(select(Problem)).one()
        assert (problem.title, problem.workflow.name) == ("Small", "Workflow")
        assert problem.workflow.element_names == ["estimator"]
        (score,) = session.scalars(select(Event)).one().score_types
        assert (score.score_type.name, score.position, score.precision) == ("acc", 0, 2)
        assert [(event.name, n) for event, n in events.list_events(session)] == [("autumn", 0)]


def test_a_second_event_may_have_a_title_and_limits_of_its_own(
    engine: Engine, settings: Settings, make_kit: MakeKit
) -> None:
    make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    events.add_event(engine, settings, "small", "autumn")
    events.add_event(
        engine, settings, "small", "spring", " Été ", is_public=True, time_limit=10, memory_limit=99
    )
    with database.reading(engine) as session:
        spring, autumn = (event for event, _ in events.list_events(session))  # the newest first
        assert (spring.title, spring.is_public) == ("Été", True)
        assert (spring.time_limit, spring.memory_limit) == (10, 99)
        assert autumn.folds_digest == spring.folds_digest
    assert read(engine, ScoreType) == ["acc"]


def test_reading_again_needs_force(engine: Engine, settings: Settings, make_kit: MakeKit) -> None:
    kit = make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    events.add_event(engine, settings, "small", "autumn")
    with (kit / "problem.py").open("a") as file:
        file.write("problem_title = 'Smaller'\n")
    with pytest.raises(AlreadyThere, match=r"^There is already a problem small\.\n.*--force"):
        events.add_problem(engine, settings, "small")
    with pytest.raises(AlreadyThere, match=r"^There is already an event autumn\.\n.*--force"):
        events.add_event(engine, settings, "small", "autumn")
    events.add_problem(engine, settings, "small", force=True)
    events.add_event(engine, settings, "small", "autumn", force=True, is_public=True)
    with database.reading(engine) as session:
        assert session.scalars(select(Problem.title)).all() == ["Smaller"]
        assert session.execute(select(Event.title, Event.is_public)).all() == [("Small", True)]
    events.add_event(engine, settings, "small", "autumn", "Fall", force=True, time_limit=7)
    with database.reading(engine) as session:
        event = session.scalars(select(Event)).one()
        assert (event.title, event.time_limit) == ("Fall", 7)
        assert (event.is_public, event.memory_limit) == (True, 4096)  # as they were


CHANGES = {  # lines of the kit: whether scores of before compare with those of after
    "": True,
    "problem_title = 'Smaller'": True,
    "get_cv = lambda X, y: [([0], [1]), ([1], [0]), ([2], [3])]": False,
    "Score.precision = 3": False,
    "Score.name = 'acc2'": False,
}
STALE = ("scored", "training", "checking_error")


@pytest.mark.parametrize("lines", CHANGES)
def test_what_is_not_comparable_any_more_is_trained_again(
    engine: Engine, settings: Settings, make_kit: MakeKit, lines: str
) -> None:
    kit = make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    events.add_event(engine, settings, "small", "autumn")
    with database.session_scope(engine) as session:
        event, team = session.scalars(select(Event)).one(), Team(name="saffron")
        session.add(EventTeam(event=event, team=team))
        session.flush()
        for state in (*STALE, "new", "training_error", "deleted"):
            row = Submission(event=event, team=team, name=state, files_digest="0" * 64, state=state)
            row.error_kind = "platform" if state.endswith("error") else None
            if state == "training":
                row.worker, row.lease_end = "w", event.created_at
            session.add(row)
    with (kit / "problem.py").open("a") as file:
        file.write(f"{lines}\n")
    events.add_event(engine, settings, "small", "autumn", force=True)
    with database.reading(engine) as session:
        states = dict(
            tuple(row) for row in session.execute(select(Submission.name, Submission.state))
        )
        again = {} if CHANGES[lines] else dict.fromkeys(STALE, "new")
        assert states == {state: again.get(state, state) for state in states}
        event = session.scalars(select(Event)).one()
        assert event.n_folds == (3 if "get_cv" in lines else 2)
        (score,) = event.score_types
        assert score.precision == (3 if "precision" in lines else 2)
        assert score.score_type.name == ("acc2" if "acc2" in lines else "acc")


def test_a_kit_that_differs_from_what_is_registered(
    engine: Engine, settings: Settings, make_kit: MakeKit
) -> None:
    make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    events.add_event(engine, settings, "small", "autumn")
    kit = make_kit(settings.kits_path, "other", "Workflow.element_names = ['regressor']")
    (kit / "submissions" / "starting_kit" / "regressor.py").touch()
    with pytest.raises(DataboardError) as caught:
        events.add_problem(engine, settings, "other")
    assert str(caught.value) == (
        "The kit other uses the workflow Workflow with the elements regressor; it is registered "
        "with estimator.\nGive the workflow class of the kit a name of its own."
    )
    make_kit(settings.kits_path, "third", "Score.is_lower_the_better, Score.maximum = True, 2.0")
    events.add_problem(engine, settings, "third")
    with pytest.raises(DataboardError) as caught:
        events.add_event(engine, settings, "third", "spring")
    assert str(caught.value) == (
        "The kit's score type acc is lower the better in [0.0, 2.0]; it is registered as higher "
        f"the better in [0.0, 1.0].\n{KIT_NAME}"
    )
    with pytest.raises(DataboardError) as caught:
        events.add_event(engine, settings, "third", "autumn", force=True)
    assert "acc" in caught.value.message or "problem small" in caught.value.message
    assert read(engine, Problem) == ["small", "third"] and read(engine, Event) == ["autumn"]


def test_an_event_stays_with_its_problem(
    engine: Engine, settings: Settings, make_kit: MakeKit
) -> None:
    for name in ("small", "other"):
        make_kit(settings.kits_path, name)
        events.add_problem(engine, settings, name)
    events.add_event(engine, settings, "small", "autumn")
    with pytest.raises(DataboardError) as caught:
        events.add_event(engine, settings, "other", "autumn", force=True)
    assert str(caught.value) == (
        "The event autumn is of the problem small, not other.\nChoose another event name."
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("del get_cv", "problem.py of the kit small lacks get_cv."),
        (
            "problem_title = 'two\\nlines'",
            "In the kit small: 'two\\nlines' cannot be the title of a problem.",
        ),
        ("Workflow.__name__ = 'a/b'", "'a/b' cannot be the name of a workflow."),
        (
            "Workflow.element_names = ['../x']",
            "In the kit small: '../x' cannot be the name of a workflow element.",
        ),
    ],
)
def test_a_problem_that_is_refused_leaves_nothing(
    engine: Engine, settings: Settings, make_kit: MakeKit, lines: str, said: str
) -> None:
    make_kit(settings.kits_path, lines=lines)
    with pytest.raises(DataboardError) as caught:
        events.add_problem(engine, settings, "small")
    assert caught.value.message == said
    assert (
        read(engine, Problem) == read(engine, Workflow) == read(engine, WorkflowElementType) == []
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Score.name = 'a b'", "In the kit small: 'a b' cannot be the name of a score type."),
        (
            "Score.maximum = 0.0",
            "The minimum 0.0 of the score type acc of the kit small is not below its maximum 0.0.",
        ),
        (
            "Score.minimum = float('nan')",
            "The minimum nan of the score type acc of the kit small is not below its maximum 1.0.",
        ),
    ],
)
def test_an_event_that_is_refused_leaves_nothing(
    engine: Engine, settings: Settings, make_kit: MakeKit, lines: str, said: str
) -> None:
    kit = make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    with (kit / "problem.py").open("a") as problem:
        problem.write(lines)
    with pytest.raises(DataboardError) as caught:
        events.add_event(engine, settings, "small", "autumn")
    assert caught.value.message == said
    assert read(engine, Event) == read(engine, ScoreType) == []


@pytest.mark.parametrize("name", ["..", "a/b", "a\nb", "x" * 81, ""])
def test_wrong_names_never_reach_the_disk(engine: Engine, settings: Settings, name: str) -> None:
    with pytest.raises(InvalidValue):
        events.add_problem(engine, settings, name)
    with pytest.raises(InvalidValue):
        events.add_event(engine, settings, "small", name)
    assert list(settings.kits_path.iterdir()) == []


def test_a_kit_or_problem_that_is_not_there(engine: Engine, settings: Settings) -> None:
    with pytest.raises(KitError, match=r"^There is no kit small in "):
        events.add_problem(engine, settings, "small")
    with pytest.raises(NotFound, match=r"^There is no problem 'small'\.\nAdd it with: inv add-pro"):
        events.add_event(engine, settings, "small", "autumn")


TWO_SCORES = """
class Loss(Score):
    name, is_lower_the_better = "loss", True

score_types = [Score(), Loss()]
"""


@pytest.mark.parametrize(("chosen", "kept"), [("acc", ["loss", "acc"]), ("loss", ["loss", "acc"])])
def test_the_chosen_official_score_stays_and_the_kit_s_first_follows(
    engine: Engine, settings: Settings, make_kit: MakeKit, chosen: str, kept: list[str]
) -> None:
    kit = make_kit(settings.kits_path, lines=TWO_SCORES)
    events.add_problem(engine, settings, "small")
    events.add_event(engine, settings, "small", "autumn")
    with database.session_scope(engine) as session:
        events.update_event(session, "autumn", official_score=chosen)
    for lines, order in (
        ("", [chosen, "loss" if chosen == "acc" else "acc"]),
        ("score_types = [Loss(), Score()]", kept),
        ("score_types = [Score()]", ["acc"]),
    ):
        with (kit / "problem.py").open("a") as file:
            file.write(f"{lines}\n")
        events.add_event(engine, settings, "small", "autumn", force=True)
        with database.reading(engine) as session:
            (event,) = session.scalars(select(Event))
            assert [score.score_type.name for score in event.score_types] == order
