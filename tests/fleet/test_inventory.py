"""Inventories: what is understood of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from databoard.config import ROOT
from databoard.errors import InvalidValue, NotFound
from databoard.fleet import inventory
from databoard.fleet.inventory import ROLES, Database, Hook, Secret, Target, Web
from tests.fleet.inventories import HOST, TWO, Load


def test_shipped_inventories_load() -> None:
    assert {"local", "production", "test"} <= set(inventory.names())
    production, test, local = (inventory.load(name, {}) for name in ("production", "test", "local"))
    assert [host.name for host in production.hosts] == ["web1", "web2", "db1"]
    assert production.hosts[2].roles == ("database", "worker")
    assert [host.variables["OMP_NUM_THREADS"] for host in production.hosts] == [1, 1, 4]
    assert test.hosts[0].roles == ("web", "database", "worker")
    assert (local.connection, local.web, local.database) == ("local", Web(port=8080), None)
    for target in (production, test, local):
        assert target.file == ROOT / "inventories" / f"{target.name}.yml"


def test_what_is_left_out_has_a_default(load: Load, tmp_path: Path) -> None:
    target = load(HOST)
    (host,) = target.hosts
    assert (host.port, host.key, host.variables) == (22, None, {})
    assert host.path == PurePosixPath("/mnt/ramp_data")
    assert host.home == PurePosixPath("/mnt/ramp_data/datacamp/databoard")
    assert target == Target("board", tmp_path / "board.yml", hosts=(host,))
    assert target.known_hosts == Path.home() / ".ssh" / "known_hosts"
    assert (target.connect_timeout, target.health_timeout, target.keep_releases) == (10, 60, 5)
    assert target.web == Web("localhost", 80, 2, 8)


def test_a_local_target_is_this_machine(load: Load) -> None:
    (host,) = load("connection: local").hosts
    assert (host.name, host.address, host.roles) == ("localhost", "local", ROLES)
    assert host.path == PurePosixPath("/tmp")
    assert host.user == subprocess.check_output(["id", "-un"], text=True).strip()
    assert load("connection: local\nweb: {port: 81}").web == Web(port=81)


def test_everything_is_understood(load: Load, tmp_path: Path) -> None:
    target = load(
        """
connection: ssh
known_hosts: known
connect_timeout: 2.5
health_timeout: 30
keep_releases: 2
web: {name: board.example.org, port: 8000, processes: 3, threads: 4}
database: {name: board, user: me, password: !env WORD, host: "2001:db8::1", port: 5433}
backups: backup@192.0.2.9:/srv/backups
user: deploy
hooks:
  before-switch: ["curl http://192.0.2.1/", {task: db-current}]
  after-health: ["one\\ntwo"]
hosts:
  one: {address: one.example.org, roles: [web]}
"""
    )
    assert (target.connect_timeout, target.health_timeout, target.keep_releases) == (2.5, 30, 2)
    assert target.known_hosts == tmp_path / "known"
    assert target.web == Web("board.example.org", 8000, 3, 4)
    password = Secret("env", "WORD", f"{tmp_path}/board.yml, line 8")
    assert target.database == Database("board", "me", password, "2001:db8::1", 5433)
    assert target.backups == "backup@192.0.2.9:/srv/backups"
    assert target.hooks == {
        "before-switch": (Hook("command", "curl http://192.0.2.1/"), Hook("task", "db-current")),
        "after-health": (Hook("command", "one\ntwo"),),
    }


def test_a_host_wins_over_its_target(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/gardener")
    text = """
user: deploy
port: 2222
key: ~/key
path: /srv
variables: {A: 1, B: two}
database: {name: board, user: board, password: !env PASSWORD}
hosts:
  one: {address: 192.0.2.1, roles: [web]}
  two: {address: 192.0.2.1, roles: [worker], user: other, port: 22, key: /key, path: //srv2,
        variables: {B: 1.5, C: yes, D: !env E, F: "007"}}
"""
    one, two = load(text).hosts
    assert (one.user, one.port, one.key) == ("deploy", 2222, Path("/home/gardener/key"))
    assert (one.path, one.variables) == (PurePosixPath("/srv"), {"A": 1, "B": "two"})
    assert (two.user, two.port, two.key) == ("other", 22, Path("/key"))
    assert str(two.path) == "/srv2"
    secret = two.variables["D"]
    assert isinstance(secret, Secret) and (secret.kind, secret.name) == ("env", "E")
    assert two.variables == {"A": 1, "B": 1.5, "C": True, "D": secret, "F": "007"}
    paths = {str(host.path) for host in load(text, DATABOARD_PATH="/elsewhere").hosts}
    assert paths == {"/elsewhere"}
    assert str(load(text, DATABOARD_PATH="").hosts[0].path) == "/srv"
    for typed in ("relative", "/a/../b", "/a:b", "/a\nb"):
        with pytest.raises(InvalidValue, match=r"^DATABOARD_PATH has to be an absolute path"):
            load(text, DATABOARD_PATH=typed)


def test_anchors_and_aliases_are_fine(load: Load) -> None:
    target = load("user: deploy\nvariables: {A: &a word, B: *a}\n" + HOST)
    assert target.hosts[0].variables == {"A": "word", "B": "word"}


def test_hosts_are_chosen_by_role_and_by_name(load: Load) -> None:
    target = load(TWO)
    assert [host.name for host in target.with_role("worker")] == ["two"]
    assert [host.name for host in target.only(["two", "one"]).hosts] == ["one", "two"]
    with pytest.raises(NotFound) as caught:
        target.only(["one", "twoo"])
    assert str(caught.value) == (
        "There is no host 'twoo' in the inventory board.\nDid you mean 'two'? Hosts: one, two."
    )


def test_the_target_is_typed_or_set() -> None:
    assert inventory.chosen("typed", {"DATABOARD_TARGET": "set"}) == "typed"
    assert inventory.chosen(None, {"DATABOARD_TARGET": "set"}) == "set"
    for environment in ({}, {"DATABOARD_TARGET": ""}):
        with pytest.raises(InvalidValue) as caught:
            inventory.chosen(None, environment)
        assert str(caught.value) == (
            "No target is named.\n"
            "Add --target=local, =production or =test, or set DATABOARD_TARGET."
        )


def test_an_inventory_that_is_not_there() -> None:
    with pytest.raises(NotFound) as caught:
        inventory.load("prod", {})
    assert caught.value.message == "There is no inventory 'prod' in inventories."
    assert caught.value.hint.startswith("Did you mean 'production'? Inventories: ")
    for name in ("../production", "a/b", "", "..", "a\nb"):
        with pytest.raises(InvalidValue, match="cannot be the name of an inventory"):
            inventory.load(name, {})


def test_names_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yml", ".hidden.yml", "c.yaml", "README"):
        (tmp_path / name).touch()
    assert inventory.names(tmp_path) == ["a", "b"]
    assert inventory.names(tmp_path / "nowhere") == []


def test_names_and_completion_do_without_yaml() -> None:
    script = (
        "import sys; from databoard.fleet import inventory; inventory.names(); "
        "print(*{'yaml', 'sqlalchemy', 'rich', 'fabric'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, cwd=ROOT, text=True) == "\n"
