"""YAML files that people write: every mistake is told with its line.

An error shows keys and choices, never other values: they may be a password in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from databoard.config import shown_path
from databoard.errors import InvalidValue
from databoard.names import CONTROL, printable, suggest, with_article

MAX_BYTES = 1_000_000
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", re.ASCII)
_NUMBERS = {"int": r"[-+]?(0|[1-9][0-9]{0,17})", "float": r"[-+]?[0-9]{1,18}\.[0-9]{0,18}"}
# What a syntax error quotes: signs are kept, the rest may be a part of a password.
_QUOTED = re.compile(r"""( ?'(?:<[a-z ]+>|[]:,?[{}-]|\\t)')| ?'[^']*'| ?(?:"[^"]*")""")
_CORE = "tag:yaml.org,2002:"


def read(file: Path, what: str, beginning: str) -> Entry:
    """The file as nodes, nothing of it constructed; `what` it is and how one begins are told.

    Raises InvalidValue.
    """
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
        raise InvalidValue(f"{label} has over {MAX_BYTES} bytes.", f"Is it {with_article(what)}?")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidValue(f"{label}, line {line}: there is a control character.") from None
    try:
        node = loader.get_single_node()
    except RecursionError:
        raise InvalidValue(
            f"{label} is nested too deeply.", f"Is it {with_article(what)}?"
        ) from None
    except Exception as error:  # PyYAML lets some of Python's own through
        mark = getattr(error, "problem_mark", None)
        line = (loader.line if mark is None else mark.line) + 1
        problem = _QUOTED.sub(r"\1", str(getattr(error, "problem", None) or "wrong escape"))
        raise InvalidValue(
            f"{label}, line {line}: this is not YAML: {problem}.",
            "Put a text with signs such as : # @ % & * ! in quotes.",
        ) from None
    if node is None:
        raise InvalidValue(f"{label} is empty.", f"Begin with {beginning}.")
    return Entry(node, file, what)


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
            if not KEY.fullmatch(name):
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
        """A file on this machine: `~` is the home, others are relative to this one."""
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


def choice(options: Sequence[str]) -> Reader:
    def read(entry: Entry) -> str:
        value = entry.text()
        if value not in options:
            hint = suggest(value, options, "Choose from")
            raise entry.wrong(f"there is no {entry.what} {printable(value[:40])}", hint)
        return value

    return read
