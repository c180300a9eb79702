"""Deployments to train in: one for all tests of a file, or one for a single test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DIALECTS, unique_name
from tests.training.deployment import Deployment


@pytest.fixture(scope="module", params=DIALECTS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """One deployment for all tests of a file, once on each dialect."""
    folder = tmp_path_factory.mktemp("deployment")
    if request.param == "sqlite":
        copy = folder / "databoard.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), copy)
        deployment = Deployment.at(folder, f"sqlite:///{copy}")
        yield deployment
        deployment.engine.dispose()
    else:
        template = request.getfixturevalue("migrated_postgresql")
        with request.getfixturevalue("postgresql").database(unique_name(), template) as url:
            deployment = Deployment.at(folder, url)
            yield deployment
            deployment.engine.dispose()


@pytest.fixture
def deployment(migrated_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment for one test, once on each dialect."""
    deployment = Deployment.at(tmp_path / "deployment", migrated_url)
    yield deployment
    deployment.engine.dispose()
