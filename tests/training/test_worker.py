"""The worker: how it shares its slots, keeps its leases, and gives back what it holds.

Submissions tell of themselves in files, and are told: for that they are out of their box.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from databoard import database, submissions
from databoard.config import ROOT
from databoard.model.submission import Submission, SubmissionScore
from databoard.training import queue
from databoard.training.assignment import Progress
from tests.training.deployment import Deployment, is_there, model, until, write_plain_kit

pytestmark = pytest.mark.slow

INVOKE = [sys.executable, "-m", "invoke"]

# For what is the same on both, whatever is stored.
on_one_database = pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
NOTHING = {"submission_score": 0, "fold_run": 0, "fold_score": 0}
STORED = {"submission_score": 1, "fold_run": 2, "fold_score": 2}
SIX_FOLDS = "get_cv = lambda X, y: [(np.arange(40), np.arange(40, 40 + n)) for n in range(10, 16)]"


@pytest.fixture(scope="module")
def ready(shared: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """With the events `plain`, of two folds, and `six`."""
    kits = tmp_path_factory.mktemp("kits")
    shared.add_event(shared.add_problem(write_plain_kit(kits / "plain")))
    shared.add_event(shared.add_problem(write_plain_kit(kits / "six", SIX_FOLDS)))
    return shared


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for a submission."""
    return re.sub(r"\W+", "_", request.node.name)[:60].strip("_")


def slow(note: Path, seconds: float = 60) -> str:
    """Tells the ids of its processes, then sleeps; or is quick once `<note>/quick` is there."""
    return model(
        fit=f"""
        Path("{note}", f"{{FOLD}}.new").write_text(str(os.getpid()))
        os.rename(f"{note}/{{FOLD}}.new", f"{note}/{{FOLD}}")
        if not os.path.exists("{note}/quick"): time.sleep({seconds})
        """
    )


def told(note: Path) -> list[int]:
    """The processes of both folds; fewer when they have not begun."""
    return [int(path.read_text()) for path in note.glob("[01]")]


@contextmanager
def working(
    deployment: Deployment, lease_seconds: float = 60
) -> Iterator[tuple[list[Progress], Callable[[], None]]]:
    """A worker in a thread: what it reports, and a function that waits until it has drained."""
    news: list[Progress] = []
    worker = deployment.worker(lease_seconds=lease_seconds, report=news.append, is_boxed=False)
    thread = threading.Thread(target=lambda: asyncio.run(worker.drain()))

    def join() -> None:
        thread.join(60)
        assert not thread.is_alive()

    thread.start()
    try:
        yield news, join
    finally:
        join()


@contextmanager
def loop(deployment: Deployment, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A real `inv backend-train-test-loop`, in a process group of its own."""
    process = subprocess.Popen(
        [*INVOKE, "backend-train-test-loop", "--unsafe-no-sandbox", *arguments],
        cwd=ROOT,
        env=os.environ | deployment.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@on_one_database
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_folds_run_side_by_side_up_to_jobs(
    ready: Deployment, name: str, tmp_path: Path, jobs: int
) -> None:
    """Of one submission or of two: as many as there are slots, and never more."""
    watch = model(
        fit=f"""
        import uuid
        here = Path("{tmp_path}", uuid.uuid4().hex + ".now")
        here.touch()
        deadline = time.monotonic() + 1.5
        most = 0
        while time.monotonic() < deadline and most < {jobs}:
            most = max(most, sum(path.endswith(".now") for path in os.listdir("{tmp_path}")))
            time.sleep(0.01)
        time.sleep(0.1)
        most = max(most, sum(path.endswith(".now") for path in os.listdir("{tmp_path}")))
        here.with_suffix(f".{{most}}").touch()
        here.unlink()
        """
    )
    first, second = ready.submit("six", name, watch), ready.submit("plain", name, watch)
    ready.train(jobs=jobs, is_boxed=False)
    assert ready.get(first).state == ready.get(second).state == "scored"
    seen = [int(path.suffix[1:]) for path in tmp_path.iterdir() if path.suffix[1:].isdigit()]
    assert len(seen) == 8 and max(seen) == jobs


def test_a_lease_taken_away_ends_the_folds(ready: Deployment, name: str, tmp_path: Path) -> None:
    submission_id = ready.submit("plain", name, slow(tmp_path))
    with working(ready, lease_seconds=1.5) as (news, join):
        until(lambda: len(told(tmp_path)) == 2)
        with database.session_scope(ready.engine) as session:
            row = session.get_one(Submission, submission_id)
            submissions.set_state(session, row, "new")
            session.refresh(row)
            submissions.set_state(session, row, "deleted")
        join()
    assert [each.what for each in news] == ["claimed", "lost"]
    assert ready.get(submission_id).state == "deleted"
    assert ready.stored(submission_id) == NOTHING
    until(lambda: not any(map(is_there, told(tmp_path))))
    assert not list(ready.folder_of(submission_id).glob("predictions/*"))


def test_what_is_set_to_new_is_trained_again_and_stored_once(
    ready: Deployment, name: str, tmp_path: Path
) -> None:
    submission_id = ready.submit("plain", name, slow(tmp_path))
    with working(ready, lease_seconds=1.5) as (news, join):
        until(lambda: len(told(tmp_path)) == 2)
        first = told(tmp_path)
        (tmp_path / "quick").touch()
        ready.set_state(submission_id, "new")
        join()
    assert Counter(each.what for each in news if each.fold is None) >= Counter(
        {"claimed": 2, "lost": 1, "scored": 1}
    )
    row = ready.get(submission_id)
    assert (row.state, row.attempt, row.lost_leases) == ("scored", 2, 0)
    assert ready.stored(submission_id) == STORED
    until(lambda: not any(map(is_there, first)))
    assert [path.name for path in ready.folder_of(submission_id).glob("predictions/*")] == ["2"]


def test_the_heartbeat_keeps_a_short_lease(ready: Deployment, name: str, tmp_path: Path) -> None:
    submission_id = ready.submit("plain", name, slow(tmp_path, seconds=5))
    with working(ready, lease_seconds=2) as (news, _):
        ends = set()

        def is_over() -> bool:
            with database.session_scope(ready.engine) as session:
                assert queue.sweep(session) == []
            ends.add(ready.get(submission_id).lease_end)
            return any(each.what == "scored" for each in news)

        until(is_over, 60)
    row = ready.get(submission_id)
    assert (row.state, row.attempt, row.lost_leases) == ("scored", 1, 0)
    assert len(ends) >= 4


def test_states_are_stored_as_they_are_reached(
    ready: Deployment, name: str, tmp_path: Path
) -> None:
    """A person sees how far a submission is."""
    wait = f"while not os.path.exists('{tmp_path}/go'): time.sleep(0.02)"
    submission_id = ready.submit("plain", name, model(predict=wait))
    with working(ready):
        until(lambda: ready.get(submission_id).state == "trained")
        (tmp_path / "go").touch()
    assert ready.get(submission_id).state == "scored"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_stopped_gives_back_what_it_holds(
    ready: Deployment, name: str, tmp_path: Path, number: signal.Signals
) -> None:
    quick = ready.submit("plain", f"quick_{number.name}", model())
    with loop(ready, "plain", "--timeout", "0.1", "--jobs", "2") as process:
        until(lambda: ready.get(quick).state == "scored", 60)
        held = ready.submit("plain", f"held_{number.name}", slow(tmp_path))
        until(lambda: len(told(tmp_path)) == 2, 60)
        os.killpg(process.pid, number)  # as a terminal does
        output, errors = process.communicate(timeout=30)
    row = ready.get(held)
    assert (row.state, row.attempt, row.lost_leases) == ("new", 1, 0)
    assert (row.worker, row.lease_end, row.error_kind) == (None, None, None)
    until(lambda: not any(map(is_there, told(tmp_path))))
    assert ready.stored(held) == NOTHING
    assert f"plain/ada/quick_{number.name}: scored" in output
    assert f"plain/ada/held_{number.name}: released" in output
    assert "Traceback" not in errors
    (tmp_path / "quick").touch()
    ready.train(is_boxed=False)
    row = ready.get(held)
    assert (row.state, row.attempt) == ("scored", 2)


@on_one_database
def test_data_is_read_once_for_all_submissions(
    shared: Deployment, ready: object, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    counting = f"""
read_quietly = read

def read(path, name):
    with open("{log}", "a") as file:
        file.write(name + "\\n")
    return read_quietly(path, name)
"""
    shared.add_event(shared.add_problem(write_plain_kit(tmp_path / "counted", counting)))
    log.unlink()
    ids = [shared.submit("counted", f"s{number}", model()) for number in range(4)]
    shared.train()
    assert {shared.get(submission_id).state for submission_id in ids} == {"scored"}
    assert log.read_text().split() == ["train.csv", "test.csv"]
    shared.submit("counted", "later", model())
    shared.train()
    assert len(log.read_text().split()) == 4


@on_one_database
def test_a_kit_that_changes_meanwhile_is_read_again(
    ready: Deployment, name: str, tmp_path: Path
) -> None:
    """One worker, two submissions, and new labels in between."""
    place = ready.settings.kits_path / "moving"
    if not place.exists():
        ready.add_event(ready.add_problem(write_plain_kit(tmp_path / "moving")))
    wait = f"while not os.path.exists('{tmp_path}/go'): time.sleep(0.02)"
    first = ready.submit("moving", "first", model())
    between = ready.submit("plain", f"{name}_between", model(fit=wait))
    with working(ready) as (_, join):
        until(lambda: ready.get(first).state == "scored")
        labels = place / "data" / "test.csv"
        labels.write_text(labels.read_text().replace("7318529640", "8318529640"))
        second = ready.submit("moving", "second", model())
        (tmp_path / "go").touch()
        join()
    assert ready.get(between).state == ready.get(second).state == "scored"
    with database.reading(ready.engine) as session:
        score = session.scalars(select(SubmissionScore).filter_by(submission_id=second)).one()
    assert score.test_bag is not None and score.test_bag > 7.9e12


@on_one_database
def test_progress_is_a_line_per_fold_and_one_for_the_end(ready: Deployment) -> None:
    def train_test(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "invoke", "train-test", "six", "--jobs", "1", *arguments],
            cwd=ROOT,
            env=os.environ | ready.environment,
            capture_output=True,
            text=True,
        )

    ready.submit("six", "good", model())
    ready.submit("six", "bad", model(fit="raise ValueError('no luck')"))
    done = train_test()
    assert done.stdout.splitlines() == [
        *(f"six/ada/good: fold {fold}/6" for fold in range(1, 7)),
        "six/ada/good: scored",
        "six/ada/bad: training_error (ValueError: no luck)",
        "Trained 2 of six: 1 scored, 1 training_error.",
    ]
    assert (done.returncode, done.stderr) == (0, "")
    assert train_test().stdout == "Nothing to train.\n"
    again = train_test("--submission", "bad", "--state", "training_error")
    assert again.stdout.splitlines()[-1] == "Trained 1 of six: 1 training_error."


@on_one_database
def test_a_platform_failure_is_told_by_the_exit_code(ready: Deployment, name: str) -> None:
    submission_id = ready.submit("plain", name, model())
    (ready.folder_of(submission_id) / "files" / "estimator.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "train-test", "plain"],
        cwd=ROOT,
        env=os.environ | ready.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Trained 1 of plain: 1 checking_error." in done.stdout
    assert "See why: inv print-submissions plain --errors" in done.stderr
