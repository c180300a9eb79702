"""Each sentence for a mistake in an inventory; and no bytes break it, or make it tell a secret."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from databoard.errors import DataboardError, InvalidValue
from databoard.fleet import inventory
from databoard.fleet.inventory import STEPS
from tests.fleet.inventories import HOST, TWO, Load

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
def told(load: Load, tmp_path: Path) -> Callable[[str | bytes], tuple[str, str]]:
    """The sentence without the folder, and the hint."""

    def error_of(text: str | bytes) -> tuple[str, str]:
        with pytest.raises(InvalidValue) as caught:
            load(text)
        assert "\n" not in caught.value.message
        return caught.value.message.replace(f"{tmp_path}/", ""), caught.value.hint

    return error_of


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
