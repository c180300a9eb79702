"""What names, titles and numbers may look like."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from databoard import names
from databoard.errors import InvalidValue

LETTERS = "Use letters, digits, '_', '-' and single '.', beginning with a letter, digit or '_'."
ONE_LINE = "Use 1 to 200 characters on one line."


def sentence(check: Callable[..., object], *arguments: object) -> str:
    """What is said of a mistake."""
    with pytest.raises(InvalidValue) as caught:
        check(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a", "_", "7", "iris", "boston_housing", "f1-90.v2", "x" * 80])
def test_names(name: str) -> None:
    assert names.check_name("team", name) == name


SPACED = ["", " ", "a b", "a\nb", "a\n", "a\x00", "\x1b[31m", "a\u202eb", "a\udcff"]
PATHS = ["a/b", "/etc", "..", "a..b", ".git", "-x", "a\\b", "a%2fb", "<b>", "a'b", "\xe9", "\uff11"]


@pytest.mark.parametrize("name", [*SPACED, *PATHS])
def test_wrong_names(name: str) -> None:
    said = sentence(names.check_name, "team", name)
    assert said == f"{name!r} cannot be the name of a team.\n{LETTERS}"
    assert said.replace("\n", "").isprintable()


def test_a_name_that_is_too_long_is_not_repeated_whole() -> None:
    assert sentence(names.check_name, "event", "x" * 81) == (
        "The event name is 81 characters long: 'xxxxxxxxxxxxxxxxxxxx'…\n"
        "Choose a name of at most 80 characters."
    )


@pytest.mark.parametrize("title", ["a", "  a ", "Été: où est l'œuf? 日本", "<b>", "🌧", "x" * 200])
def test_titles(title: str) -> None:
    assert names.check_title("event", title) == title.strip()


@pytest.mark.parametrize(
    "title", ["", "  ", "a\nb", "a\tb", "\x1b[31m", "\u202eb", "a\u2028b", "\udcff", "x" * 201]
)
def test_wrong_titles(title: str) -> None:
    shown = repr(title.strip()[:40])
    assert sentence(names.check_title, "event", title) == (
        f"{shown} cannot be the title of an event.\n{ONE_LINE}"
    )


TRUE = ("True", "true", "TRUE", "1", "yes", "YES", " yes ", True, 1)
FALSE = ("False", "false", "0", "no", "No", False, 0)


@pytest.mark.parametrize("typed", [*TRUE, *FALSE], ids=repr)
def test_booleans(typed: str | bool | int) -> None:
    assert names.as_bool("It", typed) is any(typed is true for true in TRUE)


@pytest.mark.parametrize("typed", ["", "maybe", "2", "-1", "y", "on", "\x1b"])
def test_wrong_booleans(typed: str) -> None:
    assert sentence(names.as_bool, "It", typed) == (
        f"It is {typed!r}.\nUse True or False (or 1/0, yes/no)."
    )


NUMBERS = {"1": 1.0, "-1": -1.0, "1e3": 1e3, ".5": 0.5, 0.25: 0.25}
INFINITE = {"inf": math.inf, "-inf": -math.inf, "Infinity": math.inf}


@pytest.mark.parametrize(("typed", "value"), (NUMBERS | INFINITE).items())
def test_numbers(typed: str | float, value: float) -> None:
    assert names.as_number("It", typed) == value


@pytest.mark.parametrize("typed", ["", "nan", "-NaN", "one", "1,5", "0x10", "1\x00"])
def test_wrong_numbers(typed: str) -> None:
    said = sentence(names.as_number, "It", typed)
    assert said == f"It is {typed!r}.\nUse a number; inf is one."


@pytest.mark.parametrize(("typed", "value"), [("1", 1), (7, 7), ("2147483647", 2**31 - 1)])
def test_counts(typed: str | int, value: int) -> None:
    assert names.as_count("It", typed) == value


@pytest.mark.parametrize("typed", ["0", "-1", "1.5", "inf", "", "many", "2147483648", "9" * 5000])
def test_wrong_counts(typed: str) -> None:
    said = sentence(names.as_count, "It", typed)
    assert said == f"It is {typed!r}.\nUse a whole number from 1 to 2147483647."


def test_comma_lists() -> None:
    assert names.as_list("The list", "a") == ["a"]
    assert names.as_list("The list", "b, a ,c") == ["b", "a", "c"]


@pytest.mark.parametrize("typed", ["", ",", "a,", ",a", "a,,b", "a,b,a", "a, a"])
def test_wrong_comma_lists(typed: str) -> None:
    said = sentence(names.as_list, "The list", typed)
    assert said == f"The list is {typed!r}.\nWrite names with commas between them, each once."


def test_counts_are_said_as_people_say_them() -> None:
    assert [names.counted(n, "fold") for n in (0, 1, 2)] == ["0 folds", "1 fold", "2 folds"]
