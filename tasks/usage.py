"""What `inv COMMAND --help` shows: what is typed, in its order."""

from __future__ import annotations

import inspect
from typing import Any

from invoke import program


def extend_help() -> None:
    """Teach Invoke's help the order of what a command wants; it lists all by the alphabet."""

    def print_task_help(shown: Any, name: str) -> None:
        context = shown.parser.contexts[name]
        print(f"Usage: {usage(name, context.args.values())}\n")
        print(f"{inspect.getdoc(shown.collection[name])}\n")
        if options := context.help_tuples():
            print("Options:")
            shown.print_columns(options)

    program.Program.print_task_help = print_task_help


def usage(name: str, arguments: Any) -> str:
    """How a command is typed, such as `inv leaderboard EVENT [--options]`."""
    words = []
    for argument in dict.fromkeys(arguments):
        if argument.positional:
            word = argument.name.upper().replace("_", "-")
            words.append(f"[{word}]" if hasattr(argument, "may_be_left_out") else word)
    options = [] if all(argument.positional for argument in arguments) else ["[--options]"]
    return " ".join(["inv", name, *words, *options])
