"""The queue: who may hold a submission, and what becomes of it. No submission is trained here."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from databoard import database, submissions
from databoard.config import ROOT
from databoard.errors import LeaseLost
from databoard.model import states
from databoard.model.event import Event, EventScoreType, EventTeam
from databoard.model.people import Team
from databoard.model.problem import Problem, ScoreType, Workflow
from databoard.model.submission import FoldScore, Submission, SubmissionScore
from databoard.training import queue
from databoard.training.outcome import FoldOutcome, Scores, SubmissionFailed
from databoard.training.queue import Lease
from tests.training.deployment import Deployment

N_FOLDS = 3
STORED = {"submission_score": 2, "fold_run": N_FOLDS, "fold_score": 2 * N_FOLDS}
NOTHING = dict.fromkeys(STORED, 0)
SCORES = Scores(
    [
        FoldOutcome(1.0 + fold, 2.0, 3.0, 100.0 + fold, [[0.5, 0.25, None, 0.2, None]] * 2)
        for fold in range(N_FOLDS)
    ],
    [{"valid_bag": 0.2, "test_bag": None, "valid_mean": 0.25, "test_mean": None}] * 2,
)
OF_A_FAILURE = {
    states.TRAINING_ERROR: "exception",
    states.VALIDATING_ERROR: "time",
    states.TESTING_ERROR: "memory",
    states.SCORING_ERROR: "predictions",
    states.CHECKING_ERROR: "platform",
}
Add = Callable[..., list[int]]


@pytest.fixture
def add(deployment: Deployment) -> Add:
    """add(count) stores submissions of one event, without files; returns their ids."""
    numbers = itertools.count()
    with database.session_scope(deployment.engine) as session:
        names = ("auc", False), ("nll", True)
        types = [
            ScoreType(name=name, is_lower_the_better=is_lower, minimum=0, maximum=1)
            for name, is_lower in names
        ]
        event = Event(
            name="clouds",
            title="Clouds",
            problem=Problem(name="clouds", title="Clouds", workflow=Workflow(name="Estimator")),
            n_folds=N_FOLDS,
            folds_digest="0" * 64,
            score_types=[
                EventScoreType(score_type=type_, position=position, precision=2)
                for position, type_ in enumerate(types)
            ],
        )
        team = session.scalars(select(Team)).one()
        session.add(EventTeam(event=event, team=team))

    def add(count: int = 1) -> list[int]:
        with database.session_scope(deployment.engine) as session:
            rows = [
                Submission(
                    event_id=event.id, team_id=team.id, name=f"s{next(numbers)}", files_digest="0"
                )
                for _ in range(count)
            ]
            session.add_all(rows)
        return sorted(row.id for row in rows)

    return add


@pytest.fixture
def lease(deployment: Deployment, add: Add) -> Lease:
    """A claimed submission."""
    add()
    return claim(deployment)


def claim(deployment: Deployment, worker: str = "w", seconds: float = 60) -> Lease:
    with database.session_scope(deployment.engine) as session:
        lease = queue.claim(session, worker, seconds)
    assert lease is not None
    return lease


def do(deployment: Deployment, what: Callable[..., object], *args: object) -> object:
    with database.session_scope(deployment.engine) as session:
        return what(session, *args)


def end_lease(deployment: Deployment, submission_id: int) -> None:
    """As if its time were over."""
    with database.session_scope(deployment.engine) as session:
        values = {"lease_end": queue.db_now(-1)}
        session.execute(update(Submission).where(Submission.id == submission_id).values(**values))


def in_state(deployment: Deployment, lease: Lease, state: str) -> None:
    if state != states.TRAINING:
        do(deployment, queue.renew, lease, 60, states.TRAINING, state)


def test_claim_takes_the_oldest_and_leases_it(deployment: Deployment, add: Add) -> None:
    first, second = add(2)
    lease = claim(deployment, "here:1")
    row = deployment.get(first)
    assert lease == Lease(first, 1, "here:1")
    assert (row.state, row.worker, row.attempt) == ("training", "here:1", 1)
    assert row.training_at is not None and row.lease_end is not None
    assert 55 < (row.lease_end - row.training_at).total_seconds() < 65
    assert claim(deployment).submission_id == second
    assert do(deployment, queue.claim, "w", 60) is None


def test_claim_takes_only_what_is_selected(deployment: Deployment, add: Add) -> None:
    first, second = add(2)
    with database.session_scope(deployment.engine) as session:
        only = queue.claim(session, "w", 60, Submission.id == second)
        assert only is not None and only.submission_id == second
        assert queue.claim(session, "w", 60, Submission.id == second) is None
    assert deployment.get(first).state == "new"


def test_one_of_many_threads_wins_each_submission(deployment: Deployment, add: Add) -> None:
    ids, won = add(60), []
    ready = threading.Barrier(12)

    def work(number: int) -> None:
        ready.wait()
        while True:
            with database.session_scope(deployment.engine) as session:
                lease = queue.claim(session, f"thread:{number}", 60)
            if lease is None:
                return
            won.append(lease)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(work, range(12)))
    assert sorted(lease.submission_id for lease in won) == ids
    assert {lease.attempt for lease in won} == {1}
    for lease in won:
        assert deployment.get(lease.submission_id).worker == lease.worker


CLAIM_ALL = """
import sys
from databoard import database
from databoard.training import queue
engine = database.open_engine(sys.argv[1])
engine.connect().close()
print("ready", flush=True)
sys.stdin.readline()
while True:
    with database.session_scope(engine) as session:
        lease = queue.claim(session, sys.argv[2], 60)
    if lease is None:
        break
    print(lease.submission_id)
"""


def test_one_of_many_processes_wins_each_submission(deployment: Deployment, add: Add) -> None:
    ids = add(200)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, deployment.settings.db_url, f"process:{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(map(int, itertools.chain(*won))) == ids
    assert sum(map(bool, won)) > 1  # they did race


def test_renew_moves_the_end_of_the_lease(deployment: Deployment, add: Add) -> None:
    add()
    lease = claim(deployment, seconds=1)
    before = deployment.get(lease.submission_id).lease_end
    do(deployment, queue.renew, lease, 60)
    row = deployment.get(lease.submission_id)
    assert row.lease_end is not None and before is not None
    assert 50 < (row.lease_end - before).total_seconds() < 70
    assert row.state == "training"


@pytest.mark.parametrize("state", states.LEASED[1:])
def test_renew_goes_on_to_a_later_state(deployment: Deployment, lease: Lease, state: str) -> None:
    do(deployment, queue.renew, lease, 60, states.TRAINING, state)
    row = deployment.get(lease.submission_id)
    assert (row.state, row.worker, row.attempt) == (state, "w", 1)


@pytest.mark.parametrize("state", states.LEASED)
def test_release_gives_it_back_untried(deployment: Deployment, lease: Lease, state: str) -> None:
    in_state(deployment, lease, state)
    do(deployment, queue.release, lease)
    row = deployment.get(lease.submission_id)
    assert (row.state, row.attempt, row.lost_leases) == ("new", 1, 0)
    assert (row.worker, row.lease_end, row.training_at) == (None, None, None)
    assert claim(deployment).attempt == 2


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (source, target)  # all folds have reached the source, so none fails before it
        for number, source in enumerate(states.LEASED)
        for target in states.FAILED[number:]
    ],
)
def test_each_failure_is_reached_from_each_leased_state_before_it(
    deployment: Deployment, lease: Lease, source: str, target: str
) -> None:
    in_state(deployment, lease, source)
    failure = SubmissionFailed(target, OF_A_FAILURE[target], "why", 2)
    do(deployment, queue.fail, lease, source, failure)
    row = deployment.get(lease.submission_id)
    assert (row.state, row.error_kind) == (target, OF_A_FAILURE[target])
    assert (row.error_fold, row.error_message) == (2, "why")
    assert (row.worker, row.lease_end) == (None, None)
    assert row.ended_at is not None and row.training_at is not None
    assert deployment.stored(row.id) == NOTHING


@pytest.mark.parametrize("source", states.LEASED)
def test_finish_stores_everything(deployment: Deployment, lease: Lease, source: str) -> None:
    in_state(deployment, lease, source)
    do(deployment, queue.finish, lease, source, SCORES)
    row = deployment.get(lease.submission_id)
    assert (row.state, row.worker, row.lease_end) == ("scored", None, None)
    assert (row.error_kind, row.error_fold, row.error_message) == (None, None, None)
    assert (row.train_time, row.valid_time, row.test_time, row.max_memory) == (2, 2, 3, 102)
    assert deployment.stored(row.id) == STORED
    with database.reading(deployment.engine) as session:
        high, low = session.scalars(select(SubmissionScore).order_by("event_score_type_id"))
        assert (high.bag_key, high.mean_key, high.test_bag) == (-0.2, -0.25, None)
        assert (low.bag_key, low.mean_key, low.valid_bag) == (0.2, 0.25, 0.2)
        of_fold = session.scalars(select(FoldScore).where(FoldScore.fold == 1)).first()
        assert of_fold is not None
        assert (of_fold.train, of_fold.valid, of_fold.test) == (0.5, 0.25, None)
        assert (of_fold.valid_bag, of_fold.test_bag) == (0.2, None)


def test_a_score_that_is_undefined_sorts_last() -> None:
    assert queue.sort_key(None, True) == queue.sort_key(None, False) == float("inf")
    assert queue.sort_key(0.5, True) == 0.5 and queue.sort_key(0.5, False) == -0.5


STALE = {
    "renew": (queue.renew, 60),
    "renew to a state": (queue.renew, 60, states.TRAINING, states.TRAINED),
    "release": (queue.release,),
    "lose": (queue.lose,),
    "finish": (queue.finish, states.TRAINING, SCORES),
    "fail": (queue.fail, "training", SubmissionFailed(states.TRAINING_ERROR, "crash", "why", 0)),
}


@pytest.mark.parametrize("call", STALE.values(), ids=STALE)
@pytest.mark.parametrize("how", ["claimed again", "swept", "set to new", "deleted", "finished"])
def test_who_lost_the_lease_changes_nothing(
    deployment: Deployment, lease: Lease, how: str, call: tuple[Callable[..., object], object]
) -> None:
    submission_id = lease.submission_id
    if how in ("claimed again", "swept"):
        end_lease(deployment, submission_id)
        assert len(do(deployment, queue.sweep)) == 1
    if how == "claimed again":
        assert claim(deployment) == replace(lease, attempt=2)
    elif how == "set to new":
        deployment.set_state(submission_id, "new")
    elif how == "deleted":
        deployment.set_state(submission_id, "new")
        deployment.set_state(submission_id, "deleted")
    elif how == "finished":
        do(deployment, queue.finish, lease, states.TRAINING, SCORES)
    before, stored = snapshot(deployment, submission_id), deployment.stored(submission_id)
    what, *args = call
    with pytest.raises(LeaseLost, match=f"lease of submission {submission_id} is lost"):
        do(deployment, what, lease, *args)
    assert snapshot(deployment, submission_id) == before
    assert deployment.stored(submission_id) == stored


@pytest.mark.parametrize("other", [{"worker": "another"}, {"attempt": 2}, {"submission_id": 77}])
def test_a_lease_is_of_one_worker_attempt_and_submission(
    deployment: Deployment, lease: Lease, other: dict[str, object]
) -> None:
    with pytest.raises(LeaseLost):
        do(deployment, queue.finish, replace(lease, **other), states.TRAINING, SCORES)
    assert deployment.get(lease.submission_id).state == "training"
    assert deployment.stored(lease.submission_id) == NOTHING


def test_two_that_finish_at_once_store_one_result(deployment: Deployment, lease: Lease) -> None:
    ready, ended = threading.Barrier(8), []

    def finish(_: int) -> None:
        ready.wait()
        try:
            do(deployment, queue.finish, lease, states.TRAINING, SCORES)
            ended.append("stored")
        except LeaseLost:
            ended.append("lost")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(finish, range(8)))
    assert Counter(ended) == {"stored": 1, "lost": 7}
    assert deployment.stored(lease.submission_id) == STORED


def test_an_error_amid_finish_stores_nothing(deployment: Deployment, lease: Lease) -> None:
    in_state(deployment, lease, states.VALIDATED)
    before = snapshot(deployment, lease.submission_id)
    twice = replace_scores(overall=SCORES.overall * 2)
    with pytest.raises(ValueError, match="zip"):
        do(deployment, queue.finish, lease, states.VALIDATED, twice)
    no_number = replace_scores(folds=[replace(fold, train_time=None) for fold in SCORES.folds])
    with pytest.raises((TypeError, DBAPIError)):
        do(deployment, queue.finish, lease, states.VALIDATED, no_number)
    with database.session_scope(deployment.engine) as session:  # a row that is in the way
        run = {"fold": 1, "train_time": 0, "valid_time": 0, "test_time": 0, "max_memory": 0}
        session.add(queue.FoldRun(submission_id=lease.submission_id, **run))
    with pytest.raises(IntegrityError):  # after the scores went in
        do(deployment, queue.finish, lease, states.VALIDATED, SCORES)
    assert snapshot(deployment, lease.submission_id) == before
    assert deployment.stored(lease.submission_id) == NOTHING | {"fold_run": 1}


def test_sweep_takes_back_only_what_is_over(deployment: Deployment, add: Add) -> None:
    first, second, waiting = add(3)
    claim(deployment, "dead"), claim(deployment, "alive")
    assert do(deployment, queue.sweep) == []
    end_lease(deployment, first)
    assert len(do(deployment, queue.sweep)) == 1
    row = deployment.get(first)
    assert (row.state, row.attempt, row.lost_leases) == ("new", 1, 1)
    assert (row.worker, row.lease_end, row.training_at) == (None, None, None)
    assert (row.error_kind, row.error_message, row.ended_at) == (None, None, None)
    assert deployment.get(second).worker == "alive"
    assert deployment.get(waiting).lost_leases == 0


def test_a_lease_ends_by_the_clock(deployment: Deployment, add: Add) -> None:
    add()
    claim(deployment, seconds=0.2)
    deadline = time.monotonic() + 10
    while not do(deployment, queue.sweep):
        assert time.monotonic() < deadline
    assert claim(deployment).attempt == 2


@pytest.mark.parametrize("how", [queue.sweep, queue.lose])
@pytest.mark.parametrize("state", states.LEASED)
def test_the_third_lost_lease_is_the_last(
    deployment: Deployment, add: Add, state: str, how: Callable[..., object]
) -> None:
    (submission_id,) = add()
    for number in (1, 2, 3):
        assert deployment.get(submission_id).state == "new"
        lease = claim(deployment)
        assert lease.attempt == number
        in_state(deployment, lease, state)
        end_lease(deployment, submission_id)
        do(deployment, how, *([lease] if how == queue.lose else []))
    row = deployment.get(submission_id)
    assert (row.state, row.lost_leases, row.attempt) == ("checking_error", 3, 3)
    assert (row.error_kind, row.error_message) == (
        "platform",
        "The worker died 3 times while training it.",
    )
    assert row.ended_at is not None
    assert do(deployment, queue.claim, "w", 60) is None


def test_a_released_lease_is_not_counted_as_lost(deployment: Deployment, add: Add) -> None:
    (submission_id,) = add()
    for _ in range(5):
        do(deployment, queue.release, claim(deployment))
    row = deployment.get(submission_id)
    assert (row.state, row.attempt, row.lost_leases) == ("new", 5, 0)


def test_put_back_by_hand_starts_to_count_anew(deployment: Deployment, add: Add) -> None:
    (submission_id,) = add()
    for _ in range(3):
        claim(deployment)
        end_lease(deployment, submission_id)
        do(deployment, queue.sweep)
    deployment.set_state(submission_id, "new")
    row = deployment.get(submission_id)
    assert (row.state, row.lost_leases, row.error_message) == ("new", 0, None)
    assert claim(deployment).attempt == 4  # attempts are never used twice


def test_many_sweepers_count_a_lost_lease_once(deployment: Deployment, add: Add) -> None:
    ids = add(20)
    for _ in ids:
        end_lease(deployment, claim(deployment).submission_id)
    with ThreadPoolExecutor(8) as threads:
        swept = list(threads.map(lambda _: do(deployment, queue.sweep), range(8)))
    assert sorted(id_ for each in swept for id_, _ in each) == ids
    assert [deployment.get(submission_id).lost_leases for submission_id in ids] == [1] * 20


@pytest.mark.parametrize("source", states.STATES)
def test_the_database_refuses_every_illegal_step(
    deployment: Deployment, add: Add, source: str
) -> None:
    (submission_id,) = add()
    way = walk(source)
    for state in way:
        force(deployment.engine, submission_id, state)
    for target in states.STATES:
        legal = target == source or target in states.TRANSITIONS[source]
        with Session(deployment.engine) as session:  # rolled back
            if legal:
                set_state(session, submission_id, target)
            else:
                with pytest.raises(DBAPIError, match="illegal change of state"):
                    set_state(session, submission_id, target)


def test_the_database_refuses_half_a_lease_or_failure(deployment: Deployment, add: Add) -> None:
    (submission_id,) = add()
    for assignment in (
        "state = 'training'",
        "state = 'training', worker = 'w'",
        "worker = 'w', lease_end = CURRENT_TIMESTAMP",
        "error_kind = 'crash'",
        "state = 'unknown'",
    ):
        with pytest.raises(DBAPIError), deployment.engine.begin() as connection:
            statement = f"UPDATE submission SET {assignment} WHERE id = {submission_id}"
            connection.execute(text(statement))
    assert deployment.get(submission_id).state == "new"


@pytest.mark.parametrize("source", states.STATES)
def test_a_path_is_a_legal_walk_through_leased_states(source: str) -> None:
    for target in states.STATES:
        way = states.path(source, target)
        for here, there in itertools.pairwise((source, *way)):
            assert there in states.TRANSITIONS[here]
        assert all(state in states.LEASED for state in way[:-1])
        assert not way or way[-1] == target
        assert len(set(way)) == len(way)
        if target in states.TRANSITIONS[source]:
            assert way == (target,)
        if source in states.LEASED and target in (states.SCORED, states.CHECKING_ERROR):
            assert way


def snapshot(deployment: Deployment, submission_id: int) -> dict[str, object]:
    row = deployment.get(submission_id)
    return {column.name: getattr(row, column.name) for column in Submission.__table__.columns}


def replace_scores(**changes: object) -> Scores:
    return replace(SCORES, **changes)


def walk(target: str) -> Iterator[str]:
    """A legal way from `new` to a state, with every step."""
    ways = [("new",)]
    for way in ways:
        if way[-1] == target:
            return iter(way[1:])
        ways += [(*way, step) for step in states.TRANSITIONS[way[-1]] if step not in way]
    raise AssertionError(f"{target} cannot be reached")


def force(engine: Engine, submission_id: int, state: str) -> None:
    with Session(engine) as session, session.begin():
        set_state(session, submission_id, state)


def set_state(session: Session, submission_id: int, state: str) -> None:
    """What an UPDATE by hand would do, with all that the state asks for."""
    is_leased = state in states.LEASED
    session.execute(
        update(Submission)
        .where(Submission.id == submission_id)
        .values(
            state=state,
            worker="w" if is_leased else None,
            lease_end=func.now() if is_leased else None,
            error_kind="crash" if state in states.FAILED else None,
        )
        .execution_options(synchronize_session=False)
    )


def test_put_back_takes_the_scores_away(deployment: Deployment, lease: Lease) -> None:
    do(deployment, queue.finish, lease, states.TRAINING, SCORES)
    with database.session_scope(deployment.engine) as session:
        assert submissions.put_back(session, Submission.id == lease.submission_id) == 1
    assert deployment.stored(lease.submission_id) == NOTHING
    assert deployment.get(lease.submission_id).state == "new"


def test_a_worker_imports_nothing_heavy() -> None:
    code = "import sys, databoard.training.worker; print([m for m in ('pandas', 'sklearn', "
    code += "'rampwf', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
