"""What names, titles and numbers may look like, wherever they come from."""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from databoard.errors import InvalidValue

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MAX_NAME = 80
MAX_TITLE = 200
MAX_COUNT = 2**31 - 1  # what an integer column holds


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can be a file name, an URL part and an identifier in every table.

    Raises InvalidValue: empty, over 80 characters, `..`, or anything but ASCII letters, digits,
    `_`, `-` and `.`.
    """
    if len(name) > MAX_NAME:
        raise InvalidValue(
            f"The {kind} name is {len(name)} characters long: {printable(name[:20])}…",
            f"Choose a name of at most {MAX_NAME} characters.",
        )
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidValue(
            f"{printable(name)} cannot be the name of {with_article(kind)}.",
            "Use letters, digits, '_', '-' and single '.', beginning with a letter, digit or '_'.",
        )
    return name


def check_title(kind: str, title: str) -> str:
    """Return `title` stripped. Raises InvalidValue: empty, too long, or control characters."""
    title = title.strip()
    if not 0 < len(title) <= MAX_TITLE or any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in title
    ):
        raise InvalidValue(
            f"{printable(title[:40])} cannot be the title of {with_article(kind)}.",
            f"Use 1 to {MAX_TITLE} characters on one line.",
        )
    return title


def as_bool(what: str, value: str | bool | int) -> bool:
    """Read `True/False/1/0/yes/no` in any case. Raises InvalidValue."""
    text = str(value).strip().lower()
    if text in ("true", "1", "yes"):
        return True
    if text in ("false", "0", "no"):
        return False
    raise InvalidValue(f"{what} is {printable(str(value))}.", "Use True or False (or 1/0, yes/no).")


def as_number(what: str, value: str | float) -> float:
    """Read a number; `inf` and `-inf` are numbers, `nan` is not. Raises InvalidValue."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise InvalidValue(f"{what} is {printable(str(value))}.", "Use a number; inf is one.")
    return number


def as_count(what: str, value: str | int, least: int = 1, most: int = MAX_COUNT) -> int:
    """Read a whole number from `least` to `most`. Raises InvalidValue."""
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise InvalidValue(
            f"{what} is {printable(str(value))}.", f"Use a whole number from {least} to {most}."
        )
    return number


def as_time(what: str, value: str | date | None) -> datetime | None:
    """Read a time in ISO 8601, in UTC unless it names a zone; `none` is None. Raises InvalidValue.

    A date alone is its midnight.
    """
    if value is None or str(value).strip().lower() == "none":
        return None
    try:
        time = datetime.fromisoformat(str(value).strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(
            f"{what} is {printable(str(value))}.",
            "Write a time as 2026-11-30T18:00 (UTC) or 2026-11-30T18:00+01:00, or none.",
        ) from None


def as_list(what: str, value: str) -> list[str]:
    """Read a comma list. Raises InvalidValue: empty, or an element twice."""
    items = [item.strip() for item in value.split(",")]
    if "" in items or len(set(items)) < len(items):
        raise InvalidValue(
            f"{what} is {printable(value)}.", "Write names with commas between them, each once."
        )
    return items


def counted(count: int, noun: str) -> str:
    """`1 team`, `2 teams`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def with_article(noun: str) -> str:
    """`a team`, `an event`."""
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def printable(text: str) -> str:
    """Quote `text` for a terminal: control characters are escaped."""
    return repr(text)


def escaped(text: str) -> str:
    """The lines of a text, with what a terminal would obey written as its escape."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape").decode()
        for sign in text
    )


def one_line(text: str) -> str:
    """What a kit or a program said, on one line and without what would steer a terminal."""
    return CONTROL.sub("�", " ".join(text.split()))


def suggest(name: str, known: Sequence[str], title: str) -> str:
    """A hint: the nearest name if one is near, and what there is."""
    from difflib import get_close_matches

    begun = [one for one in known if name and one.startswith(name)]
    nearest = begun or get_close_matches(name, known, n=1)
    listed = f"{title}: {', '.join(known) or 'none'}."
    return f"Did you mean {nearest[0]!r}? {listed}" if nearest else listed


def as_age(what: str, value: str) -> timedelta:
    """Read `90m`, `26h` or `2d`. Raises InvalidValue."""
    units = {"m": "minutes", "h": "hours", "d": "days"}
    number, unit = value[:-1], units.get(value[-1:])
    if unit is None or not number.isascii() or not number.isdigit() or len(number) > 5:
        raise InvalidValue(f"{what} is {printable(value)}.", "Write 90m, 26h or 2d.")
    return timedelta(**{unit: int(number)})
