"""The story in a real browser, on hosts: Apache serves, and systemd keeps a worker that trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING

import pytest

from databoard import config
from databoard.fleet import problem
from tests.fleet.site import HOME, Listener, Site
from tests.web import story
from tests.web.board import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
NAME = "lab.example.org"


@pytest.fixture(scope="module")
def address_of(shared_site: Site) -> Mapping[str, str]:
    """The site's name leads to the host that has its database, its worker and its submissions."""
    return {NAME: shared_site.hosts[0].address}


@pytest.fixture(scope="module")
def admin(shared_site: Site) -> str:
    """Who lets in; the only admin of the site, who stays."""
    inv(
        shared_site,
        *("create-user", "root", "root@example.org", "--admin", "--password"),
        typed=PASSWORD,
    )
    return "root"


@pytest.fixture
def challenge(
    site: Site, admin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """The site with the event iris and an admin, made as admins make them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(tmp_path / "deployment")})
    settings.make_folders()
    published = problem.publish_problem(site.target, "iris", settings, False, Listener())
    assert published.error is None, published.error
    inv(site, "add-problem", "iris")
    inv(site, "add-event", "iris", "iris", "Which iris is it?", "--is-public")
    inv(site, "update-event", "iris", "--min-seconds=0")
    yield site
    inv(site, "delete-problem", "iris", "--from-disk", "--yes")
    inv(site, "delete-user", "tansy", "--yes")


def inv(site: Site, *words: str, typed: str = "") -> None:
    """A command on the first host, as typed there."""
    site.hosts[0].run(f"printf '%s\\n' {join([typed])} | {join([f'{HOME}/bin/inv', *words])}")


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_whole_story(challenge: Site, chromium: Browser, has_scripts: bool) -> None:
    story.tell(chromium, f"http://{NAME}", has_scripts)
