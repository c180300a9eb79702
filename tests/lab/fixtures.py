"""Labs for tests; `tests/conftest.py` hands these fixtures to all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.lab.hosts import Lab


@pytest.fixture(scope="session")
def make_lab(
    need: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Lab]]:
    """make_lab(count, bare=...) starts a lab; all end with the tests.

    Who is not root leaves such a test out; with CI=true that is a failure, as a missing part is.
    """
    from databoard.errors import DataboardError
    from tests.lab.hosts import Lab
    from tests.lab.machine import NEEDED, check_machine

    give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    if os.geteuid() != 0:
        give_up("needs root (the tests on hosts): sudo ./inv test")
    for name in NEEDED:
        need(name)
    try:
        check_machine()
    except DataboardError as error:
        give_up(f"needs another machine (the tests on hosts): {error.message}")
    tags = (f"t{os.getpid()}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")

    def make(count: int = 3, **options: Any) -> Lab:
        folder = tmp_path_factory.mktemp("lab")
        return stack.enter_context(Lab.up(count, folder=folder, tag=next(tags), **options))

    with ExitStack() as stack:
        yield make


@pytest.fixture(scope="session")
def lab3(make_lab: Callable[..., Lab]) -> Lab:
    """Three ready hosts for all tests; who harms them asks for `lab`."""
    return make_lab(3)


@pytest.fixture
def lab(lab3: Lab) -> Iterator[Lab]:
    """The same three, which are mended after the test."""
    yield lab3
    lab3.mend()
