"""What every command shares: mistakes in one sentence, and arguments that Invoke lacks."""

from __future__ import annotations

import errno
import functools
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from invoke import Argument, Exit, Task, program
from invoke.parser import parser

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from databoard.config import Settings


PATH, RIGHTS = "Check the path.", "Check who may read and write there."
NEXT_STEPS = {
    errno.ENOENT: PATH,
    errno.EEXIST: PATH,
    errno.ENOTDIR: PATH,
    errno.EISDIR: PATH,
    errno.ENAMETOOLONG: PATH,
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
    errno.EROFS: RIGHTS,
    errno.ENOSPC: "Make room on the disk, then repeat the command.",
    errno.EDQUOT: "Make room on the disk, then repeat the command.",
}


class LeftOut(str):
    """The value of a positional argument that was not typed."""


LEFT_OUT = LeftOut()


class Command(Task):
    """A task whose mistakes are one sentence, a next step and exit code 1.

    Parameters without a default are positional; those with the default LEFT_OUT are too, and
    may be left out.
    """

    def __init__(self, body: Callable[..., Any], **options: Any) -> None:
        super().__init__(reporting_mistakes(body), **options)

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            if argument.default is LEFT_OUT:
                argument.positional, argument.kind, argument.default = True, str, None
                argument.may_be_left_out = True
        arguments.sort(key=lambda argument: not argument.positional)
        return arguments


def command(**options: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function; `help` explains each argument."""
    return lambda body: Command(body, **options)


def reporting_mistakes(body: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a person can mend into a sentence; `--debug` after the command: a traceback."""

    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            try:
                result = body(*args, **kwargs)
            finally:
                if sys.stdout:  # None when it is closed
                    sys.stdout.flush()
            gc.freeze()  # or Python would look through all that is loaded, to end
            return result
        except BrokenPipeError:  # the reader has seen enough, as in `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(code=1) from None
        except Exit:
            raise
        except Exception as error:
            told = explain(error)
            if told is None or "--debug" in sys.argv:
                raise
            raise Exit(told, code=1) from None

    return run


def explain(error: Exception) -> str | None:
    """The sentence and the next step, with nothing that a terminal obeys; None for a bug."""
    told = _told(error)
    if told is None:
        return None
    from databoard.names import escaped

    return escaped(told)


def _told(error: Exception) -> str | None:
    from databoard.errors import DataboardError

    if isinstance(error, DataboardError):
        return str(error)
    if isinstance(error, UnicodeEncodeError):  # a terminal's bytes that are no text
        return f"{error.object[:80]!r} is not text.\nType it in UTF-8."
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else "."
        hint = NEXT_STEPS.get(error.errno or 0)
        return f"{error.strerror}{where}" + (f"\n{hint}" if hint else "")
    if type(error).__module__.startswith("sqlalchemy"):
        from sqlalchemy.exc import DBAPIError

        from databoard import config, database

        if isinstance(error, DBAPIError):
            url = database.open_engine(config.load().db_url).url
            return str(database.unreachable(url, error))
    return None


@contextmanager
def opened() -> Iterator[tuple[Settings, Engine]]:
    """The settings, and an engine on a database that is at this code's revision."""
    from databoard import config, database

    settings = config.load()
    engine = database.open_engine(settings.db_url)
    try:
        database.check(engine)
        yield settings, engine
    finally:
        engine.dispose()


def extend_invoke() -> None:
    """Teach Invoke's parser what people type.

    Positional arguments that may be left out, negative numbers, and flags such as --help before
    all positional arguments are there: Invoke takes these for values. And the next step after a
    mistake.
    """
    show = program.Program.parse_cleanup  # which prints --list and --help
    program.Program.parse_cleanup = reporting_mistakes(show)
    machine_class = parser.ParseMachine
    complete, take_positional = machine_class.complete_context, machine_class.see_positional_arg
    fail = machine_class.error
    is_flag, number = parser.is_flag, re.compile(r"-(inf|\.?\d[\d.]*(e[+-]?\d+)?)", re.IGNORECASE)

    def is_flag_not_number(token: str) -> bool:
        return is_flag(token) and not number.fullmatch(token)

    def complete_context(machine: Any) -> None:
        for argument in machine.context.positional_args if machine.context else ():
            if argument.value is None and hasattr(argument, "may_be_left_out"):
                argument.set_value(LEFT_OUT, cast=False)
        complete(machine)

    def see_positional_arg(machine: Any, token: str) -> None:
        if token in ("--help", "-h"):
            machine.initial.flags["--help"].value = machine.context.name
            machine.context.positional_args.clear()  # nothing will be run, nothing is missing
        elif token in machine.initial.flags:
            machine.switch_to_flag(token)
        elif is_flag_not_number(token):
            machine.error(f"No idea what {token!r} is!")
        else:
            take_positional(machine, token)

    def error(machine: Any, message: str) -> None:
        command, hint = machine.context and machine.context.name, "See: inv --list"
        if command:
            hint = f"See: inv {command} --help"
        elif unknown := re.fullmatch(r"No idea what '(.*)' is!", message):
            from difflib import get_close_matches

            if nearest := get_close_matches(unknown[1], machine.contexts, n=1):
                hint = f"Did you mean inv {nearest[0]}?"
        if message.startswith("Flag <"):
            message = f"--{machine.flag.name.replace('_', '-')} needs a value."
        fail(machine, f"{message}\n{hint}")

    parser.is_flag = is_flag_not_number
    machine_class.error = error
    machine_class.complete_context = complete_context
    machine_class.see_positional_arg = see_positional_arg
