"""Command lines for hosts, as text. Nothing here runs anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from shlex import quote
from typing import Any

__all__ = ["as_root", "assign", "json_line", "quote", "words"]


def words(*arguments: object) -> str:
    """A command of these arguments, each of them quoted."""
    return " ".join(quote(str(argument)) for argument in arguments)


def as_root(script: str, is_root: bool) -> str:
    """The command that runs a script as root; any login shell understands it."""
    command = words("sh", "-euc", script)
    return command if is_root else f"sudo -n {command}"


def assign(values: Mapping[str, object]) -> str:
    """Lines of shell variables."""
    return "".join(f"{name}={quote(str(value))}\n" for name, value in values.items())


def json_line(values: Mapping[str, Any]) -> str:
    """The inside of a JSON object, to stand after other members."""
    return json.dumps(values, ensure_ascii=True)[1:-1]


def lines(parts: Iterable[str]) -> str:
    """A script of those parts that are not empty."""
    return "\n".join(part.strip("\n") for part in parts if part.strip())
