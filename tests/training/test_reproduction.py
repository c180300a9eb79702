"""Run records, and running again: the same scores to the last digit, or what is not the same."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from databoard import database, submissions
from databoard.apart import PYTHON
from databoard.config import ROOT
from databoard.model.submission import FoldScore, RunRecord, Submission, SubmissionScore
from databoard.training.record import digest_of, of_kit, parts_of
from tests.training.deployment import TEAM, Deployment, model, write_plain_kit
from tests.typist import Inv

N_SCORES = 18  # of the plain kit: 8 over all, 5 of each of two folds
SAME = f"All {N_SCORES} scores of {{}}/{TEAM}/one are the same again, to the last digit"
NO_SEED = "No part of its run record does. Does it use random numbers that are not seeded?\n"
DRAW = "return np.frombuffer(os.urandom(8 * len(X)), dtype=np.uint64).astype(float)"


@dataclass
class Event:
    """An event of the plain kit, and the command line."""

    deployment: Deployment
    inv: Inv
    name: str

    @property
    def kit(self) -> Path:
        return self.deployment.settings.kits_path / self.name

    @property
    def same(self) -> str:
        return SAME.format(self.name)

    def train(self, files: str = "") -> int:
        """A submission `one`, which is scored."""
        ended = self.deployment.outcome(self.name, "one", files or model())
        assert (ended.state, ended.error_message) == ("scored", None)
        return ended.id

    def again(self, *options: str, code: int = 0, **environment: str) -> str:
        """What the command says."""
        environment |= self.deployment.environment
        said = self.inv("reproduce", self.name, TEAM, "one", *options, **environment)
        assert said.code == code, said
        return said.stdout + said.stderr

    def record(self, id_: int) -> dict[str, Any] | None:
        with database.reading(self.deployment.engine) as session:
            return submissions.record_of(session, session.get_one(Submission, id_))

    def everything(self, id_: int) -> object:
        """All that is stored of a submission."""
        with database.reading(self.deployment.engine) as session:
            rows = [
                session.execute(select(*table.__table__.columns).where(which)).all()
                for table, which in (
                    (Submission, Submission.id == id_),
                    (SubmissionScore, SubmissionScore.submission_id == id_),
                    (FoldScore, FoldScore.submission_id == id_),
                    (RunRecord, RunRecord.submission_id == id_),
                )
            ]
        folder = self.deployment.folder_of(id_)
        files = [(path, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))]
        return [list(map(tuple, table)) for table in rows], files


@pytest.fixture
def event(
    shared: Deployment, typist: Inv, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Event]:
    """An event for one test."""
    name = re.sub(r"\W", "_", request.node.originalname.removeprefix("test_"))[:40]
    names = shared.settings.kits_path.glob(f"{name}*")
    name = f"{name}_{len(list(names))}"
    shared.add_event(shared.add_problem(write_plain_kit(tmp_path / "plain"), name))
    yield Event(shared, typist, name)


# -- running again


def test_what_is_seeded_is_the_same_again(event: Event) -> None:
    """The seeds are effective in the box: they are those that are recorded."""
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", "print(hash('databoard'))"]
    hashed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    id_ = event.train(
        model(
            top=f"import random\nassert hash('databoard') == {hashed.stdout}",
            fit=f"""
            assert random.random() == {random.Random(0).random()!r}
            assert np.random.rand() == {np.random.RandomState(0).rand()!r}
            assert os.environ["OMP_NUM_THREADS"] == "1"
            """,
            predict="return np.random.rand(len(X)) + random.random() + len(repr({'a', 'b'}))",
        )
    )
    record, before = event.record(id_), event.everything(id_)
    assert record is not None
    assert [record[part] for part in ("hash seed", "seed", "threads")] == ["0", "0", "1"]
    assert event.again() == f"{event.same}.\n"
    told = json.loads(event.again("--json"))
    assert told == {"submission": f"{event.name}/{TEAM}/one", "scores": [], "record": []}
    assert event.everything(id_) == before


def test_what_is_not_seeded_differs(event: Event) -> None:
    """On the test rows alone."""
    id_ = event.train(model(predict=f"if len(X) == 20:\n    {DRAW}"))
    before = event.everything(id_)
    table, _, end = event.again(code=1).partition(f"7 of {N_SCORES} scores of ")
    assert end == f"{event.name}/{TEAM}/one differ.\n{NO_SEED}"
    rows = [re.split(r" {2,}", line.strip()) for line in table.splitlines() if "rmse" in line]
    found = [row[:3] for row in rows]
    assert found == [
        ["rmse", "-", "test_bag"],
        ["rmse", "-", "test_mean"],
        ["rmse", "-", "test_std"],
        *(["rmse", fold, what] for fold in "01" for what in ("test", "test_bag")),
    ]
    told = json.loads(event.again("--json", code=1))
    assert told["record"] == []
    assert [[row["score"], row["fold"] or 0, row["what"]] for row in told["scores"]] == [
        [score, int(fold.replace("-", "0")), what] for score, fold, what in found
    ]
    assert [str(row["stored"]) for row in told["scores"]] == [row[3] for row in rows]
    for row in told["scores"]:
        assert row["now"] - row["stored"] == row["difference"] != 0
    assert event.everything(id_) == before


def test_other_data(event: Event) -> None:
    event.train()
    (event.kit / "data" / "notes.txt").write_text("no row of it")
    assert event.again() == f"{event.same}, though its run record differs in: data.\n"
    path = event.kit / "data" / "test.csv"
    path.write_text(path.read_text().replace("7318", "7319"))
    said = event.again(code=1)
    assert said.endswith("/one differ.\nIts run record differs in: data.\n") and "test_bag" in said


def test_another_kit(event: Event) -> None:
    event.train()
    problem = event.kit / "problem.py"
    lines = problem.read_text()
    problem.write_text(f"{lines}\n# one line more\n")
    assert event.again() == f"{event.same}, though its run record differs in: kit.\n"
    problem.write_text(f"{lines}\nscore_types.append(rw.score_types.RMSE(name='more'))\n")
    assert event.again(code=1) == (
        f"The kit {event.name} has other scores than the event {event.name}.\nTo take them over, "
        f"and train all again: inv add-event {event.name} {event.name} --force\n"
    )
    problem.write_text(f"{lines}\nPlain.test_submission = lambda *_: 1 / 0\n")
    assert event.again(code=1) == (
        f"{event.name}/{TEAM}/one is scored, but run again it ends as validating_error: "
        "ZeroDivisionError: division by zero\nIts scores are as they were.\n"
    )
    problem.unlink()
    assert event.again(code=1) == f"There is no kit in {event.kit}: it has no problem.py.\n"


def test_another_number_of_threads(event: Event) -> None:
    event.train()
    said = event.again(OMP_NUM_THREADS="2")
    assert said == f"{event.same}, though its run record differs in: threads (1, now 2).\n"


# -- what cannot be run again


def test_files_that_are_not_what_was_submitted(event: Event) -> None:
    files = event.deployment.folder_of(event.train()) / "files"
    with (files / "estimator.py").open("a") as file:
        file.write("# one line more\n")
    assert event.again(code=1) == f"The files in {files} are not as they were submitted.\n"
    shutil.rmtree(files)
    assert event.again(code=1) == f"The submitted files are not in {files}.\n"


def test_what_is_not_scored(event: Event) -> None:
    hint = f"See: inv print-submissions {event.name}\n"
    id_ = event.deployment.submit(event.name, "one", model("1 / 0"))
    for state, go_on in (
        ("new", lambda: event.deployment.train(event.name)),
        ("training_error", lambda: event.deployment.set_state(id_, "deleted")),
        ("deleted", lambda: None),
    ):
        said = event.again(code=1)
        assert said == f"The submission one of {TEAM} is {state}, not scored.\n{hint}"
        go_on()


@pytest.mark.parametrize("change", ["none", "of another attempt"])
def test_what_was_scored_by_older_code(event: Event, change: str) -> None:
    id_ = event.train()
    own = RunRecord.submission_id == id_
    with database.session_scope(event.deployment.engine) as session:
        older = update(RunRecord).where(own).values(attempt=RunRecord.attempt - 1)
        session.execute(delete(RunRecord).where(own) if change == "none" else older)
    assert event.again(code=1) == (
        f"The submission one of {TEAM} was scored before run records were kept.\nTrain it again, "
        f"which replaces its scores: inv set-state {event.name} {TEAM} one new\n"
    )


# -- the record


def test_to_train_again_replaces_the_record(event: Event) -> None:
    id_ = event.train()
    first = event.record(id_)
    event.deployment.set_state(id_, "new")
    assert event.record(id_) is None
    (event.kit / "data" / "notes.txt").write_text("no row of it")
    event.deployment.train(event.name)
    second = event.record(id_)
    assert first is not None and second is not None
    differing = [part for part in first if first[part] != second[part]]
    assert differing == ["data"]
    with database.reading(event.deployment.engine) as session:
        attempts = select(RunRecord.attempt).where(RunRecord.submission_id == id_)
        assert session.scalars(attempts).all() == [2]
        assert event.deployment.get(id_).attempt == 2


def test_the_record_says_what_it_was_run_with(
    event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither a secret nor a path of the machine."""
    monkeypatch.setenv("DATABOARD_SMTP_URL", "smtp://mailer:very-secret@example.org")
    id_ = event.train()
    record = event.record(id_)
    assert record is not None
    parts = parts_of(record)
    lock = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    assert parts["environment"] == lock
    assert parts["files"] == event.deployment.get(id_).files_digest
    assert parts["data"] == digest_of(event.kit / "data")
    assert parts["libraries numpy"] == np.__version__
    assert parts["machine architecture"] == os.uname().machine
    assert parts["machine cores"] == str(os.cpu_count())
    assert not [part for part, value in parts.items() if not value]
    text = json.dumps(record)
    assert "secret" not in text and not re.search(r'[" ]/\w', text), text
    assert socket.gethostname() not in parts.values()


def test_the_lock_of_an_environment_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "requirements").write_text("pandas==1.5.3")
    python = tmp_path / "venv" / "bin" / "python"
    lock = hashlib.sha256(b"pandas==1.5.3").hexdigest()
    assert of_kit(tmp_path, python)["environment"] == lock
    assert of_kit(tmp_path, PYTHON)["environment"] not in (None, lock)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.mkdir()
    assert digest_of(folder) is None and digest_of(tmp_path / "nowhere") is None
    (elsewhere / "b").write_text("b")

    def write(text: str, name: str = "a") -> Callable[[], object]:
        return lambda: (folder / name).write_text(text)

    steps = [
        write("a"),
        write("other"),
        lambda: (folder / "a").rename(folder / "c"),
        lambda: (folder / "linked").symlink_to(elsewhere),
        lambda: (elsewhere / "b").write_text("other"),
        write("", "é\n"),
    ]
    seen = set()
    for number, step in enumerate(steps, start=1):
        step()
        seen.add(digest_of(folder))
        assert len(seen) == number
    (folder / "__pycache__").mkdir()
    write("x", "__pycache__/a.pyc")()
    os.mkfifo(folder / "pipe")
    assert digest_of(folder) in seen
