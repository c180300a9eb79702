"""When a team may submit, and under which name: decided in the database, also for two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from databoard import database, submissions
from databoard.config import Settings
from databoard.errors import AlreadyThere, DataboardError
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Problem, Workflow, WorkflowElement, WorkflowElementType
from databoard.model.states import CHECKING_ERROR, FAILED, LEASED, NEW, STATES, path
from databoard.model.submission import Submission, SubmissionCredit
from databoard.quota import NotNow
from databoard.submitted import digest_of, read_files

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AWAY = datetime(2120, 1, 1, tzinfo=UTC)
N_AT_ONCE = 8
Submit = Callable[..., Submission]


@pytest.fixture(autouse=True)
def event(engine: Engine) -> Event:
    """The event autumn, 900 seconds between two submissions, and two teams in it."""
    with database.session_scope(engine) as session:
        type_ = WorkflowElementType(name="estimator", kind="code")
        workflow = Workflow(name="Estimator", elements=[WorkflowElement(position=0, type=type_)])
        problem = Problem(name="clouds", title="Clouds", workflow=workflow)
        event = Event(name="autumn", title="A", problem=problem, n_folds=1, folds_digest="0" * 64)
        for name in ("saffron", "juniper"):
            session.add(EventTeam(event=event, team=Team(name=name)))
    return event


@pytest.fixture
def submit(engine: Engine, settings: Settings, tmp_path: Path) -> Submit:
    """submit(name, text, team) as the team itself; with is_admin=True as an admin."""

    def submit(
        name: str, text: str = "x = 1\n", team: str = "saffron", is_admin: bool = False
    ) -> Submission:
        folder = tmp_path / f"{name} {threading.get_ident()}"
        folder.mkdir(exist_ok=True)
        (folder / "estimator.py").write_text(text)
        with database.session_scope(engine) as session:
            return submissions.submit(
                session, settings, "autumn", team, name, folder, is_admin=is_admin
            )

    return submit


def set_event(engine: Engine, **values: object) -> None:
    with database.session_scope(engine) as session:
        session.execute(update(Event).values(**values))


def bring_to(engine: Engine, submission: Submission, state: str) -> None:
    """Walk a new submission to a state, by legal steps."""
    with database.session_scope(engine) as session:
        for step in path(submission.state, state):
            leased = step in LEASED
            session.execute(
                update(Submission)
                .where(Submission.id == submission.id)
                .values(
                    state=step,
                    worker="w" if leased else None,
                    lease_end=FAR_AWAY if leased else None,
                    error_kind="exception" if step in FAILED else None,
                )
            )


def refused(submit: Submit, *typed: str) -> str:
    with pytest.raises(DataboardError) as caught:
        submit(*typed)
    return str(caught.value)


def test_a_team_waits_and_others_do_not(engine: Engine, submit: Submit) -> None:
    first = submit("first")
    again = first.submitted_at + timedelta(seconds=900)
    assert refused(submit, "second") == (
        f"The team saffron may submit to autumn again at {again:%Y-%m-%d %H:%M:%S} UTC.\n"
        "Between two submissions there are 900 seconds."
    )
    submit("second", team="juniper")
    submit("by_an_admin", is_admin=True)
    with database.session_scope(engine) as session:
        session.execute(update(Submission).values(submitted_at=LONG_AGO))
    submit("third")


def test_no_seconds_are_no_wait(engine: Engine, submit: Submit) -> None:
    set_event(engine, min_seconds=0)
    assert submit("first").id != submit("second").id


@pytest.mark.parametrize("state", [state for state in STATES if path("new", state)])
def test_what_the_platform_failed_on_is_not_charged(
    engine: Engine, submit: Submit, state: str
) -> None:
    bring_to(engine, submit("first"), state)
    if state == CHECKING_ERROR:
        submit("second")
    else:
        assert refused(submit, "second").startswith("The team saffron may submit to autumn again")


def test_a_day_has_its_quota(engine: Engine, submit: Submit) -> None:
    set_event(engine, min_seconds=0, daily_quota=2)
    first, second = submit("first"), submit("second")
    again = first.submitted_at + timedelta(days=1)
    assert refused(submit, "third") == (
        f"The team saffron may submit to autumn again at {again:%Y-%m-%d %H:%M:%S} UTC.\n"
        "There are at most 2 submissions in 24 hours."
    )
    submit("second", "better")  # it waits: this is no other one
    submit("third", team="juniper")
    submit("by_an_admin", is_admin=True)
    bring_to(engine, second, CHECKING_ERROR)
    assert refused(submit, "third")  # that of the admin is the team's, too
    with database.session_scope(engine) as session:
        session.get_one(Submission, first.id).submitted_at -= timedelta(days=1)
    submit("third")
    assert refused(submit, "fourth")


def test_of_many_at_once_the_quota_gets_through(engine: Engine, submit: Submit) -> None:
    set_event(engine, min_seconds=0, daily_quota=3)
    got = at_once(lambda number: submit(f"s{number}"))
    assert sum(isinstance(each, Submission) for each in got) == 3
    assert got.count(NotNow) == N_AT_ONCE - 3


def test_opening_and_closing(engine: Engine, submit: Submit) -> None:
    set_event(engine, opening_at=FAR_AWAY)
    assert refused(submit, "first") == (
        "The event autumn opens at 2120-01-01 00:00:00 UTC.\nSubmit after that."
    )
    submit("by_an_admin", is_admin=True)
    set_event(engine, opening_at=LONG_AGO, closing_at=LONG_AGO, min_seconds=0)
    assert refused(submit, "first") == (
        "The event autumn closed at 2020-01-01 00:00:00 UTC.\nNothing can be submitted any more."
    )
    set_event(engine, closing_at=FAR_AWAY)
    submit("first")


@pytest.mark.parametrize("state", STATES)
def test_the_same_name_again_only_while_new_or_failed(
    engine: Engine, settings: Settings, submit: Submit, state: str
) -> None:
    older = submit("older", is_admin=True)
    first = submit("first", is_admin=True)
    with database.session_scope(engine) as session:
        owed = SubmissionCredit(submission_id=first.id, source_id=older.id, share=0.5)
        session.add(owed)
    if state != NEW:
        bring_to(engine, first, state)
    if state not in (NEW, *FAILED):
        said = "The team saffron already has a submission first in autumn.\nChoose another name."
        with pytest.raises(AlreadyThere) as caught:
            submit("first", "x = 2\n", is_admin=True)
        assert str(caught.value) == said
        return
    again = submit("first", "x = 2\n", is_admin=True)
    with database.reading(engine) as session:
        row = session.get_one(Submission, first.id)
        assert again.id == row.id and session.scalar(select(SubmissionCredit)) is None
        assert (row.state, row.error_kind, row.attempt) == ("new", None, first.attempt)
        assert row.submitted_at > first.submitted_at
        files = submissions.files_of(settings, row)
        assert (files / "estimator.py").read_text() == "x = 2\n"
        assert digest_of(read_files(files, row.event.problem.workflow)) == row.files_digest
    (only,) = submissions.folder_of(settings, first.id).iterdir()
    assert only == files


def test_files_go_there_and_back(engine: Engine, settings: Settings, submit: Submit) -> None:
    for text in ("a", "b", "b", "a", "c", "a"):
        submission = submit("first", text, is_admin=True)
        files = submissions.files_of(settings, submission)
        assert (files / "estimator.py").read_text() == text
        assert [*submissions.folder_of(settings, submission.id).iterdir()] == [files]


def test_what_failed_to_commit_leaves_the_old_files(
    engine: Engine, settings: Settings, submit: Submit, tmp_path: Path
) -> None:
    first = submit("first", "old")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "estimator.py").write_text("new")
    with pytest.raises(RuntimeError), database.session_scope(engine) as session:
        submissions.submit(session, settings, "autumn", "saffron", "first", tmp_path / "new")
        raise RuntimeError("the power is gone")
    with database.reading(engine) as session:
        files = submissions.files_of(settings, session.get_one(Submission, first.id))
    assert (files / "estimator.py").read_text() == "old"


def test_what_waits_may_be_replaced_at_once_and_what_failed_may_not(
    engine: Engine, submit: Submit
) -> None:
    first = submit("first")
    assert submit("first", "better").id == first.id
    assert refused(submit, "second").startswith("The team saffron may submit to autumn again")
    bring_to(engine, first, "training_error")
    assert refused(submit, "first").startswith("The team saffron may submit to autumn again")


def at_once(do: Callable[[int], object]) -> list[object]:
    """What N threads that start together get, or are told."""
    barrier = threading.Barrier(N_AT_ONCE)

    def run(number: int) -> object:
        barrier.wait()
        try:
            return do(number)
        except DataboardError as error:
            return type(error)

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        return list(pool.map(run, range(N_AT_ONCE)))


def test_of_many_at_once_one_gets_through(engine: Engine, submit: Submit) -> None:
    for team in ("saffron", "juniper"):
        got = at_once(lambda number, team=team: submit(f"s{number}", team=team))
        assert sum(isinstance(each, Submission) for each in got) == 1
        assert got.count(NotNow) == N_AT_ONCE - 1
    with database.reading(engine) as session:
        assert len(session.scalars(select(Submission)).all()) == 2


def test_many_of_one_name_are_one_row_with_its_files(
    engine: Engine, settings: Settings, submit: Submit
) -> None:
    got = at_once(lambda number: submit("same", f"x = {number}\n", is_admin=True).id)
    with database.reading(engine) as session:
        row = session.scalars(select(Submission)).one()
        assert set(got) == {row.id}
        files = submissions.files_of(settings, row)
        assert digest_of(read_files(files, row.event.problem.workflow)) == row.files_digest
    assert [*submissions.folder_of(settings, row.id).iterdir()] == [files]
