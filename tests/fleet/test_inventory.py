"""Inventories: what is understood, each sentence for a mistake, and what is never told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from databoard.config import ROOT
from databoard.errors import DataboardError, InvalidValue, NotFound
from databoard.fleet import inventory
from databoard.fleet.inventory import ROLES, STEPS, Database, Hook, Secret, Target, Web
from tasks.completion import candidates

Load = Callable[..., Target]
HOST = "hosts: {one: {address: 192.0.2.1, user: deploy, roles: [web]}}\n"
TWO = """user: deploy
database: {name: board, user: board, password: !env PASSWORD}
hosts:
  one: {address: 192.0.2.1, roles: [web]}
  two: {address: 192.0.2.2, roles: [database, worker]}
"""
KEYS = "Keys: address, roles, port, user, key, path, variables."
TAGS = "Write !env NAME or !file PATH."
FORMS = {
    "port": "a whole number from 1 to 65535",
    "few": "a whole number from 1 to 256",
    "seconds": "a number of seconds, over 0 and at most 3600",
    "path": "an absolute path without '..', ':' and control characters",
    "user": "a user name: a-z, 0-9, '_' and '-', beginning with a letter or '_'",
    "address": "an IP address or a host name",
    "backups": "an absolute path, or user@host:/path",
    "text": "a text, neither empty nor with control characters",
    "any": "a text, a number, true or false",
}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """load(text, **environment) of an inventory `board`."""

    def load_text(text: str | bytes, **environment: str) -> Target:
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "board.yml").write_bytes(data)
        return inventory.load("board", environment, tmp_path)

    return load_text


@pytest.fixture
def told(load: Load, tmp_path: Path) -> Callable[[str | bytes], tuple[str, str]]:
    """The sentence without the folder, and the hint."""

    def error_of(text: str | bytes) -> tuple[str, str]:
        with pytest.raises(InvalidValue) as caught:
            load(text)
        assert "\n" not in caught.value.message
        return caught.value.message.replace(f"{tmp_path}/", ""), caught.value.hint

    return error_of


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


@pytest.mark.parametrize(
    ("text", "line", "sentence", "hint"),
    [
        (
            "user: deploy\nhosts:\n  one:\n    roles: [web]\n    adress: 192.0.2.1",
            5,
            "there is no key 'adress' in a host",
            f"Did you mean 'address'? {KEYS}",
        ),
        (
            "hosts:\n  one:\n    roles: [web]",
            3,
            "the key 'address' is missing in a host",
            KEYS,
        ),
        (HOST + HOST, 2, "the key 'hosts' is there twice", "The first is in line 1; remove one."),
        (
            "hosts: {one: {address: a, roles: [web]}}",
            1,
            "the key 'user' is missing in the host one",
            "Add it here, or for all hosts.",
        ),
        (
            "\nuser: deploy",
            2,
            "the key 'hosts' is missing or empty",
            "Add hosts, or 'connection: local'.",
        ),
        (
            "user: deploy\nhosts: {}",
            1,
            "the key 'hosts' is missing or empty",
            "Add hosts, or 'connection: local'.",
        ),
        (
            TWO.replace("192.0.2.2", "192.0.2.1"),
            5,
            "two has the address and port of one",
            "Give one host several roles.",
        ),
        (
            TWO.replace("[web]", "[database]"),
            5,
            "two has the role database, as one has",
            "There is one database.",
        ),
        (
            re.sub("database: {.*\n", "", TWO),
            1,
            "the key 'database' is missing",
            "Without one it is SQLite, which serves one host only.",
        ),
        (
            "connection: local\nport: 23",
            2,
            "there is no key 'port' with 'connection: local'",
            "That is this machine and who you are on it; remove the key.",
        ),
        (
            "connection: shh",
            1,
            "there is no connection 'shh'",
            "Did you mean 'ssh'? Choose from: ssh, local.",
        ),
        (
            HOST.replace("[web]", "[webb]"),
            1,
            "there is no role 'webb'",
            "Did you mean 'web'? Choose from: web, database, worker.",
        ),
        ("a/b: c", 1, "this cannot be a key", "Write 'key: value', with the space."),
        ("? [a]\n: c", 1, "this cannot be a key", "Write 'key: value', with the space."),
        (
            "hosts:\n  a..b: {}",
            2,
            "'a..b' cannot be the name of a host",
            "Use letters, digits, '_', '-' and single '.', beginning with a letter, digit or '_'.",
        ),
        (
            "variables: {A-B: c}",
            1,
            "'A-B' cannot be the name of a variable",
            "Use letters, digits and '_', not beginning with a digit.",
        ),
        (
            "database:\n  password: hunter2",
            2,
            "a password does not belong into an inventory",
            TAGS,
        ),
        ("variables:\n A: !env a b", 2, "after !env comes a name", TAGS),
        ("variables:\n A: !file", 2, "after !file comes a name", TAGS),
        ("variables:\n A: !env [a]", 2, "after !env comes a name", TAGS),
        ("variables:\n A: !vault a", 2, "there is no such tag", "Tags: !env NAME, !file PATH."),
        ("key: ~nobodyhere/key", 1, "there is no such home folder", "Write ~/… or a path."),
        (
            "database: {name: board, user: board}",
            1,
            "the key 'password' is missing in database",
            "Keys: name, user, password, host, port.",
        ),
        (
            "hooks: {before-switch: [{tsk: a}]}",
            1,
            "there is no key 'tsk' in a hook",
            "Did you mean 'task'? Keys: task.",
        ),
        ("hooks: {before-switch: [{}]}", 1, "the key 'task' is missing in a hook", "Keys: task."),
    ],
)
def test_a_mistake_is_told_with_its_line(
    told: Callable[[str], tuple[str, str]], text: str, line: int, sentence: str, hint: str
) -> None:
    assert told(text) == (f"board.yml, line {line}: {sentence}.", hint)


def test_a_step_that_does_not_exist(told: Callable[[str], tuple[str, str]]) -> None:
    message, hint = told("hooks:\n  before-swich: [a]")
    assert message == "board.yml, line 2: there is no key 'before-swich' in the hooks."
    assert hint.startswith("Did you mean 'before-switch'? Keys: before-preflight, ")
    assert all(f"after-{step}" in hint for step in STEPS)


@pytest.mark.parametrize(
    ("key", "form", "values"),
    [
        ("port", "port", ("0", "65536", "-1", "a", "'22'", "2.0", "0x10", "022", "1:30", "1" * 20)),
        ("port", "port", ("", "[]", "{}", "true", "null")),
        ("keep_releases", "a whole number from 2 to 1000", ("1", "1001")),
        ("web: {processes", "few", ("0}", "257}", "true}")),
        ("web: {threads", "few", ("0}", "many}")),
        ("web: {name", "a host name", ("-a}", "a_b}", "a b}", "1.2.3}")),
        ("connect_timeout", "seconds", ("0", "-1", "3601", ".inf", ".nan", "soon", "yes")),
        ("health_timeout", "seconds", ("0.0", "'5'")),
        ("path", "path", ("a", "~/a", "/a/../b", "/a:b", "..")),
        ("path", "text", ('"/a\\nb"', '"/\\0"', '""', '" "', '"/\\u2028"', '"\\ud800"')),
        ("user", "user", ("Root", "-a", "a b", "1a", "a.b", "é", "a$", "a" * 64)),
        ("backups", "backups", ("a", "host:/a", "a@b:c", "A@b:/c", "a@-b:/c", "/a:b", "a@b:/../c")),
        ("database: {host", "address", ("-oProxyCommand=a}", "300.1.1.1}", "a/b}", "a@b}")),
        ("database: {host", "address", ("'fe80::1%eth0'}", "a..b}", "'a;b'}", "é}")),
        (
            "database: {name",
            "a name: letters, digits, '_', '-' and '.'",
            ("-a}", "a b}", "'a/b'}", "'a?b'}"),
        ),
        ("variables: {A", "any", ("}", "null}", "2020-01-01}", "0x10}", ".inf}", "[]}", "{}}")),
        ("variables: {A", "text", ('"a\\nb"}', '""}')),
        ("hosts", "keys with values", ("a", "[]", "1", "!env A")),
        ("web", "keys with values", ("a", "null")),
        ("database", "keys with values", ("postgresql://a:b@c/d", "[]")),
        ("hooks: {before-try", "a list", ("a}", "{task: a}}", "}")),
    ],
)
def test_a_value_of_another_form(
    told: Callable[[str], tuple[str, str]], key: str, form: str, values: tuple[str, ...]
) -> None:
    name = key.rpartition("{")[2]
    for value in values:
        message, _ = told(f"# a comment\n{key}: {value}")
        expected = f"board.yml, line 2: '{name}' has to be {FORMS.get(form, form)}."
        assert message == expected, value


def test_values_of_another_kind(told: Callable[[str], tuple[str, str]]) -> None:
    """Where a text is asked for, and lists."""
    for value in ("1", "yes", "[a]", "{a: b}", "2020-01-01", "!env A", "!file A"):
        message, hint = told(f"user: {value}")
        assert message == "board.yml, line 1: 'user' has to be a text."
        assert hint == "Write it in quotes if it looks like something else."
    for value in ("[]", "[web, web]"):
        message, _ = told(HOST.replace("[web]", value))
        assert message == (
            "board.yml, line 1: 'roles' has to be one or more of web, database, worker, each once."
        )
    assert told(HOST.replace("[web]", "web")) == (
        "board.yml, line 1: 'roles' has to be a list.",
        "Write [one, two], or '- one' a line each.",
    )
    assert told("[a]")[0] == "board.yml, line 1: 'inventory' has to be keys with values."


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("", "board.yml is empty."),
        ("# nothing\n", "board.yml is empty."),
        (b"a: b\nc: \xff", "board.yml, line 2: this is not UTF-8."),
        ("a: b\n\nc: \0", "board.yml, line 3: there is a control character."),
        ("a: b\nc: \x1b[2J", "board.yml, line 2: there is a control character."),
        ("a: b\n\tc: d", "board.yml, line 2: this is not YAML: found character '\\t' that cannot"),
        ("a: b\nc: [d", "board.yml, line 2: this is not YAML: expected ',' or ']', but got '<str"),
        ("a: b\nc: d: e", "board.yml, line 2: this is not YAML: mapping values are not allowed"),
        ("a: b\nc: *hunter2", "board.yml, line 2: this is not YAML: found undefined alias."),
        (
            "a: b\nc: !hun!ter2 a",
            "board.yml, line 2: this is not YAML: found undefined tag handle.",
        ),
        ("a: b\n---\nc: d", "board.yml, line 2: this is not YAML: but found another document."),
        ('a: "\\U00110000"', "board.yml, line 1: this is not YAML: wrong escape."),
        ("a: " + "[" * 20_000, "board.yml is nested too deeply."),
        ("#" * 1_000_001, "board.yml has over 1000000 bytes."),
        ("&a {hosts: *a}", "board.yml, line 1: there is no key 'hosts' in a host."),
        ("&a [*a]", "board.yml, line 1: 'inventory' has to be keys with values."),
    ],
)
def test_a_file_that_is_no_inventory(
    told: Callable[[str | bytes], tuple[str, str]], data: str | bytes, sentence: str
) -> None:
    assert told(data)[0].startswith(sentence)


def test_a_file_that_cannot_be_read(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load(HOST)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidValue, match=r"board\.yml cannot be read: Permission denied\."):
        inventory.load("board", {}, tmp_path)


def load_hostile(data: bytes) -> str:
    """Load, or the error's text. Raises what is no DataboardError."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "board.yml").write_bytes(data)
        try:
            return repr(inventory.load("board", {}, Path(folder)))
        except DataboardError as error:
            return str(error)


PIECES = st.sampled_from(
    [
        *("hosts", "one", "address", "roles", "database", "password", "variables", "hooks", "web"),
        *("192.0.2.1", "!env A", "!file a", "!!int", "!!bool x", "!!set", "&a", "*a", "<<", "null"),
        *(
            ": ",
            ":",
            "\n",
            "\n  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "? ",
            "|",
            ">",
            "'",
            '"',
            "%",
            "@",
        ),
        *(
            "#",
            "---",
            "...",
            "%YAML 9.9\n",
            "1e9",
            "0b_",
            "0x_",
            "1_0",
            "~",
            "\\U",
            "\ufeff",
            "\x85",
        ),
    ]
)
HOSTILE = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@HOSTILE
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
@example(b"&a {? *a : b}")
@example(b"{? !env [a] : b}")
@example(b"variables: {A: !!int x, B: !!bool x, C: !!float '', D: !!binary x}")
@example(b"%YAML " + b"9" * 5000 + b".1\n---\na: b")
@example(b'"\\UFFFFFFFF"')
def test_any_bytes_load_or_are_refused(data: bytes) -> None:
    load_hostile(data)


@HOSTILE
@given(st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=30).map("".join))
def test_any_pieces_load_or_are_refused(text: str) -> None:
    load_hostile(text.encode("utf-8", "replace"))


@HOSTILE
@given(st.data())
def test_any_values_at_the_right_keys_load_or_are_refused(data: st.DataObject) -> None:
    scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
    value = st.recursive(scalar, lambda of: st.lists(of) | st.dictionaries(st.text(), of))
    tree = yaml.safe_load(TWO.replace("!env PASSWORD", "x"))
    place = tree
    while True:  # to some depth, then a value of any kind
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(value)
    load_hostile(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace"))


@HOSTILE
@given(st.one_of(PIECES, st.text(max_size=4)), st.one_of(PIECES, st.text(max_size=4)))
@example("", "")
@example("*", "")
@example("!", "")
@example("&", " x")
@example("'", "'")
@example('"\\', '"')
@example("!env ", "-x")
@example("{a:", "}")
@example("[", "")
def test_a_typed_password_is_never_told(before: str, after: str) -> None:
    word = "hunTer2sEcret"
    for text in (
        f"database:\n  password: {before}{word}{after}\n",
        f"database: {{password:{before}{word}{after}}}\n",
        f"database: postgresql://a:{before}{word}{after}@b/c\n",
        f"user: deploy\n{HOST}backups: a:{before}{word}{after}@b:/c\n",
    ):
        said = load_hostile(text.encode("utf-8", "replace"))
        named = re.search(rf"!(env|file) .*{word}", text)  # then it is a name
        assert word not in said or named, text


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


DRIVER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import tasks
from invoke import Collection
from invoke.main import program
from tasks import completion, database, inventory
tasks.command.extend_invoke()
completion.extend_completion()
program.namespace = Collection(inventory.inventory, database.db_current)
program.run(["inv", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def inv(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command line with `inventory`, and `db-current`, which has no target."""
    driver = tmp_path_factory.mktemp("driver") / "driver.py"
    driver.write_text(DRIVER)
    return [sys.executable, str(driver)]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(command, capture_output=True, text=True, env=kept | environment)


def test_the_command_prints_what_was_understood(inv: list[str]) -> None:
    done = run([*inv, "inventory", "--target=production"], DATABOARD_DB_PASSWORD="hunter2")
    assert done.returncode == 0, done.stderr
    assert "password !env DATABOARD_DB_PASSWORD (set)" in done.stdout
    assert "deploy@192.0.2.11 port 22" in done.stdout
    assert "hunter2" not in done.stdout and "from DATABOARD_PATH" not in done.stdout
    done = run(
        [*inv, "inventory", "--hosts", "web1"],
        DATABOARD_TARGET="production",
        DATABOARD_PATH="/data",
    )
    assert "(not set)" in done.stdout and "web2" not in done.stdout
    assert "/data (from DATABOARD_PATH)" in done.stdout


def test_json_has_no_secret(inv: list[str]) -> None:
    command = [*inv, "inventory", "--target=production", "--json"]
    done = run(command, DATABOARD_DB_PASSWORD="hunter2")
    found = json.loads(done.stdout)
    password = {"secret": "!env DATABOARD_DB_PASSWORD", "is_set": True}
    assert found["database"]["password"] == password
    assert [host["name"] for host in found["hosts"]] == ["web1", "web2", "db1"]
    assert found["is_path_from_environment"] is False
    assert "hunter2" not in done.stdout


def test_the_command_tells_a_mistake(inv: list[str]) -> None:
    done = run([*inv, "inventory"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("No target is named.\nAdd --target=local")
    done = run([*inv, "inventory", "--target=test", "--hosts=test2"])
    assert done.stderr == (
        "There is no host 'test2' in the inventory test.\nDid you mean 'test1'? Hosts: test1.\n"
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("inv", "inventory", "--target", ""), {"local", "production", "test"}),
        (("inv", "inventory", "--target", "pro"), {"production"}),
        (("inv", "inventory", "--target", "="), {"local", "production", "test"}),
        (("inv", "inventory", "--target", "=", "pro"), {"production"}),
        (("inv", "inventory", "--json", "--target", "=", "l"), {"local"}),
        (("inv", "inventory", "--ta"), {"--target"}),
        (("inv", "inventory", "--target", "test", ""), {"inventory", "db-current"}),
        (("inv", "inventory", "--target", "test", "db"), {"db-current"}),
        (("inv", "db-current", "--target", ""), set()),
        (("inv", "db"), {"db-current"}),
    ],
)
def test_bash_completes_targets(inv: list[str], words: tuple[str, ...], offered: set[str]) -> None:
    """With words as bash's readline makes them: '=' is one."""
    script = """
python=$1 driver=$2; shift 2
invoke() { "$python" "$driver" "$@"; }
eval "$(invoke --print-completion-script bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
last=${COMP_WORDS[COMP_CWORD]}
_complete_invoke inv "${last#=}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = run(["bash", "-c", script, "bash", *inv, *words])
    found = set(done.stdout.split())
    assert done.stderr == ""
    assert found >= offered and all(word.startswith(words[-1].lstrip("=")) for word in found)
    assert offered & {"local", "production", "test"} or "production" not in found


def test_other_shells_match_the_whole_word(inv: list[str]) -> None:
    done = run([*inv, "--complete", "--", "inv", "inventory", "--target=pro"])
    assert {"production", "--target=production"} <= set(done.stdout.split())


def test_an_open_quote_completes_nothing() -> None:
    assert candidates("inventory --target 'a", {}) == []
