"""What a site adds by putting a file there: `databoard/specific/workflows/` and `score_types/`.

A plug-in is a module NAME.py with a class NAME, as ramp-workflow has them: a workflow with
`element_names`, a score type with `is_lower_the_better`, `minimum` and `maximum`. Kits import it:
`from databoard.specific.score_types.NAME import NAME`.
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from databoard.errors import InvalidValue, NotFound
from databoard.kits import Element
from databoard.names import check_name, printable, suggest

FOLDER = Path(__file__).parent / "specific"
Plugin = TypeVar("Plugin")


def names(kind: str, folder: Path = FOLDER) -> list[str]:
    """The plug-ins in `workflows` or `score_types`; none of them is run for that."""
    files = (folder / kind).glob("*.py")
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def workflow(name: str, folder: Path = FOLDER) -> tuple[Element, ...]:
    """The elements of a workflow that is a plug-in. Raises NotFound, InvalidValue."""

    def read(made: Any) -> tuple[Element, ...]:
        return tuple(Element.of(element) for element in made().element_names)

    return _load("workflows", name, folder, read)


def score_type(name: str, folder: Path = FOLDER) -> tuple[bool, float, float]:
    """Whether lower is better, minimum and maximum. Raises NotFound, InvalidValue."""

    def read(made: Any) -> tuple[bool, float, float]:
        return bool(made.is_lower_the_better), float(made.minimum), float(made.maximum)

    return _load("score_types", name, folder, read)


def broken(folder: Path = FOLDER) -> list[InvalidValue]:
    """What is wrong with each plug-in that does not load."""
    found = []
    for kind, load in (("workflows", workflow), ("score_types", score_type)):
        for name in names(kind, folder):
            try:
                load(name, folder)
            except InvalidValue as error:
                found.append(error)
    return found


def _load(kind: str, name: str, folder: Path, read: Callable[[Any], Plugin]) -> Plugin:
    what = kind.removesuffix("s").replace("_", " ")
    file = folder / kind / f"{check_name(what, name)}.py"
    if not file.is_file():
        raise NotFound(
            f"There is no {what} {printable(name)} in databoard/specific/{kind}.",
            suggest(name, names(kind, folder), "Plug-ins"),
        )
    spec = importlib.util.spec_from_file_location(f"databoard.specific.{kind}.{name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return read(getattr(module, name))
    except (Exception, SystemExit) as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == str(file)
        ]
        at = f", line {lines[-1]}" if lines else ""
        raise InvalidValue(
            f"The plug-in databoard/specific/{kind}/{file.name}{at} does not load: "
            f"{type(error).__name__}: {error}",
            "Mend or remove it; the others work.",
        ) from error
