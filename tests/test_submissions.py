"""Submitting, finding and changing submissions, on both databases."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from databoard import database, submissions, submitted
from databoard.config import Settings
from databoard.errors import AlreadyThere, DataboardError, InvalidValue, NotFound
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Problem, Workflow, WorkflowElement, WorkflowElementType
from databoard.model.states import FAILED, LEASED, STATES, TRANSITIONS
from databoard.model.submission import FoldRun, Submission

ELEMENTS = {"regressor": "code", "prices": "data", "notes": "text"}
GOOD = {"regressor.py": "x = 1\n", "prices.csv": "1,2\n", "notes.md": "hello\n"}
NO_MORE = "Leave just: regressor.py, prices.csv, notes.md."
WANTED = "The workflow Market wants one file for each of: regressor, prices, notes."
PLAIN = "Submit plain files, no links."


@pytest.fixture(autouse=True)
def event(session: Session) -> Event:
    """The event autumn of a workflow with three elements, and the team saffron in it."""
    workflow = Workflow(
        name="Market",
        elements=[
            WorkflowElement(position=i, type=WorkflowElementType(name=name, kind=kind))
            for i, (name, kind) in enumerate(ELEMENTS.items())
        ],
    )
    problem = Problem(name="market", title="Market", workflow=workflow)
    event = Event(name="autumn", title="A", problem=problem, n_folds=1, folds_digest="0" * 64)
    session.add_all([EventTeam(event=event, team=Team(name="saffron")), Team(name="juniper")])
    session.flush()
    return event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good submission."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in GOOD.items():
        (folder / name).write_text(text)
    return folder


def stored(settings: Settings) -> dict[str, str]:
    """Every file of all submissions."""
    root = settings.submissions_path
    return {
        str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()
    }


def add(session: Session, name: str, state: str) -> Submission:
    """A row in a state, without files."""
    event, team = session.scalars(select(Event)).one(), session.scalars(select(Team)).first()
    assert team is not None
    leased, failed = state in LEASED, state in FAILED
    submission = Submission(
        event=event,
        team=team,
        name=name,
        files_digest="0" * 64,
        state=state,
        worker="w" if leased else None,
        lease_end=event.created_at if leased else None,
        error_kind="exception" if failed else None,
        error_message="ValueError: no" if failed else None,
    )
    session.add(submission)
    session.flush()
    return submission


def test_files_are_stored_as_they_are(session: Session, settings: Settings, folder: Path) -> None:
    (folder / ".DS_Store").touch()
    (folder / "__pycache__").mkdir()
    (folder / "training_output").mkdir()
    submission = submissions.submit(session, settings, "autumn", "saffron", "first", folder)
    assert (submission.state, submission.attempt) == ("new", 0)
    place = f"submission_{submission.id:09d}/files"
    assert stored(settings) == {f"{place}/{name}": text for name, text in GOOD.items()}
    assert submissions.folder_of(settings, submission.id) == settings.submissions_path / (
        f"submission_{submission.id:09d}"
    )
    assert [path.name for path in settings.submissions_path.iterdir()] == [place.split("/")[0]]


def test_one_file_will_do_where_the_workflow_has_one(
    session: Session, settings: Settings, event: Event, folder: Path
) -> None:
    del event.problem.workflow.elements[1:]
    session.flush()
    file = folder / "regressor.py"
    submission = submissions.submit(session, settings, "autumn", "saffron", "first", file)
    assert list(stored(settings).values()) == ["x = 1\n"]
    assert len(submission.files_digest) == 64


def test_a_digest_is_of_names_and_contents(folder: Path, session: Session, event: Event) -> None:
    def digest() -> str:
        return submitted.digest_of(submitted.read_files(folder, event.problem.workflow))

    first = digest()
    assert digest() == first
    (folder / "notes.md").rename(folder / "notes.txt")
    renamed = digest()
    (folder / "notes.txt").write_text("other\n")
    assert len({first, renamed, digest()}) == 3


def test_the_starting_kit_is_submitted(
    session: Session, settings: Settings, event: Event, make_kit: Callable[..., Path]
) -> None:
    del event.problem.workflow.elements[1:]
    session.flush()
    kit = make_kit(settings.kits_path, "market") / "submissions" / "starting_kit"
    (kit / "estimator.py").rename(kit / "regressor.py")
    submission = submissions.submit_starting_kit(session, settings, "autumn", "saffron")
    assert submission.name == "starting_kit"
    assert list(stored(settings).values()) == ["print('hello')\n"]


def test_what_is_left_of_a_transaction_that_failed_is_replaced(
    session: Session, settings: Settings, folder: Path
) -> None:
    savepoint = session.begin_nested()
    first = submissions.submit(session, settings, "autumn", "saffron", "first", folder).id
    savepoint.rollback()
    (folder / "notes.md").write_text("second\n")
    for name in ("second", "third"):  # SQLite gives the same number again, PostgreSQL does not
        submissions.submit(session, settings, "autumn", "saffron", name, folder)
    place = f"submission_{first:09d}/files/notes.md"
    assert stored(settings)[place] in ("second\n", "hello\n")
    for id_ in session.scalars(select(Submission.id)):
        assert stored(settings)[f"submission_{id_:09d}/files/notes.md"] == "second\n"


def link(folder: Path) -> None:
    (folder / "regressor.py").unlink()
    (folder / "regressor.py").symlink_to("/etc/passwd")


def pipe(folder: Path) -> None:
    (folder / "regressor.py").unlink()
    os.mkfifo(folder / "regressor.py")


def directory(folder: Path) -> None:
    (folder / "regressor.py").unlink()
    (folder / "regressor.py").mkdir()


def giant(folder: Path) -> None:
    with (folder / "prices.csv").open("wb") as file:
        file.truncate(submitted.MAX_FILE_SIZE + 1)


WRONG_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is missing": (
        lambda folder: (folder / "regressor.py").unlink(),
        f"The submission has no file regressor.py.\n{WANTED}",
    ),
    "wrong suffix": (
        lambda folder: (folder / "regressor.py").rename(folder / "regressor.txt"),
        f"The submission has no file regressor.py.\n{WANTED}",
    ),
    "two of a kind": (
        lambda folder: (folder / "prices.txt").touch(),
        f"The submission has 2 files prices.*.\n{WANTED}",
    ),
    "one too many": (
        lambda folder: (folder / "more.py").touch(),
        "The submission has a file 'more.py', which the workflow Market does not know.\n" + NO_MORE,
    ),
    "a hostile name": (
        lambda folder: (folder / "a\x1b[31m\nb").touch(),
        "The submission has a file 'a\\x1b[31m\\nb', which the workflow Market does not know.\n"
        + NO_MORE,
    ),
    "a link": (
        link,
        "The file 'regressor.py' cannot be read: Too many levels of symbolic links.\n" + PLAIN,
    ),
    "a pipe": (pipe, "'regressor.py' is not a plain file.\nSubmit plain files."),
    "a folder": (directory, "'regressor.py' is not a plain file.\nSubmit plain files."),
    "too large": (giant, "The file 'prices.csv' is larger than 100 MB.\nSubmit less."),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_files(session: Session, settings: Settings, folder: Path, case: str) -> None:
    spoil, said = WRONG_FILES[case]
    spoil(folder)
    with pytest.raises(InvalidValue) as caught:
        submissions.submit(session, settings, "autumn", "saffron", "first", folder)
    assert str(caught.value) == said
    assert not stored(settings) and not session.scalars(select(Submission)).all()


SIGN_UP = "Sign it up: inv sign-up-team autumn juniper"
MISTAKES = {
    ("autumn", "saffron", "a/b"): (InvalidValue, "'a/b' cannot be the name of a submission."),
    ("autumn", "saffron", ".."): (InvalidValue, "'..' cannot be the name of a submission."),
    ("autum", "saffron", "a"): (NotFound, "There is no event 'autum'.\nDid you mean autumn?"),
    ("autumn", "safron", "a"): (NotFound, "There is no team 'safron'.\nDid you mean saffron?"),
    ("autumn", "juniper", "a"): (
        DataboardError,
        f"The team juniper is not signed up to autumn.\n{SIGN_UP}",
    ),
    ("autumn", "saffron", "taken"): (
        AlreadyThere,
        "The team saffron already has a submission taken in autumn.\nChoose another name.",
    ),
    ("autumn", "saffron", "gone"): (
        AlreadyThere,
        "The team saffron already has a submission gone in autumn.\nChoose another name.",
    ),
}


@pytest.mark.parametrize("typed", MISTAKES, ids=str)
def test_mistakes(
    session: Session, settings: Settings, folder: Path, typed: tuple[str, str, str]
) -> None:
    add(session, "taken", "scored")
    add(session, "gone", "deleted")
    kind, said = MISTAKES[typed]
    with pytest.raises(kind) as caught:
        submissions.submit(session, settings, *typed, folder)
    assert str(caught.value).startswith(said)
    assert not stored(settings) and not session.new


@pytest.mark.parametrize("path", ["nowhere", "mine/prices.csv", "/dev/null"])
def test_a_path_that_is_no_folder(
    session: Session, settings: Settings, folder: Path, tmp_path: Path, path: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        submissions.submit(session, settings, "autumn", "saffron", "a", tmp_path / path)
    assert str(caught.value) == (
        f"There is no folder {tmp_path / path}.\nGive the folder with the files."
    )


def test_lists_leave_out_what_is_deleted(session: Session) -> None:
    for state in ("new", "scored", "deleted", "training_error"):
        add(session, state, state)

    def names(**which: str) -> list[str]:
        found = submissions.list_submissions(session, "autumn", **which)
        return [submission.name for submission in found]

    assert names() == ["new", "scored", "training_error"]
    assert names(state="deleted") == ["deleted"]
    assert names(team_name="saffron", name="scored") == ["scored"]
    assert names(team_name="juniper") == []
    found = submissions.find_submission(session, "autumn", "saffron", "deleted")
    assert found.state == "deleted"


def test_what_is_not_there(session: Session) -> None:
    with pytest.raises(NotFound) as caught:
        submissions.find_submission(session, "autumn", "saffron", "a\nb")
    assert str(caught.value) == (
        "The team saffron has no submission 'a\\nb' in autumn.\nSee: inv print-submissions autumn"
    )
    with pytest.raises(
        InvalidValue, match=r"^'lost' is no state of a submission\.\nStates: new, t"
    ):
        submissions.list_submissions(session, "autumn", state="lost")
    for which in ({"event_name": "x"}, {"event_name": "autumn", "team_name": "x"}):
        with pytest.raises(NotFound):
            submissions.list_submissions(session, **which)


@pytest.mark.parametrize("source", STATES)
def test_states_set_by_hand(session: Session, source: str) -> None:
    for target in STATES:
        submission = add(session, target, source)
        if target in TRANSITIONS[source] and target in ("new", "deleted"):
            submissions.set_state(session, submission, target)
            session.flush()
            session.refresh(submission)
            assert submission.state == target
            assert submission.worker is None and submission.lease_end is None
            if target == "new":
                assert submission.error_kind is None and submission.error_message is None
            continue
        with pytest.raises(DataboardError) as caught:
            submissions.set_state(session, submission, target)
        by_hand = target in ("new", "deleted")
        assert str(caught.value) == (
            f"The submission {target} is {source}; it cannot become {target}.\n"
            f"From {source} it goes to: {', '.join(TRANSITIONS[source])}."
            if by_hand
            else f"The state {target} is reached by training, not by hand.\n"
            "Set one of: new, deleted."
        )
        assert submission.state == source


def test_what_is_put_back_has_no_folds_left(session: Session) -> None:
    kept, again = add(session, "kept", "scored"), add(session, "again", "scored")
    times = {"train_time": 1.0, "valid_time": 1.0, "test_time": 1.0, "max_memory": 1.0}
    for submission in (kept, again):
        session.execute(insert(FoldRun).values(submission_id=submission.id, fold=0, **times))
    assert submissions.put_back(session, Submission.id == again.id) == 1
    assert session.scalars(select(FoldRun.submission_id)).all() == [kept.id]
    assert submissions.put_back(session, Submission.name == "nowhere") == 0


def test_a_row_is_there_only_with_its_files(
    engine: Engine, session: Session, settings: Settings, folder: Path
) -> None:
    session.commit()
    settings.submissions_path.rmdir()
    settings.submissions_path.touch()  # nothing can be stored below a file
    with pytest.raises(OSError), database.session_scope(engine) as writing:
        submissions.submit(writing, settings, "autumn", "saffron", "first", folder)
    with database.reading(engine) as reading:
        assert reading.scalars(select(Submission)).all() == []
