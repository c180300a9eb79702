"""A site on three real hosts, and inventories of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from databoard.fleet import inventory
from databoard.fleet.inventory import Target
from tests.fleet.inventories import Load
from tests.fleet.site import Site

if TYPE_CHECKING:
    from tests.lab.hosts import Lab


@pytest.fixture(scope="session")
def shared_site(
    make_lab: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Three hosts that were set up and rolled out to once."""
    site = Site(make_lab(3), tmp_path_factory.mktemp("site"))
    site.set_up()
    site.publish()
    yield site


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The same site, healthy before the test, and mended after it."""
    shared_site.check_healthy()
    yield shared_site
    shared_site.mend()


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """load(text, **environment) of an inventory `board`."""

    def load_text(text: str | bytes, **environment: str) -> Target:
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "board.yml").write_bytes(data)
        return inventory.load("board", environment, tmp_path)

    return load_text
