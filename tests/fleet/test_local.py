"""The target `local`: the same steps in a folder of this machine, without SSH and without root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from databoard.config import ROOT
from databoard.fleet import inventory, publish, source, status
from databoard.fleet.publish import Way
from tests.fleet.site import Listener
from tests.postgres import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, need: Callable[[str], Path]) -> Iterator[dict[str, str]]:
    """The environment of commands that roll out to a folder of this test."""
    need("rsync")
    folder = tmp_path / "inventories"
    folder.mkdir()
    (folder / "local.yml").write_text(
        f"connection: local\nhealth_timeout: 20\nweb: {{port: {free_port()}}}\n"
    )
    tmp_path.chmod(0o755)
    yield {
        **os.environ,
        "DATABOARD_INVENTORIES": str(folder),
        "DATABOARD_TARGET": "local",
        "DATABOARD_PATH": str(tmp_path / "place"),
    }
    services = tmp_path / "place/datacamp/databoard/bin/services"
    if services.exists():
        subprocess.run([services, "stop"], check=True)


def inv(place: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *arguments]
    return subprocess.run(command, env=place, capture_output=True, text=True, check=False)


def test_the_whole_way_on_this_machine(place: dict[str, str]) -> None:
    done = inv(place, "publish-software", "--dirty")
    assert done.returncode == 0, done.stderr
    port = inventory.load("local", place, Path(place["DATABOARD_INVENTORIES"])).web.port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        first = json.load(answer)["release"]
    assert done.stdout.endswith(f"local serves {first}.\n")
    told = inv(place, "status")
    assert told.returncode == 0, told.stdout
    home = Path(place["DATABOARD_PATH"]) / "datacamp/databoard"
    assert os.readlink(home / "current") == f"releases/{first}"
    assert (home / "current/etc/worker.env").stat().st_mode & 0o777 == 0o600
    said = subprocess.run(
        [home / "bin/inv", "db-current"], capture_output=True, text=True, check=True
    )
    assert "code: " in said.stdout
    for command in (["restart"], ["maintenance", "on"], ["logs"], ["releases"], ["check"]):
        assert inv(place, *command).returncode == 0
    assert inv(place, "publish-software", "--dirty").returncode == 0
    assert os.readlink(home / "current") == f"releases/{first}"  # the same again is no change
    file = Path(place["DATABOARD_INVENTORIES"], "local.yml")
    file.write_text(file.read_text() + "variables: {EXTRA: 1}\n")
    assert inv(place, "publish-software", "--dirty").returncode == 0
    assert "\nEXTRA=1\n" in (home / "current/etc/worker.env").read_text()
    assert inv(place, "rollback").returncode == 0
    assert os.readlink(home / "current") == f"releases/{first}"


def test_a_release_that_does_not_load_leaves_the_old_one(
    place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOARD_PATH", place["DATABOARD_PATH"])
    target = inventory.load("local", folder=Path(place["DATABOARD_INVENTORIES"]))
    good = source.export(dirty=True)
    outcome = publish.publish_software(target, good, Way(), Listener())
    assert outcome.error is None, outcome.error
    folder = tmp_path / "bad"
    shutil.copytree(good.folder, folder)
    (folder / "databoard/web/app.py").write_text("import nothing_of_that")
    bad = source.Source(good.revision, "bad", True, folder)
    failed = publish.publish_software(target, bad, Way(), Listener())
    assert "No module named 'nothing_of_that'" in str(failed.error)
    (found,) = status.status(target)
    assert found.problems == [] and found.facts
    assert found.facts.current == outcome.release
