"""The manuals name only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from invoke import Collection

import tasks
from databoard import config
from databoard.fleet import inventory
from databoard.model import states

ROOT = Path(__file__).resolve().parent.parent
MANUALS = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")
COMMANDS = Collection.from_module(tasks).tasks


@pytest.mark.parametrize("manual", MANUALS)
def test_each_command_and_flag_exists(manual: str) -> None:
    text = (ROOT / manual).read_text()
    for name, rest in re.findall(r"\binv ([a-z][a-z-]+)([^\n`]*)", text):
        assert name in COMMANDS, f"{manual} names inv {name}"
        known = {flag for arg in COMMANDS[name].get_arguments() for flag in arg.names}
        for flag in re.findall(r"--([a-z-]+)", rest.partition("#")[0]):
            assert flag in known | {"help", "debug"}, f"{manual}: inv {name} --{flag}"


def test_each_command_is_in_the_manual() -> None:
    text = "".join((ROOT / manual).read_text() for manual in MANUALS)
    assert not [name for name in COMMANDS if f"inv {name}" not in text]


def test_each_environment_variable_is_in_the_manual() -> None:
    source = Path(config.__file__).read_text() + Path(inventory.__file__).read_text()
    named = set(re.findall(r'"((?:DATABOARD|OMP)_[A-Z_]+)"', source))
    table = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named == table


def test_each_state_is_in_the_manual() -> None:
    text = (ROOT / "README.md").read_text()
    assert not [state for state in states.STATES if f"`{state}`" not in text]
