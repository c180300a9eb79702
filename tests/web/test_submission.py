"""The page of a submission: who sees what of it, and what may be done with it."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from databoard import database, submissions
from databoard.model.submission import FoldRun, RunRecord, Submission
from tests.web.board import Site
from tests.web.test_api import Program


def files_of(site: Site, id_: int) -> Path:
    return submissions.folder_of(site.settings, id_) / "files"


def state_of(site: Site, id_: int) -> str:
    with database.reading(site.engine) as session:
        return session.get_one(Submission, id_).state


@pytest.mark.parametrize(
    ("who", "changed", "sees"),
    [
        ("saffron", {"is_competitive": True}, "code"),
        ("juniper", {"is_competitive": True}, "scores"),
        ("juniper", {"is_competitive": True, "public_opening_at": "2020-01-01"}, "code"),
        ("juniper", {"public_opening_at": "2200-01-01"}, "scores"),
        ("juniper", {}, "code"),
        ("lovage", {}, "scores"),
        ("", {}, "scores"),
        ("sorrel", {}, "scores"),
        ("sage", {"is_competitive": True}, "code"),
        ("root", {"is_competitive": True}, "code"),
        ("lovage", {"is_public": False}, "nothing"),
        ("", {"is_public": False}, "nothing"),
        ("juniper", {"frozen_at": "2020-01-01"}, "nothing"),
        ("saffron", {"frozen_at": "2020-01-01"}, "code"),
        ("sage", {"frozen_at": "2020-01-01"}, "code"),
    ],
)
def test_who_sees_what(site: Site, who: str, changed: dict[str, object], sees: str) -> None:
    id_ = site.add_scored("saffron", "first", 0.625)
    site.set(**changed)
    browser, seen = site.browser(who), 200 if sees == "code" else 404
    page = browser.get(f"/submissions/{id_}", 404 if sees == "nothing" else 200)
    assert ("0.62" in page) == (sees != "nothing")
    assert ("saffron first" in page) == (sees == "code")
    assert "0.31" not in page or who in ("sage", "root")  # the test score
    for path in ("files/estimator.py", f"diff/{id_}"):
        browser.get(f"/submissions/{id_}/{path}", seen)
    assert browser.open(f"/submissions/{id_}.zip").status_code == seen


def test_test_scores_come_when_it_has_closed(site: Site) -> None:
    id_ = site.add_scored("saffron", "first", 0.625)
    assert "0.31" not in site.browser("saffron").get(f"/submissions/{id_}")
    site.set(closing_at="2020-01-01")
    assert "0.31" in site.browser("juniper").get(f"/submissions/{id_}")


def test_an_anonymous_event_names_nobody_else(site: Site) -> None:
    id_ = site.add_scored("saffron", "first")
    site.set(is_anonymous="yes", is_competitive="yes")
    page = site.browser("juniper").get(f"/submissions/{id_}")
    assert "saffron" not in page and "first" not in page and ">team " in page
    assert "saffron: first" in site.browser("saffron").get(f"/submissions/{id_}")
    board = site.browser("juniper").get("/events/autumn/leaderboard")
    assert "saffron" not in board and "first" not in board
    assert ">saffron</a>" not in site.browser("lovage").get(
        "/events/autumn/leaderboard/competition"
    )


def test_a_failure_is_told_to_its_owner_alone(site: Site) -> None:
    id_ = site.submit("saffron", "first")
    lines = "\n".join(f"line {number} of <b>it</b>" for number in range(40))
    with database.session_scope(site.engine) as session:
        submission = session.get_one(Submission, id_)
        submission.state, submission.worker = "training", "w"
        submission.lease_end = submission.submitted_at
        session.flush()
        submission.worker = submission.lease_end = None
        submission.state, submission.error_kind = "training_error", "exception"
        submission.error_message, submission.error_fold = lines, 1
    page = site.browser("saffron").get(f"/submissions/{id_}")
    assert "exception in fold 2" in page and "line 39 of &lt;b&gt;it" in page
    assert "What is before" in page and "<b>it" not in page
    site.browser("juniper").get(f"/submissions/{id_}", 404)


def test_downloads(site: Site) -> None:
    id_ = site.add_scored("saffron", "first")
    (files_of(site, id_) / "link.py").symlink_to("/etc/passwd")
    browser = site.browser("saffron")
    response = browser.open(f"/submissions/{id_}/files/estimator.py")
    assert response.data == b"print('saffron first')\n"
    assert response.headers["Content-Disposition"] == "attachment; filename=estimator.py"
    assert response.headers["Content-Type"] == "application/octet-stream"
    for name in ("link.py", "..%2f..%2fpredictions", "%00", "nothing"):
        browser.get(f"/submissions/{id_}/files/{name}", 404)
    first, again = (browser.open(f"/submissions/{id_}.zip").data for _ in range(2))
    assert first == again
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["saffron_first/estimator.py"]


def test_comparing(site: Site) -> None:
    first, second = site.add_scored("saffron", "first"), site.add_scored("juniper", "second")
    (files_of(site, second) / "estimator.py").write_text("print('<script>')\nmore = 1\n")
    page = site.browser("juniper").get(f"/submissions/{second}/diff/{first}")
    assert "print(&#39;saffron first&#39;)" in page and "more = 1" in page
    assert "<script>" not in page.replace('<script type="module"', "")
    form = site.browser("juniper").open(f"/submissions/{second}/diff?other={first}")
    assert form.location == f"/submissions/{second}/diff/{first}"
    site.set(is_competitive=True)
    site.browser("juniper").get(f"/submissions/{second}/diff/{first}", 404)


def test_what_an_owner_does(site: Site) -> None:
    first, second = site.add_scored("juniper", "first"), site.add_scored("saffron", "second")
    browser, page = site.browser("saffron"), f"/submissions/{second}"
    form = {"action": "credit", "source": str(first), "share": "30"}
    assert browser.post(page, page, **form).location == page
    assert f'<a href="/submissions/{first}">juniper/first</a> 30 %' in browser.get(page)
    response = browser.post(page, page, **form | {"share": "101"})
    assert response.status_code == 400
    assert "The share of &#39;juniper/first&#39; is 1.01." in response.get_data(as_text=True)
    response = browser.post(page, page, action="continue")
    assert response.location == "/events/autumn/sandbox"
    assert "saffron second" in browser.get("/events/autumn/sandbox")
    assert browser.post(page, page, action="withdraw").location == "/events/autumn/mine"
    assert state_of(site, second) == "deleted"
    browser.get(page, 404)


def test_what_an_admin_does(site: Site) -> None:
    id_ = site.add_scored("saffron", "first")
    browser, page = site.browser("sage"), f"/submissions/{id_}"
    assert browser.post(page, page, action="exclude").location == page
    assert "Include in the ensemble" in browser.get(page)
    assert browser.post(page, page, action="train again").location == page
    assert state_of(site, id_) == "new"
    assert browser.post(page, page, action="delete").status_code == 302
    browser.get(page, 404)
    assert not files_of(site, id_).exists()


@pytest.mark.parametrize("who", ["", "juniper", "lovage", "sorrel"])
@pytest.mark.parametrize("action", ["withdraw", "exclude", "train again", "delete", "credit", "x"])
def test_nobody_else_does_anything(site: Site, who: str, action: str) -> None:
    id_ = site.add_scored("saffron", "first")
    response = site.browser(who).post(f"/submissions/{id_}", action=action)
    assert response.status_code == (302 if not who else 400)
    assert response.location == (None if who else "/login")
    with database.reading(site.engine) as session:
        submission = session.get_one(Submission, id_)
        assert submission.state == "scored" and submission.is_in_ensemble


def test_how_long_one_waits(site: Site) -> None:
    first, second = site.submit("saffron", "one"), site.submit("juniper", "two")
    ended = site.add_scored("saffron", "before")
    page = site.browser("saffron").get(f"/submissions/{first}")
    assert "Waits for a worker, and comes next." in page
    page = site.browser("juniper").get(f"/submissions/{second}")
    assert "1 comes before it." in page and "It should start" not in page
    with database.session_scope(site.engine) as session:
        session.get_one(Submission, ended).training_at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
        session.get_one(Submission, ended).ended_at = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
    assert "It should start at about" in site.browser("juniper").get(f"/submissions/{second}")
    site.set(is_paused=True)
    page = site.browser("saffron").get(f"/submissions/{first}")
    assert "training is paused in this event" in page
    page = site.browser("sage").get("/admin/queue")
    assert "autumn, paused" in page and "all that waits is paused" in page


def test_folds_are_listed(site: Site) -> None:
    id_ = site.add_scored("saffron", "first")
    with database.session_scope(site.engine) as session:
        costs = {"train_time": 75.0, "valid_time": 1.0, "test_time": 1.0, "max_memory": 99.6}
        session.add(FoldRun(submission_id=id_, fold=0, **costs))
    page = site.browser("saffron").get(f"/submissions/{id_}")
    assert "1 min 15 s" in page and "100 MB" in page


@pytest.mark.parametrize(
    ("who", "sees", "sees_data"),
    [
        ("saffron", True, False),
        ("juniper", True, False),
        ("lovage", False, False),
        ("", False, False),
        ("sage", True, True),
    ],
)
def test_who_sees_the_run_record(site: Site, who: str, sees: bool, sees_data: bool) -> None:
    """Who sees the code; a digest of hidden labels could be tried out, so it is the admins'."""
    id_ = site.add_scored("saffron", "first")
    assert "Run record" not in site.browser("sage").get(f"/submissions/{id_}")
    record = {"kit": "1f" * 32, "data": "2e" * 32, "libraries": {"numpy": "2.4.6", "blas": None}}
    with database.session_scope(site.engine) as session:
        session.add(RunRecord(submission_id=id_, attempt=0, record=record))
    page = site.browser(who).get(f"/submissions/{id_}")
    assert ("Libraries numpy" in page and "1f" * 32 in page) == sees
    assert ("2e" * 32 in page) == sees_data
    shown: dict[str, str | None]
    shown = {"kit": "1f" * 32, "libraries numpy": "2.4.6", "libraries blas": None}
    if sees_data:
        shown["data"] = "2e" * 32
    told = Program(site, who).get(f"/api/v1/submissions/{id_}")
    assert told.get("record") == (shown if sees else None)


def test_what_is_not_there(site: Site) -> None:
    for path in ("/submissions/1", "/submissions/99999999999999999999", "/submissions/x"):
        site.browser("root").get(path, 404)
