"""Each known fault of the system before, and the test that shows that it cannot happen here.

- One worker that cannot be set up ends the dispatcher: `training/test_failures.py` (a kit that
  cannot be loaded), and the tests of environments.
- A crash orphans a submission, a second dispatcher resets the first one's, retries have no cap:
  `training/test_kills.py`, `training/test_queue.py`.
- Submitted code sees labels and writes scores: `training/test_border.py`.
- Every batch recomputes every leaderboard: here, and `test_leaderboard.py`.
- A log lands in the error message: here.
- Means over rounded folds, another std than ramp-test's: here, and `training/test_scores.py`.
- `/sandbox` fails with 500 for an admin who has not signed up: each page answers one
  (test_each_page_answers_an_admin_who_is_signed_up_nowhere)
- The stop button does nothing: here, and `training/test_cancel.py`.
- A fresh install does not work: `test_bootstrap.py`, from lock files.
- Commands take seconds: here, and `benchmarks/cli.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flask import url_for
from sqlalchemy import Engine, event, select, update

from databoard import config, database, people
from databoard.lookup import find
from databoard.model.people import User
from databoard.model.submission import FoldScore, Submission, SubmissionScore
from databoard.training import queue
from databoard.training.outcome import FoldOutcome, Scores
from databoard.web import create_app
from tests.test_leaderboard import add_scored, make_event
from tests.training.deployment import Deployment, is_there, model, until, write_plain_kit
from tests.training.test_worker import slow, told, working
from tests.web.board import PASSWORD, Browser

ROWS = [[0.5, 0.25, None, 0.2, None]] * 2
ONE = Scores(
    [FoldOutcome(1.0, 1.0, 1.0, 1.0, ROWS)] * 2, [{"valid_bag": 0.2, "valid_mean": 0.25}] * 2
)


@pytest.fixture
def deployment(migrated_url: str, tmp_path: Path) -> Deployment:
    """A deployment with the event `plain`."""
    deployment = Deployment.at(tmp_path / "deployment", migrated_url)
    return deployment


def test_a_result_costs_the_same_however_many_there_are(engine: Engine) -> None:
    """It was: every collected batch recomputes every leaderboard, 8 statements per submission."""
    statements: list[str] = []

    def cost(n_scored: int) -> int:
        with database.session_scope(engine) as session:
            made = make_event(session, True, f"event{n_scored}")
            ids = [
                add_scored(session, made, "saffron", f"s{number}", (1.0, 1.0), (1.0, 1.0))
                for number in range(n_scored + 1)
            ]
            for table in (SubmissionScore, FoldScore):
                session.execute(table.__table__.delete().where(table.submission_id == ids[-1]))
            session.execute(update(Submission).where(Submission.id == ids[-1]).values(state="new"))
        with database.session_scope(engine) as session:
            held = queue.claim(session, "w", 60)
            assert held is not None
            statements.clear()
            queue.finish(session, held, "training", ONE)
            return len(statements)

    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    few, many = cost(1), cost(40)
    assert few == many < 12
    assert not any("leaderboard" in name for name in Submission.metadata.tables)  # nothing cached


@pytest.mark.slow
def test_what_a_submission_prints_is_no_error_message(
    deployment: Deployment, tmp_path: Path
) -> None:
    """It was: a successful submission's whole log lands in its error message."""
    deployment.add_event(deployment.add_problem(write_plain_kit(tmp_path / "plain")))
    loud = """
    print("chatter" * 9999)
    print("complaint" * 9999, file=sys.stderr)
    os.system("echo chatter; echo complaint >&2")
    import warnings; warnings.warn("chatter")
    """
    scored = deployment.outcome("plain", "good", model(fit=loud))
    assert (scored.state, scored.error_kind, scored.error_message) == ("scored", None, None)
    failed = deployment.outcome("plain", "bad", model(fit=f"{loud}\n    raise ValueError('no')"))
    assert failed.state == "training_error" and failed.error_message is not None
    assert failed.error_message.endswith("ValueError: no")
    assert "chatterchatter" not in failed.error_message
    assert "complaintcomplaint" not in failed.error_message


@pytest.mark.slow
def test_means_are_over_unrounded_folds(deployment: Deployment, tmp_path: Path) -> None:
    """It was: means are taken over rounded folds, and std differs from ramp-test's."""
    lines = """
class Thirds(rw.score_types.RMSE):
    def __call__(self, y_true, y_pred):
        return len(y_true) / 3 + float(np.mean(y_pred))

score_types = [Thirds(name="thirds", precision=0)]
"""
    deployment.add_event(deployment.add_problem(write_plain_kit(tmp_path / "plain", lines)))
    code = model(predict="return np.full(len(X), 0.123456789 * (FOLD + 1))")
    submission_id = deployment.outcome("plain", "first", code).id
    with database.reading(deployment.engine) as session:
        overall = session.scalars(select(SubmissionScore)).one()
        of_folds = session.scalars(select(FoldScore).order_by(FoldScore.fold)).all()
    assert {row.submission_id for row in of_folds} == {submission_id}
    for side in ("train", "valid", "test"):
        folds = [getattr(row, side) for row in of_folds]
        assert len(set(folds)) == 2 and not any(float(score).is_integer() for score in folds)
        assert getattr(overall, f"{side}_mean") == np.mean(folds)
        assert getattr(overall, f"{side}_std") == np.std(folds)


@pytest.mark.slow
def test_the_stop_button_stops(deployment: Deployment, tmp_path: Path) -> None:
    """It was: the stop button does nothing."""
    deployment.add_event(deployment.add_problem(write_plain_kit(tmp_path / "plain")))
    submission_id = deployment.submit("plain", "endless", slow(tmp_path, seconds=600))
    with working(deployment) as (_, join):
        until(lambda: len(told(tmp_path)) == 2)
        done = subprocess.run(
            [sys.executable, "-m", "invoke", "cancel", "plain", "ada", "endless"],
            cwd=config.ROOT,
            env=deployment.environment,
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.stderr) == ("Cancelled 1 of plain.\n", "")
        until(lambda: not any(map(is_there, told(tmp_path))), 10)
        join()
    row = deployment.get(submission_id)
    assert (row.state, row.error_kind) == ("training_error", "cancelled")


def test_each_page_answers_an_admin_who_is_signed_up_nowhere(
    engine: Engine, settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was: `/sandbox` fails with 500. Who logs in one day, logs in here."""
    with database.session_scope(engine) as session:
        made = make_event(session, True)
        made.is_public = True
        add_scored(session, made, "saffron", "one", (1.0, 1.0), (1.0, 1.0))
        people.create_user(session, "ada", "ada@example.org", access_level="admin")
    monkeypatch.setenv("DATABOARD_SITE_URL", "http://localhost")
    app = create_app(settings, engine)
    browser = Browser(app.test_client())
    with database.session_scope(engine) as session:
        find(session, User, "ada").password_hash = people.hash_password(PASSWORD)
    assert browser.log_in("ada").status_code == 302
    arguments = {"name": "autumn", "id": 1, "kind": "public", "filename": "databoard.css"}
    pages = [
        rule
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and rule.arguments <= arguments.keys()
    ]
    assert len(pages) >= 25
    with app.test_request_context():
        paths = [
            url_for(rule.endpoint, **{of: arguments[of] for of in rule.arguments}) for rule in pages
        ]
    codes = {path: browser.open(path).status_code for path in paths}
    assert not {path: code for path, code in codes.items() if code >= 500}
    assert codes["/events/autumn/sandbox"] == 302 and codes["/events/autumn"] == 200


@pytest.mark.parametrize(
    "typed",
    [
        *(["list-events"], ["list-users", "--json"], ["leaderboard", "autumn", "--json"]),
        *(["update-event", "autumn"], ["update-event", "autumn", "--min-seconds=60"]),
        *(["keywords"], ["delete-event", "autumn"], ["export-leaderboards", "autumn", "{}"]),
    ],
    ids=" ".join,
)
def test_commands_import_nothing_that_takes_seconds(
    migrated_sqlite: Path, tmp_path: Path, typed: list[str]
) -> None:
    """It was: commands take 1.8 to 5.8 seconds each, for imports of what they do not use."""
    path = tmp_path / "databoard.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    engine = database.open_engine(f"sqlite:///{path}")
    with database.session_scope(engine) as session:
        make_event(session, True)
    engine.dispose()
    script = (
        "import sys; from invoke.main import program\n"
        "try: program.run()\n"
        "finally: print('modules', *{name.split('.')[0] for name in sys.modules})\n"
    )
    arguments = [word.format(tmp_path / "boards") for word in typed]
    done = subprocess.run(
        [sys.executable, "-c", script, "--search-root", str(config.ROOT), *arguments],
        cwd=config.ROOT,
        env={"DATABOARD_DB_URL": f"sqlite:///{path}"},
        capture_output=True,
        text=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "Traceback" not in done.stderr and "sqlalchemy" in loaded
    heavy = {
        "pandas",
        "numpy",
        "scipy",
        "sklearn",
        "rampwf",
        "flask",
        "alembic",
        "fabric",
        "jinja2",
    }
    assert not heavy & loaded
