"""A site on three real hosts, and what harms it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

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
