"""What may stand in an inventory, and how each value is read."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from databoard.errors import InvalidValue
from databoard.fleet.inventory import (
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
)
from databoard.names import CONTROL, check_name, printable
from databoard.yamlfile import KEY, Entry, Reader, choice, matching, whole
from databoard.yamlfile import read as read_yaml

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,62}", re.ASCII)
_BOOLS = dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)


def seconds(entry: Entry) -> float:
    number = entry.number()
    if number is None or not 0 < number <= 3600:
        raise entry.has_to_be("a number of seconds, over 0 and at most 3600")
    return float(number)


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
    name = matching(KEY, "a name: letters, digits, '_', '-' and '.'")
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
    top = read_yaml(file, "inventory", "'connection: ssh' and 'hosts:'")
    return top, top.settings(TARGET, "an inventory")
