"""The sandbox: what is typed is kept, refused with a sentence, or submitted."""

from __future__ import annotations

import io
from html import unescape

import pytest

from databoard import database
from databoard.model.audit import Interaction
from databoard.model.sandbox import SandboxFile
from databoard.model.submission import Submission
from databoard.submissions import files_of
from tests.web.board import Site

PAGE = "/events/autumn/sandbox"
HOSTILE = "print('</textarea><script>alert(1)</script>')\n"


def test_it_begins_with_the_starting_kit(site: Site) -> None:
    assert "print(&#39;hello&#39;)" in site.browser("saffron").get(PAGE)


def test_what_is_saved_is_the_teams_alone(site: Site) -> None:
    form = {"action": "save", "text-estimator": f"\r\n{HOSTILE}", "file-estimator": "estimator.py"}
    browser = site.browser("saffron")
    assert browser.post(PAGE, PAGE, **form).location == PAGE
    page = browser.get(PAGE)
    assert "Saved." in page and HOSTILE not in page and HOSTILE in unescape(page)
    assert "alert" not in site.browser("juniper").get(PAGE)
    with database.reading(site.engine) as session:
        (file,) = session.query(SandboxFile).all()
    assert file.content == f"\n{HOSTILE}".encode()  # as a browser sends lines, and as they are kept


def test_submitting(site: Site) -> None:
    browser = site.browser("saffron")
    form = {"action": "submit", "submission": "first", "text-estimator": "print('mine')\r\n"}
    assert browser.post(PAGE, PAGE, **form).location == "/events/autumn/mine"
    page = browser.get("/events/autumn/mine")
    assert "first is submitted, and waits to be trained." in page and ">first</a>" in page
    with database.reading(site.engine) as session:
        submission = session.query(Submission).one()
        assert (submission.state, submission.team.name) == ("new", "saffron")
        file = files_of(site.settings, submission) / "estimator.py"
        kinds = session.query(Interaction.kind, Interaction.subject).all()
    assert file.read_bytes() == b"print('mine')\n"
    assert ("submitted", "saffron/first") in [tuple(row) for row in kinds]


def test_uploading(site: Site) -> None:
    browser = site.browser("saffron")
    upload = (io.BytesIO(b"print('uploaded')\n"), "../../etc/whatever.py")
    form = {"action": "save", "text-estimator": "typed", "upload-estimator": upload}
    assert browser.post(PAGE, PAGE, **form).status_code == 302
    assert "print(&#39;uploaded&#39;)" in browser.get(PAGE)
    assert browser.post(PAGE, PAGE, action="reset").status_code == 302
    assert "print(&#39;hello&#39;)" in browser.get(PAGE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "&#39;&#39; cannot be the name of a submission."),
        ("../../etc", "&#39;../../etc&#39; cannot be the name of a submission."),
        ("a" * 81, "The submission name is 81 characters long"),
        (
            "taken",
            "The team saffron already has a submission taken in autumn. Choose another name.",
        ),
    ],
)
def test_what_is_refused_is_not_lost(site: Site, name: str, said: str) -> None:
    site.add_scored("saffron", "taken")
    form = {"action": "submit", "submission": name, "text-estimator": "print('work of a day')\n"}
    response = site.browser("saffron").post(PAGE, PAGE, **form)
    page = response.get_data(as_text=True)
    assert response.status_code == 400 and said in page
    assert "work of a day" in page
    with database.reading(site.engine) as session:
        assert session.query(Submission).count() == 1
        assert session.query(SandboxFile).count() == 0


def test_too_large_and_too_soon(site: Site) -> None:
    browser = site.browser("saffron")
    upload = (io.BytesIO(b"x" * (10 * 1024**2 + 1)), "estimator.py")
    response = browser.post(PAGE, PAGE, **{"action": "save", "upload-estimator": upload})
    assert response.status_code == 400
    assert "&#39;estimator.py&#39; is larger than 10 MB." in response.get_data(as_text=True)
    site.set(min_seconds=900)
    form = {"action": "submit", "text-estimator": "print('x')\n"}
    assert browser.post(PAGE, PAGE, submission="one", **form).status_code == 302
    response = browser.post(PAGE, PAGE, submission="two", **form)
    said = "Between two submissions there are 900 seconds."
    assert response.status_code == 400 and said in response.get_data(as_text=True)


def test_opening_and_closing(site: Site) -> None:
    browser = site.browser("saffron")
    form = {"action": "submit", "submission": "one", "text-estimator": "print('x')\n"}
    for times, said in (
        ({"opening_at": "2200-01-01"}, "The event autumn opens at 2200-01-01 00:00:00 UTC."),
        (
            {"opening_at": "none", "closing_at": "2020-01-01"},
            "The event autumn closed at 2020-01-01 00:00:00 UTC.",
        ),
    ):
        site.set(**times)
        response = browser.post(PAGE, PAGE, **form)
        assert response.status_code == 400 and said in response.get_data(as_text=True)


def test_who_has_none(site: Site) -> None:
    assert site.browser().open(PAGE).location == f"/login?next={PAGE}"
    assert site.browser("lovage").open(PAGE).location == "/events/autumn"
    assert site.browser("lovage").post(PAGE, action="save").status_code == 404
    site.browser("lovage").get("/events/winter/sandbox", 404)
    with database.reading(site.engine) as session:
        assert session.query(SandboxFile).count() == 0
