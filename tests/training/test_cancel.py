"""Ending what is being trained, taking it back, and scoring it again without training."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from databoard import database, events, removal, submissions
from databoard.errors import DataboardError, LeaseLost
from databoard.model.submission import FoldScore, Submission, SubmissionScore
from databoard.training import queue
from databoard.training.rescoring import score_again
from tests.training.deployment import Deployment, is_there, model, until, write_plain_kit
from tests.training.test_queue import SCORES, add, claim, lease  # noqa: F401 - fixtures
from tests.training.test_worker import name, ready, slow, told, working  # noqa: F401 - fixtures

FAILURE = {
    "training": "training_error",
    "trained": "validating_error",
    "validated": "testing_error",
    "tested": "scoring_error",
}
MANY_SCORES = """
class Half(rw.score_types.RMSE):
    def __call__(self, y_true, y_pred):
        return super().__call__(y_true, y_pred) / 2

score_types = [rw.score_types.RMSE(name="rmse", precision=0), Half(name="half", precision=0)]
"""


@pytest.mark.parametrize("state", FAILURE)
def test_a_leased_submission_ends_as_failed_from_each_state(
    deployment: Deployment,
    lease: queue.Lease,  # noqa: F811
    state: str,
) -> None:
    with database.session_scope(deployment.engine) as session:
        queue.renew(session, lease, 60, target=state)
        which = Submission.id == lease.submission_id
        assert (submissions.cancel(session, which), submissions.cancel(session, which)) == (1, 0)
    row = deployment.get(lease.submission_id)
    assert (row.state, row.error_kind, row.worker) == (FAILURE[state], "cancelled", None)
    assert row.error_message == "Cancelled by a person." and row.ended_at is not None
    with database.session_scope(deployment.engine) as session:
        with pytest.raises(LeaseLost, match="It was cancelled"):
            queue.check(session, lease)
        with pytest.raises(LeaseLost):
            queue.finish(session, lease, state, SCORES)
    assert deployment.stored(lease.submission_id)["submission_score"] == 0


def test_a_lease_that_is_held_is_not_lost(
    deployment: Deployment,
    lease: queue.Lease,  # noqa: F811
) -> None:
    with database.reading(deployment.engine) as session:
        queue.check(session, lease)
    with database.session_scope(deployment.engine) as session:
        queue.release(session, lease)
    again = claim(deployment)
    with database.reading(deployment.engine) as session:
        queue.check(session, again)
        with pytest.raises(LeaseLost, match="is lost"):
            queue.check(session, lease)


def test_what_waits_is_withdrawn_and_what_runs_too(
    deployment: Deployment,
    add: Callable[..., list[int]],  # noqa: F811
) -> None:
    ids = add(2)
    claim(deployment)
    for id_ in ids:
        with database.session_scope(deployment.engine) as session:
            submissions.withdraw(session, session.get_one(Submission, id_))
        assert deployment.get(id_).state == "deleted"
    with (
        pytest.raises(DataboardError) as caught,
        database.session_scope(deployment.engine) as session,
    ):
        submissions.withdraw(session, session.get_one(Submission, ids[0]))
    assert str(caught.value) == "The submission s0 is withdrawn already.\nThere is nothing to do."


def test_scores_keep_their_names_whatever_ranks(
    deployment: Deployment,
    add: Callable[..., list[int]],  # noqa: F811
) -> None:
    """A worker gives scores in the order of the kit; the official one may be another."""
    before, after = add(2)
    overall = [{"valid_bag": 0.25, "valid_mean": 0.25}, {"valid_bag": 0.75, "valid_mean": 0.75}]
    scores = queue.Scores(SCORES.folds, overall)  # type: ignore[arg-type]
    for id_, official in ((before, "auc"), (after, "nll")):
        with database.session_scope(deployment.engine) as session:
            events.update_event(session, "clouds", official_score=official)
        with database.session_scope(deployment.engine) as session:
            held = queue.claim(session, "w", 60)
            assert held is not None and held.submission_id == id_
            queue.finish(session, held, "training", scores)
    with database.reading(deployment.engine) as session:
        rows = session.execute(
            select(SubmissionScore.valid_bag, SubmissionScore.event_score_type_id)
        ).all()
    assert len(rows) == 4 and len(set(rows)) == 2


# -- with a worker


@pytest.mark.slow
def test_cancelling_ends_the_processes(
    ready: Deployment,  # noqa: F811
    name: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The lease of a minute is not waited for: the worker looks twice a second."""
    submission_id = ready.submit("plain", name, slow(tmp_path, seconds=600))
    with working(ready) as (news, join):
        until(lambda: len(told(tmp_path)) == 2)
        with database.session_scope(ready.engine) as session:
            assert submissions.cancel(session, Submission.id == submission_id) == 1
        until(lambda: not any(map(is_there, told(tmp_path))), 10)
        join()
    assert [(each.what, each.message) for each in news] == [
        ("claimed", ""),
        ("lost", "It was cancelled."),
    ]
    assert ready.get(submission_id).state == "training_error"
    assert not list(ready.folder_of(submission_id).glob("predictions/*"))


@pytest.mark.slow
def test_what_is_deleted_while_it_ends_leaves_no_folder(
    ready: Deployment,  # noqa: F811
    name: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    submission_id = ready.submit("plain", name, slow(tmp_path, seconds=600))
    with working(ready) as (_, join):
        until(lambda: len(told(tmp_path)) == 2)
        with database.session_scope(ready.engine) as session:
            submissions.cancel(session, Submission.id == submission_id)
        with database.session_scope(ready.engine) as session:
            found = removal.of_submission(session, ready.settings, "plain", "ada", name)
            removal.carry_out(session, found)
        join()
    assert not ready.folder_of(submission_id).exists()


@pytest.mark.slow
def test_scoring_again_is_as_training_again(deployment: Deployment, tmp_path: Path) -> None:
    """The kit's score is mended: all but the training scores follow, nothing is trained."""
    kit = write_plain_kit(tmp_path / "mended", MANY_SCORES)
    deployment.add_event(deployment.add_problem(kit))
    note = tmp_path / "trained"
    code = model(fit=f"open({str(note)!r}, 'a').write('x')", predict="return np.arange(len(X)) / 7")
    submission_id = deployment.submit("mended", "first", code)
    deployment.train(is_boxed=False)
    before = stored(deployment)
    assert note.read_text() == "xx"

    def again() -> int:
        which = Submission.id == submission_id
        return asyncio.run(score_again(deployment.engine, deployment.settings, which))

    assert again() == 1 and stored(deployment) == before
    problem = deployment.settings.kits_path / "mended" / "problem.py"
    problem.write_text(problem.read_text().replace("/ 2", "/ 4"))
    with database.session_scope(deployment.engine) as session:
        events.update_event(session, "mended", official_score="half")
    assert again() == 1 and note.read_text() == "xx"
    mended, changed = stored(deployment), 0
    for key, value in before.items():
        score, column = key[0], key[-1]
        is_new = score == "half" and not column.startswith("train") and value is not None
        factor = 0.5 if is_new else 1.0
        changed += is_new
        assert mended[key] == (None if value is None else pytest.approx(factor * value)), key
    assert changed > 10
    for fold in deployment.folder_of(submission_id).glob("predictions/1/fold_1_valid.npy"):
        fold.unlink()
    with pytest.raises(DataboardError) as caught:
        again()
    assert str(caught.value).startswith(
        "mended/ada/first: The stored validation predictions cannot be read: No such file"
    )
    assert stored(deployment) == mended
    problem.write_text(problem.read_text() + "\nget_cv = lambda X, y: [(np.arange(9), [10])]\n")
    with pytest.raises(DataboardError, match=r"^The folds of the kit have changed"):
        again()


def stored(deployment: Deployment) -> dict[tuple[object, ...], float | None]:
    """Every number of all scores, by score type, fold and column."""
    numbers: dict[tuple[object, ...], float | None] = {}
    with database.reading(deployment.engine) as session:
        first = session.scalar(select(func.min(FoldScore.event_score_type_id)))
        for table in (SubmissionScore, FoldScore):
            columns = {column.name for column in table.__table__.columns}
            for row in session.scalars(select(table)):
                score = "rmse" if row.event_score_type_id == first else "half"
                fold = getattr(row, "fold", None)
                for column in columns - {"submission_id", "event_score_type_id", "fold"}:
                    numbers[score, fold, table.__tablename__, column] = getattr(row, column)
    return numbers
