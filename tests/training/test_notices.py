"""A worker tells a team how the training of its submission ended."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from databoard import database, notices, people
from databoard.lookup import find
from databoard.model.people import Team, User
from tests.test_mail import Postbox, postbox, running, variables  # noqa: F401 - a fixture
from tests.training.deployment import TEAM, Deployment, model, write_plain_kit


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


def test_who_cannot_be_reached_does_not_keep_the_others_from_it(
    deployment: Deployment,
    postbox: Postbox,  # noqa: F811
    tmp_path: Path,
) -> None:
    kit = write_plain_kit(tmp_path / "plain")
    deployment.add_event(deployment.add_problem(kit), "plain")
    with database.session_scope(deployment.engine) as session:
        for name, address in (
            ("full", "full@example.org"),
            ("gone", "closed-9@closed.invalid"),
            ("emmy", "emmy@example.org"),
        ):
            people.create_user(session, name, address, access_level="user")
        session.flush()
        names = ("full", "gone", "emmy")
        find(session, Team, TEAM).members = [find(session, User, name) for name in names]
    id_ = deployment.submit("plain", "first", model())
    deployment.train()
    attempt = deployment.get(id_).attempt
    with running(postbox) as port:
        assert notices.trained(deployment.engine, variables(port), id_, attempt)
        assert postbox.addresses == ["emmy@example.org"]
        # what an earlier attempt would have said is not true any more
        assert notices.trained(deployment.engine, variables(port), id_, attempt - 1)
    assert len(postbox.mails) == 1


def test_a_server_that_is_away_is_left_alone_for_a_while(
    deployment: Deployment, tmp_path: Path
) -> None:
    kit = write_plain_kit(tmp_path / "plain")
    deployment.add_event(deployment.add_problem(kit), "plain")
    id_ = deployment.submit("plain", "first", model())
    deployment.train()
    n_calls = 0

    def hang_up(server: socket.socket) -> None:
        nonlocal n_calls
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            n_calls += 1
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,), daemon=True)
        thread.start()
        postman = notices.Postman(deployment.engine, variables(server.getsockname()[1]))
        for _ in range(5):
            postman.tell(id_, deployment.get(id_).attempt)
        postman.tell(99, 1)  # there is none
        postman.close()
    assert n_calls == 1
