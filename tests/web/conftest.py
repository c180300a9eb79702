"""What the tests of the pages share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from databoard.config import Settings
from databoard.web import create_app
from tests.web.board import Site, fill


@pytest.fixture
def site(
    settings: Settings,
    engine: Engine,
    make_kit: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A site, once on each database."""
    monkeypatch.setenv("DATABOARD_SITE_URL", "http://localhost")
    make_kit(settings.kits_path)
    fill(settings, engine)
    yield Site(settings, engine, create_app(settings, engine))
