"""A page that takes a submission tells the admins of the event."""

from __future__ import annotations

import pytest

from databoard import database
from databoard.model.submission import Submission
from tests.test_mail import Postbox, postbox, running, variables  # noqa: F401 - a fixture
from tests.training.deployment import until
from tests.web.board import Site


def test_a_page_tells_the_admins_of_the_event(
    site: Site,
    postbox: Postbox,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = "/events/autumn/sandbox"
    form = {"action": "submit", "text-estimator": "x = 1\n"}
    with running(postbox) as port:
        for name, value in variables(port).items():
            monkeypatch.setenv(name, value)
        site.set(mails_submitted=False)
        site.browser("saffron").post(page, page, submission="quiet", **form)
        site.set(mails_submitted=True)
        site.browser("saffron").post(page, page, submission="first", **form)
        until(lambda: postbox.mails)
    (mail,) = postbox.mails
    assert postbox.addresses == ["sage@example.org"]
    assert mail["Subject"] == "saffron has submitted first"
    with database.reading(site.engine) as session:
        id_ = session.query(Submission.id).filter_by(name="first").scalar()
    assert f"http://localhost/submissions/{id_}" in mail.get_content().splitlines()
