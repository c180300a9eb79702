"""Inventories as they are read: every mistake is told with its line.

An error shows keys and choices, never other values: they may be a password in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from databoard.errors import InvalidValue
from databoard.fleet.inventory import (
    CONTROL,
    HOSTNAME,
    PLAIN_PATH,
    ROLES,
    STEPS,
    Database,
    Hook,
    Secret,
    Value,
    is_address,
    is_plain_path,
    shown_path,
    suggest,
)
from databoard.names import check_name, printable

MAX_BYTES = 1_000_000
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,62}", re.ASCII)
_NUMBERS = {"int": r"[-+]?(0|[1-9][0-9]{0,17})", "float": r"[-+]?[0-9]{1,18}\.[0-9]{0,18}"}
_BOOLS = dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)
# What a syntax error quotes: signs are kept, the rest may be a part of a password.
_QUOTED = re.compile(r"""( ?'(?:<[a-z ]+>|[]:,?[{}-]|\\t)')| ?'[^']*'| ?(?:"[^"]*")""")
_CORE = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Entry:
    """A value in the file; `what` is the key it stands at."""

    node: Any
    file: Path
    what: str

    @property
    def where(self) -> str:
        return f"{shown_path(self.file)}, line {self.node.start_mark.line + 1}"

    def wrong(self, sentence: str, hint: str = "") -> InvalidValue:
        return InvalidValue(f"{self.where}: {sentence}.", hint)

    def has_to_be(self, form: str, hint: str = "") -> InvalidValue:
        return self.wrong(f"{printable(self.what)} has to be {form}", hint)

    @property
    def kind(self) -> str:
        """`map`, `seq`, `str`, `int` …, `!env` or `!file`."""
        tag: str = self.node.tag
        if tag in ("!env", "!file"):
            return tag
        if not tag.startswith(_CORE):  # not shown: a password may begin with '!'
            raise self.wrong("there is no such tag", "Tags: !env NAME, !file PATH.")
        nodes = {yaml.MappingNode: "map", yaml.SequenceNode: "seq"}
        return nodes.get(type(self.node), tag.removeprefix(_CORE))

    def pairs(self) -> list[tuple[Entry, Entry]]:
        """Keys and values, in order. Refuses a key that is there twice."""
        if self.kind != "map":
            raise self.has_to_be("keys with values", "Write 'key: value', a line each.")
        pairs: list[tuple[Entry, Entry]] = []
        lines: dict[str, int] = {}
        for key_node, value_node in self.node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            key = Entry(key_node, self.file, name)
            if not _KEY.fullmatch(name):
                raise key.wrong("this cannot be a key", "Write 'key: value', with the space.")
            if name in lines:
                raise key.wrong(
                    f"the key {printable(name)} is there twice",
                    f"The first is in line {lines[name]}; remove one.",
                )
            lines[name] = key_node.start_mark.line + 1
            pairs.append((key, Entry(value_node, self.file, name)))
        return pairs

    def settings(
        self, readers: Mapping[str, Reader], place: str, needed: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The value at each key, read by the key's reader. Refuses others, and a lack."""
        found = {}
        for key, entry in self.pairs():
            if key.what not in readers:
                raise key.wrong(
                    f"there is no key {printable(key.what)} in {place}",
                    suggest(key.what, tuple(readers), "Keys"),
                )
            found[key.what] = readers[key.what](entry)
        for name in needed:
            if name not in found:
                hint = f"Keys: {', '.join(readers)}."
                raise self.wrong(f"the key {printable(name)} is missing in {place}", hint)
        return found

    def items(self) -> list[Entry]:
        if self.kind != "seq":
            raise self.has_to_be("a list", "Write [one, two], or '- one' a line each.")
        return [Entry(node, self.file, self.what) for node in self.node.value]

    def text(self, may_have_lines: bool = False) -> str:
        if self.kind != "str":
            raise self.has_to_be("a text", "Write it in quotes if it looks like something else.")
        value: str = self.node.value.strip() if may_have_lines else self.node.value
        one_line = re.sub(r"[\n\t]", " ", value) if may_have_lines else value
        if not value.strip() or CONTROL.search(one_line):
            raise self.has_to_be("a text, neither empty nor with control characters")
        return value

    def number(self) -> int | float | None:
        """A number in digits; None for all else, as `0x10` or `1:30`."""
        kind = self.kind
        if kind not in _NUMBERS or not re.fullmatch(_NUMBERS[kind], self.node.value, re.ASCII):
            return None
        return int(self.node.value) if kind == "int" else float(self.node.value)

    def local_path(self, typed: str = "") -> Path:
        """A file on this machine: `~` is the home, others are relative to the inventory."""
        try:
            return self.file.absolute().parent / Path(typed or self.text()).expanduser()
        except RuntimeError:
            raise self.wrong("there is no such home folder", "Write ~/… or a path.") from None


Reader = Callable[[Entry], Any]


def matching(pattern: re.Pattern[str], form: str) -> Reader:
    def read(entry: Entry) -> str:
        value = entry.text()
        if not pattern.fullmatch(value):
            raise entry.has_to_be(form)
        return value

    return read


def whole(least: int, most: int) -> Reader:
    def read(entry: Entry) -> int:
        number = entry.number()
        if not isinstance(number, int) or not least <= number <= most:
            raise entry.has_to_be(f"a whole number from {least} to {most}")
        return number

    return read


def seconds(entry: Entry) -> float:
    number = entry.number()
    if number is None or not 0 < number <= 3600:
        raise entry.has_to_be("a number of seconds, over 0 and at most 3600")
    return float(number)


def choice(options: Sequence[str]) -> Reader:
    def read(entry: Entry) -> str:
        value = entry.text()
        if value not in options:
            hint = suggest(value, options, "Choose from")
            raise entry.wrong(f"there is no {entry.what} {printable(value[:40])}", hint)
        return value

    return read


def address(entry: Entry) -> str:
    value = entry.text()
    if not is_address(value):
        raise entry.has_to_be("an IP address or a host name")
    return value


def remote_path(entry: Entry) -> PurePosixPath:
    value = entry.text()
    if not is_plain_path(value):
        raise entry.has_to_be(PLAIN_PATH)
    return PurePosixPath("/" + value.lstrip("/"))


def backups(entry: Entry) -> str:
    value = entry.text()
    before, colon, path = value.rpartition(":")
    user, at, host = before.partition("@")
    is_far = bool(at and _USER.fullmatch(user) and is_address(host))
    if not is_plain_path(path) or (colon and not is_far):
        raise entry.has_to_be("an absolute path, or user@host:/path")
    return value


def roles(entry: Entry) -> tuple[str, ...]:
    found = [choice(ROLES)(Entry(item.node, item.file, "role")) for item in entry.items()]
    if not found or len(set(found)) < len(found):
        raise entry.has_to_be(f"one or more of {', '.join(ROLES)}, each once")
    return tuple(found)


def secret(entry: Entry) -> Secret:
    kind, name = entry.kind, entry.node.value
    if kind not in ("!env", "!file"):
        raise entry.wrong(
            "a password does not belong into an inventory", "Write !env NAME or !file PATH."
        )
    if kind == "!env" and isinstance(name, str) and _VARIABLE.fullmatch(name):
        return Secret("env", name, entry.where)
    if kind == "!file" and isinstance(name, str) and name and not CONTROL.search(name):
        return Secret("file", str(entry.local_path(name)), entry.where)
    raise entry.wrong(f"after {kind} comes a name", "Write !env NAME or !file PATH.")


def variables(entry: Entry) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in entry.pairs():
        if not _VARIABLE.fullmatch(key.what):
            raise key.wrong(
                f"{printable(key.what)} cannot be the name of a variable",
                "Use letters, digits and '_', not beginning with a digit.",
            )
        found[key.what] = variable(value)
    return found


def variable(entry: Entry) -> Value:
    kind, number = entry.kind, entry.number()
    if kind in ("!env", "!file"):
        return secret(entry)
    if kind == "bool" and entry.node.value.lower() in _BOOLS:
        return _BOOLS[entry.node.value.lower()]
    if number is None and kind != "str":
        raise entry.has_to_be("a text, a number, true or false", "Quotes make a text of it.")
    return entry.text() if number is None else number


def hook(entry: Entry) -> Hook:
    if entry.kind != "map":
        return Hook("command", entry.text(may_have_lines=True))
    return Hook("task", entry.settings({"task": Entry.text}, "a hook", ["task"])["task"])


def hooks(entry: Entry) -> dict[str, tuple[Hook, ...]]:
    def read(value: Entry) -> tuple[Hook, ...]:
        return tuple(hook(item) for item in value.items())

    steps = {f"{when}-{step}": read for step in STEPS for when in ("before", "after")}
    return entry.settings(steps, "the hooks")


def hosts(entry: Entry) -> dict[str, tuple[Entry, dict[str, Any]]]:
    found = {}
    for key, value in entry.pairs():
        try:
            name = check_name("host", key.what)
        except InvalidValue as error:
            raise key.wrong(error.message.rstrip("."), error.hint) from None
        found[name] = value, value.settings(HOST, "a host", ["address", "roles"])
    return found


def web(entry: Entry) -> dict[str, Any]:
    few = whole(1, 256)
    readers = {"name": hostname, "port": port, "processes": few, "threads": few}
    return entry.settings(readers, "web")


def database(entry: Entry) -> Database:
    name = matching(_KEY, "a name: letters, digits, '_', '-' and '.'")
    readers = {"name": name, "user": user, "password": secret, "host": address, "port": port}
    return Database(**entry.settings(readers, "database", ["name", "user", "password"]))


hostname = matching(HOSTNAME, "a host name")
port = whole(1, 65535)
user = matching(_USER, "a user name: a-z, 0-9, '_' and '-', beginning with a letter or '_'")
SHARED: dict[str, Reader] = {
    "port": port,
    "user": user,
    "key": Entry.local_path,
    "path": remote_path,
}
HOST: dict[str, Reader] = {"address": address, "roles": roles, **SHARED, "variables": variables}
TARGET: dict[str, Reader] = {
    "connection": choice(("ssh", "local")),
    "hosts": hosts,
    **SHARED,
    "variables": variables,
    "known_hosts": Entry.local_path,
    "connect_timeout": seconds,
    "health_timeout": seconds,
    "keep_releases": whole(2, 1000),
    "web": web,
    "database": database,
    "backups": backups,
    "hooks": hooks,
}


def read(file: Path) -> tuple[Entry, dict[str, Any]]:
    """The whole, and the value at each key. Raises InvalidValue."""
    top = Entry(compose(file), file, "inventory")
    return top, top.settings(TARGET, "an inventory")


def compose(file: Path) -> yaml.Node:
    """The file as nodes, nothing of it constructed."""
    label = shown_path(file)
    try:
        with file.open("rb") as opened:
            text = (data := opened.read(MAX_BYTES + 1)).decode()
    except OSError as error:
        raise InvalidValue(f"{label} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidValue(f"{label}, line {line}: this is not UTF-8.", "Save it so.") from None
    if len(data) > MAX_BYTES:
        raise InvalidValue(f"{label} has over {MAX_BYTES} bytes.", "Is it an inventory?")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidValue(f"{label}, line {line}: there is a control character.") from None
    try:
        node = loader.get_single_node()
    except RecursionError:
        raise InvalidValue(f"{label} is nested too deeply.", "Is it an inventory?") from None
    except Exception as error:  # PyYAML lets some of Python's own through
        mark = getattr(error, "problem_mark", None)
        line = (loader.line if mark is None else mark.line) + 1
        problem = _QUOTED.sub(r"\1", str(getattr(error, "problem", None) or "wrong escape"))
        raise InvalidValue(
            f"{label}, line {line}: this is not YAML: {problem}.",
            "Put a text with signs such as : # @ % & * ! in quotes.",
        ) from None
    if node is None:
        raise InvalidValue(f"{label} is empty.", "Begin with 'connection: ssh' and 'hosts:'.")
    return node
