"""A worker tells a team how the training of its submission ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from databoard import database, people
from tests.test_mail import Postbox, postbox, running, variables  # noqa: F401 - a fixture
from tests.training.deployment import Deployment, model, write_plain_kit


@pytest.mark.parametrize(
    ("code", "said", "to"),
    [
        (model(), "first is scored", "ada"),
        (model("raise ValueError('no')"), "first is training error", "ada"),
        (None, "first is checking error", "root"),
    ],
)
def test_a_worker_tells_the_team_how_it_ended(
    deployment: Deployment,
    postbox: Postbox,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: str | None,
    said: str,
    to: str,
) -> None:
    kit = write_plain_kit(tmp_path / "plain")
    deployment.add_event(deployment.add_problem(kit), "plain")
    with database.session_scope(deployment.engine) as session:
        people.create_user(session, "root", "root@example.org", access_level="admin")
    id_ = deployment.submit("plain", "first", code or model())
    if code is None:
        (deployment.folder_of(id_) / "files" / "estimator.py").write_text("other\n")
    with running(postbox) as port:
        for name, value in variables(port).items():
            monkeypatch.setenv(name, value)
        deployment.train()
    (mail,) = postbox.mails
    assert mail["Subject"] == said and postbox.addresses[0].startswith(to)


def test_no_mail_server_and_one_that_is_away(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kit = write_plain_kit(tmp_path / "plain")
    deployment.add_event(deployment.add_problem(kit), "plain")
    ids = [deployment.submit("plain", "one", model())]
    deployment.train()
    for name, value in variables(1).items():
        monkeypatch.setenv(name, value)
    ids.append(deployment.submit("plain", "two", model()))
    deployment.train()
    assert [deployment.get(each).state for each in ids] == ["scored", "scored"]
