"""Workers that are killed at random lose nothing and count nothing twice."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from databoard import database
from databoard.config import ROOT
from databoard.model.submission import Submission, SubmissionScore
from tests.training.deployment import Deployment, model, until, write_plain_kit

N_SUBMISSIONS, N_KILLS, LEASE_SECONDS, PATIENCE = 200, 24, 2.5, 240
OVER = ("scored", "checking_error")


@pytest.mark.slow
def test_kills_at_random_moments(deployment: Deployment, tmp_path: Path) -> None:
    deployment.add_event(deployment.add_problem(write_plain_kit(tmp_path / "plain")))
    for number in range(N_SUBMISSIONS):
        deployment.submit("plain", f"s{number}", model(fit="time.sleep(0.3)"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    dice, deadline, kills = random.Random(57), time.monotonic() + PATIENCE, 0
    workers = {start(deployment, scratch): moment(dice) for _ in range(2)}
    try:
        while count_waiting(deployment):
            assert time.monotonic() < deadline, count_waiting(deployment)
            for worker, end in list(workers.items()):
                assert worker.poll() is None
                if kills < N_KILLS and time.monotonic() > end:
                    kills += 1
                    worker.kill()
                    worker.wait()
                    del workers[worker]
                    workers[start(deployment, scratch)] = moment(dice)
            time.sleep(0.01)
        assert kills > N_KILLS // 2  # or it was no trial
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    until(lambda: not left_over(scratch))

    with database.reading(deployment.engine) as session:
        rows = session.scalars(select(Submission).order_by(Submission.id)).all()
        bags = session.execute(
            select(SubmissionScore.submission_id, SubmissionScore.valid_bag)
        ).all()
        total = session.scalar(select(func.sum(Submission.lost_leases))) or 0
    assert len(rows) == N_SUBMISSIONS
    states = Counter(row.state for row in rows)
    assert states.keys() <= set(OVER) and states["scored"] > N_SUBMISSIONS * 0.9
    assert 0 < total <= 4 * kills  # a worker holds few at a time
    for row in rows:
        is_scored = row.state == "scored"
        assert row.lost_leases <= 2 if is_scored else row.lost_leases == 3
        assert row.attempt == row.lost_leases + is_scored
        assert (row.worker, row.lease_end) == (None, None)
        assert (row.error_kind is None) == is_scored
        one = int(is_scored)
        stored = {"submission_score": one, "fold_run": 2 * one, "fold_score": 2 * one}
        assert deployment.stored(row.id) == stored
        kept = [path.name for path in deployment.folder_of(row.id).glob("predictions/*")]
        assert kept == [str(row.attempt)] if is_scored else True
    assert sorted(submission_id for submission_id, _ in bags) == [
        row.id for row in rows if row.state == "scored"
    ]
    assert len({bag for _, bag in bags}) == 1  # they are all the same


def moment(dice: random.Random) -> float:
    """When to kill a worker that starts now: amid its start, its work, or its pause."""
    return time.monotonic() + dice.uniform(0.5, 5)


def start(deployment: Deployment, scratch: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | deployment.environment | {"TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "tests.training.loop", str(LEASE_SECONDS)]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def count_waiting(deployment: Deployment) -> int:
    with database.reading(deployment.engine) as session:
        waiting = select(func.count()).where(Submission.state.not_in(OVER))
        return session.scalar(waiting) or 0


def left_over(scratch: Path) -> list[int]:
    """Processes that have the scratch folder as their home, or in their box: all that workers have
    started.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            about = (process / "environ").read_bytes() + (process / "mountinfo").read_bytes()
            if str(scratch).encode() in about:
                found.append(int(process.name))
    return found
