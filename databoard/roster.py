"""Rosters: tables of people that somebody made with a spreadsheet, and those with passwords."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from databoard import people
from databoard.errors import AlreadyThere, InvalidValue
from databoard.names import check_name, printable, suggest

COLUMNS = ("firstname", "lastname", "email", "name", "hidden_notes")
NEEDED = ("email", "name")
PASSWORD = "password"  # noqa: S105 - the name of a column
SHOWN = 20  # faults of a file, at most
MAX_BYTES = 20_000_000
FORMULA = ("=", "+", "-", "@")  # how a cell begins that a spreadsheet would calculate
ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none looks like another


@dataclass(frozen=True)
class Row:
    """A person in a file; `line` is where."""

    line: int
    email: str
    name: str
    firstname: str = ""
    lastname: str = ""
    hidden_notes: str = ""
    password: str = ""


@dataclass(frozen=True)
class People:
    """The rows of a file, and whether it was in Latin-1."""

    rows: tuple[Row, ...]
    is_latin: bool = False


def read(path: Path, with_passwords: bool = False) -> People:
    """Read a file whole. With commas, semicolons, tabs or spaces between; UTF-8, else Latin-1.

    Raises InvalidValue: it cannot be read, a column is missing or unknown, a cell is wrong, a name
    or a mail address is there twice. All of that is told at once.
    """
    text, is_latin = _text(path, with_passwords)
    columns = (*COLUMNS, PASSWORD) if with_passwords else COLUMNS
    table = _table(path, text, columns)
    for name in (*NEEDED, PASSWORD) if with_passwords else NEEDED:
        if name not in table:
            raise InvalidValue(
                f"{path} has no column {name}.", f"Its first line names them: {', '.join(columns)}."
            )
    blank = text[: len(text) - len(text.lstrip())].count("\n")
    rows = _rows(table, blank + 2)
    if not rows:
        raise InvalidValue(f"{path} has no rows.", "Write a person on each line.")
    faults = [f"line {row.line}: {fault}" for row in rows for fault in _faults(row, with_passwords)]
    for what, value_of in (("name", lambda row: row.name), ("mail address", lambda row: row.email)):
        faults += _twice(rows, what, value_of)
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" * (len(faults) > SHOWN)
        listed = "\n  ".join(faults[:SHOWN])
        raise InvalidValue(f"{path} cannot be used:\n  {listed}{more}", "Mend it; nothing is done.")
    return People(tuple(rows), is_latin)


def write_passwords(people_: People, path: Path) -> None:
    """Write a new file, for its owner alone, with a password for each. Raises AlreadyThere."""
    import pandas as pd

    columns = (*COLUMNS, PASSWORD)
    rows = [[*(getattr(row, name) for name in COLUMNS), new_password()] for row in people_.rows]
    try:
        # Neither through a link nor into a file that others may have open.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise AlreadyThere(
            f"{path} is there already.", "Its passwords may be in use: choose another name."
        ) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            pd.DataFrame(rows, columns=list(columns)).to_csv(file, index=False)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise


def new_password() -> str:
    """16 letters and digits: over 90 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(16))


def _text(path: Path, is_secret: bool) -> tuple[str, bool]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if is_secret and stat.S_IMODE(mode) & 0o077:
                raise InvalidValue(
                    f"{path} has passwords, and others may read it.", f"Then: chmod 600 {path}"
                )
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    if len(data) > MAX_BYTES:
        raise InvalidValue(f"{path} has over {MAX_BYTES} bytes.", "Is it a table of people?")
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return data.decode("latin-1"), True


def _table(path: Path, text: str, columns: Sequence[str]) -> Any:
    import pandas as pd

    head = text.lstrip().partition("\n")[0]
    if not head:
        raise InvalidValue(f"{path} is empty.", f"Its first line is: {','.join(columns)}")
    separator = next((sign for sign in (",", ";", "\t") if sign in head), r"\s+")
    try:
        table = pd.read_csv(
            StringIO(text.lstrip()),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            skip_blank_lines=False,  # or a row would not know its line
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        said = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        why = f"line {said[2]} has {said[3]} cells, not {said[1]}" if said else "it is no table"
        raise InvalidValue(f"{path} cannot be read: {why}.", "Put quotes around texts.") from None
    if not isinstance(table.index, pd.RangeIndex):
        raise InvalidValue(
            f"{path} cannot be read: its lines have more cells than its first line has names.",
            f"Columns: {', '.join(columns)}.",
        )
    table.columns = [str(name).strip().lower() for name in table.columns]
    for name in table.columns:
        if name not in columns:
            raise InvalidValue(
                f"{path} has a column {printable(name)}, which is none.",
                suggest(name, columns, "Columns"),
            )
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise InvalidValue(f"{path} has the column {twice} twice.", "Remove one.")
    return table


def _rows(table: Any, line: int) -> list[Row]:
    """The rows that are not empty, with their lines: the first is in `line`."""
    found = []
    for cells in table.to_dict("records"):
        row = Row(line, **{name: str(cell).strip() for name, cell in cells.items()})
        line += 1 + sum(str(cell).count("\n") for cell in cells.values())
        if row != Row(row.line, "", ""):
            found.append(row)
    return found


def _faults(row: Row, with_passwords: bool) -> list[str]:
    found = []
    try:
        check_name("user", row.name)
        people.check_email(row.email)
    except InvalidValue as error:
        found.append(error.message)
    if with_passwords and not 8 <= len(row.password) <= people.MAX_PASSWORD:
        found.append(f"the password of {row.name} is too short, or too long.")
    for what in ("email", "firstname", "lastname", "hidden_notes"):
        cell = getattr(row, what)
        if cell.startswith(FORMULA):
            found.append(f"the {what} {printable(cell[:20])} is a formula to spreadsheets.")
        elif not cell.isprintable() or len(cell) > (100 if what != "hidden_notes" else 10_000):
            found.append(f"the {what} {printable(cell[:20])} cannot be stored.")
    return found


def _twice(rows: Sequence[Row], what: str, value_of: Callable[[Row], str]) -> list[str]:
    first: dict[str, int] = {}
    found = []
    for row in rows:
        value = value_of(row).lower()
        line = first.setdefault(value, row.line)
        if line != row.line:
            found.append(f"line {row.line}: the {what} {value} is in line {line} already.")
    return found
