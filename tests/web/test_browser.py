"""The story in a real browser, on `inv serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from databoard.config import Settings
from tests.web import story
from tests.web.served import fill, serving, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_whole_story(settings: Settings, chromium: Browser, has_scripts: bool) -> None:
    fill(settings)
    with serving(settings) as address, started(settings, "backend-train-test-loop"):
        story.tell(chromium, address, has_scripts)
