"""Secrets of inventories: where they may stand, and that they are never told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from databoard.errors import InvalidValue
from databoard.fleet import inventory
from databoard.fleet.inventory import Database, Secret
from tests.fleet.inventories import TWO, Load


def test_a_secret_shows_its_name_only(monkeypatch: pytest.MonkeyPatch, load: Load) -> None:
    monkeypatch.setenv("PASSWORD", "p@ss/w:rd é\n")
    target = load(TWO)
    assert target.database is not None
    assert str(target.database.password) == repr(target.database.password) == "!env PASSWORD"
    assert "ss/w" not in repr(target)
    assert target.database.password.read() == "p@ss/w:rd é"
    assert target.database.url() == (
        "postgresql://board:p%40ss%2Fw%3Ard%20%C3%A9@127.0.0.1:5432/board"
    )


def test_a_url_of_any_name_means_the_same() -> None:
    from sqlalchemy import make_url

    os.environ["ANY"] = "%40:/?#[]@!$&'()*+,;= "
    try:
        secret = Secret("env", "ANY", "here")
        url = make_url(Database("board", "a@b", secret, "2001:db8::1").url())
    finally:
        del os.environ["ANY"]
    assert (url.username, url.password) == ("a@b", "%40:/?#[]@!$&'()*+,;= ")
    assert (url.host, url.port, url.database) == ("2001:db8::1", 5432, "board")


def test_a_variable_that_is_missing_or_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("env", "PASSWORD", "board.yml, line 3")
    monkeypatch.delenv("PASSWORD", raising=False)
    with pytest.raises(InvalidValue) as caught:
        secret.read()
    assert str(caught.value) == (
        "board.yml, line 3: the variable PASSWORD is not set.\nSet it: export PASSWORD=…"
    )
    for value, why in ((b"", "is empty"), (b"\n", "is empty"), (b"\xff", "holds no text")):
        monkeypatch.setitem(os.environb, b"PASSWORD", value)
        with pytest.raises(InvalidValue, match=f"^board.yml, line 3: the variable PASSWORD {why}"):
            secret.read()


def test_a_file_of_a_secret_is_its_owners_alone(load: Load, tmp_path: Path) -> None:
    file = tmp_path / "password"
    target = load(TWO.replace("!env PASSWORD", "!file password"))
    assert target.database is not None
    secret = target.database.password
    assert (secret.kind, secret.name, str(secret)) == ("file", str(file), f"!file {file}")

    def why() -> str:
        with pytest.raises(InvalidValue) as caught:
            secret.read()
        start = f"{tmp_path}/board.yml, line 2: the file {file} "
        assert caught.value.message.startswith(start) and "hunter2" not in str(caught.value)
        return caught.value.message.removeprefix(start)

    assert why() == "cannot be read: No such file or directory."
    file.write_text("hunter2\n\n")
    for mode in (0o644, 0o640, 0o604, 0o620, 0o601):
        file.chmod(mode)
        assert why() == "can be read by others."
    file.chmod(0o600)
    assert secret.read() == "hunter2\n"
    for content, reason in ((b"", "is empty."), (b"a\0b", "holds no text."), (b"\n", "is empty.")):
        file.write_bytes(content)
        assert why() == reason
    file.write_bytes(b"a" * (inventory.MAX_SECRET + 1))
    assert why() == "holds no text."
    file.unlink()
    os.mkfifo(file, 0o600)
    assert why() == "is no regular file."
    file.unlink()
    file.mkdir(0o700)
    assert why() in ("is no regular file.", "cannot be read: Is a directory.")


def test_a_file_of_a_secret_belongs_to_the_user_or_root() -> None:
    for owner, reason in (
        (os.geteuid(), ""),
        (0, ""),
        (os.geteuid() + 1, "belongs to another user"),
    ):
        assert inventory.forbidden(os.stat_result((0o100600, 1, 1, 1, owner, *[0] * 5))) == reason
