"""A fixture that is a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium(need: Callable[[str], Path], address_of: Mapping[str, str]) -> Iterator[Browser]:
    """Debian's Chromium; its sandbox does not work as root."""
    from playwright.sync_api import sync_playwright

    program = str(need("chromium"))
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    if address_of:
        rules = ", ".join(f"MAP {name} {address}" for name, address in address_of.items())
        arguments.append(f"--host-resolver-rules={rules}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address_of() -> Mapping[str, str]:
    """Names of hosts that Chromium knows, and nobody else does."""
    return {}
