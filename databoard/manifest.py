"""Manifests: `databoard/specific/events/NAME.yml` says all that an event is made of."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from databoard.config import ROOT, shown_path
from databoard.errors import DataboardError, InvalidValue, NotFound
from databoard.event_settings import SETTINGS, Setting
from databoard.model.problem import KINDS
from databoard.names import check_name, printable, suggest
from databoard.yamlfile import Entry, Reader, choice
from databoard.yamlfile import read as read_yaml

Read = TypeVar("Read")
FOLDER = ROOT / "databoard" / "specific" / "events"


@dataclass(frozen=True)
class Direction:
    """Which scores are better, and the bounds of all."""

    is_lower_the_better: bool
    minimum: float
    maximum: float

    def __str__(self) -> str:
        better = "lower" if self.is_lower_the_better else "higher"
        return f"{better} the better, from {self.minimum} to {self.maximum}"


@dataclass(frozen=True)
class Manifest:
    """What there has to be for an event. What a manifest does not say stays as it is."""

    name: str  # of the event
    problem: str
    workflow_element_types: Mapping[str, str] = field(default_factory=dict)  # name to kind
    workflow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name to elements
    score_types: Mapping[str, Direction] = field(default_factory=dict)
    event: Mapping[str, Any] = field(default_factory=dict)  # its settings
    environment: str | None = None  # requirements, a line each
    teams: tuple[str, ...] | None = None


def names(folder: Path = FOLDER) -> list[str]:
    """The manifests there are."""
    return sorted(file.stem for file in folder.glob("*.yml"))


def load(name: str, folder: Path = FOLDER) -> Manifest:
    """Read `folder/NAME.yml`. Raises NotFound, and InvalidValue with the line that is wrong."""
    file = folder / f"{check_name('event', name)}.yml"
    if name not in (known := names(folder)):
        raise NotFound(
            f"There is no manifest {printable(name)} in {shown_path(folder)}.",
            suggest(name, known, "Manifests"),
        )
    top = read_yaml(file, "manifest", "'problem: NAME'")
    found = top.settings(MANIFEST, "a manifest", ["problem"])
    types = found.get("workflow_element_types", {})
    for workflow, elements in found.get("workflow", {}).items():
        for element in elements:
            if types and element not in types:
                raise top.wrong(
                    f"the workflow {workflow} has the element {printable(element)}, which is not "
                    "among the workflow_element_types",
                    f"Add it: {element}: code",
                )
    return Manifest(name, **found)


def environment_of(problem: str, folder: Path = FOLDER) -> str | None:
    """The requirements that the first manifest of a problem with any names; None: there is none."""
    for name in names(folder):
        with contextlib.suppress(DataboardError):  # inv plan tells what is wrong with it
            manifest = load(name, folder)
            if manifest.problem == problem and manifest.environment:
                return manifest.environment
    return None


def _name_of(kind: str) -> Reader:
    def read(entry: Entry) -> str:
        name = entry.text()
        return _checked(entry, lambda: check_name(kind, name))

    return read


def _checked(entry: Entry, check: Callable[[], Read]) -> Read:
    """What the check gives; its mistake is told with the line."""
    try:
        return check()
    except InvalidValue as error:
        raise entry.wrong(error.message.rstrip("."), error.hint) from None


def _names_of(kind: str) -> Reader:
    def read(entry: Entry) -> tuple[str, ...]:
        found = tuple(_name_of(kind)(item) for item in entry.items())
        if len(set(found)) < len(found):
            raise entry.has_to_be("a list with each name once")
        return found

    return read


def _by_name(kind: str, reader: Reader) -> Reader:
    def read(entry: Entry) -> dict[str, Any]:
        return {
            _name_of(kind)(Entry(key.node, key.file, key.what)): reader(value)
            for key, value in entry.pairs()
        }

    return read


def _flag(entry: Entry) -> bool:
    values = {"true": True, "false": False}
    text = entry.node.value if entry.kind == "bool" else ""
    if not isinstance(text, str) or text.lower() not in values:
        raise entry.has_to_be("true or false")
    return values[text.lower()]


def _bound(entry: Entry) -> float:
    infinite = {".inf": math.inf, "inf": math.inf, "-.inf": -math.inf, "-inf": -math.inf}
    number = entry.number()
    if number is None and entry.kind in ("str", "float"):
        number = infinite.get(str(entry.node.value).lower())
    if number is None:
        raise entry.has_to_be("a number, inf or -inf")
    return float(number)


def _direction(entry: Entry) -> Direction:
    readers = {"is_lower_the_better": _flag, "minimum": _bound, "maximum": _bound}
    found = Direction(**entry.settings(readers, "a score type", list(readers)))
    if not found.minimum < found.maximum:
        raise entry.wrong(f"the minimum of {entry.what} is not below its maximum")
    return found


def _requirements(entry: Entry) -> str:
    return "".join(f"{item.text().strip()}\n" for item in entry.items())


def _setting(setting: Setting) -> Reader:
    def read(entry: Entry) -> Any:
        if entry.kind in ("map", "seq", "!env", "!file"):
            raise entry.has_to_be("a single value")
        return _checked(entry, lambda: setting.read(str(entry.node.value)))

    return read


def _settings(entry: Entry) -> dict[str, Any]:
    return entry.settings(EVENT, "an event")


EVENT = {name: _setting(setting) for name, setting in SETTINGS.items()}
MANIFEST: dict[str, Reader] = {
    "workflow_element_types": _by_name("workflow element type", choice(KINDS)),
    "workflow": _by_name("workflow", _names_of("workflow element type")),
    "score_types": _by_name("score type", _direction),
    "problem": _name_of("problem"),
    "event": _settings,
    "environment": _requirements,
    "teams": _names_of("team"),
}
