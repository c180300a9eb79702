"""What the shell offers after `--target`: the names of the inventories."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from invoke import Exit, program


def extend_completion() -> None:
    """Teach Invoke's completion the values of `--target`; it has none for any flag."""
    complete_others = program.complete

    def complete(*, core: Any, parser: Any, **others: Any) -> None:
        if found := candidates(core.remainder, parser.contexts):
            print(*found, sep="\n")
            raise Exit
        complete_others(core=core, parser=parser, **others)

    program.complete = complete


def candidates(line: str, contexts: Mapping[str, Any]) -> list[str]:
    """What may stand where `line` ends; empty if that is no value of `--target`.

    Bash makes three words of `--target=pro`, and of a space at the end nothing is left: after
    `--target pro` the value may go on, after a whole name the next word is meant.
    """
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is open
        return []
    if not any("--target" in contexts[word].flags for word in words if word in contexts):
        return []
    from databoard.fleet.inventory import names

    known = names()
    if words[-1].startswith("--target="):  # other shells, which match the word as a whole
        return known + [f"--target={name}" for name in known]
    value = ""
    if words[-1] not in ("--target", "="):
        value = words.pop()
    if words[-1] == "=":
        words.pop()
    is_whole = value in known and not any(name.startswith(value) for name in known if name != value)
    return known if words[-1:] == ["--target"] and not is_whole else []
