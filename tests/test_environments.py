"""Environments: what they are made of, made once, whole or not at all, listed and pruned."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from databoard import database, environments, events, kits
from databoard.config import ROOT, Settings
from databoard.environments import EnvironmentFailed
from databoard.errors import DataboardError, InvalidValue, KitError
from databoard.lookup import find
from databoard.model.event import Event
from tests.test_kits import MakeKit

OLD = "pandas==1.5.3\nnumpy==1.26.4"
WORKFLOW = "ramp-workflow==0.7.0"


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leaves the test out where pip reaches no index with what the tests install."""
    folder = tmp_path_factory.mktemp("index")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "pytz==2024.1"]
    if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("needs a package index that pip reaches (old packages): see `pip config list`")


def write_package(folder: Path, name: str, setup: str = "", module: str = "") -> str:
    """A small package to install from disk. Returns its requirement."""
    (folder / name).mkdir(parents=True)
    (folder / name / f"{name}.py").write_text(module)
    (folder / name / "setup.py").write_text(
        f"{setup}\nfrom setuptools import setup\nsetup(name='{name}', version='1', "
        f"py_modules=['{name}'])\n"
    )
    return f"{name} @ file://{folder / name}"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_the_order_and_the_comments_do_not_matter() -> None:
    text = "# old\n\n pandas==1.5.3  # not 2\r\nnumpy<2\nnumpy<2\n"
    assert environments.packages(text) == ["numpy<2", "pandas==1.5.3"]
    assert environments.key(text) == environments.key("numpy<2\npandas==1.5.3")
    assert environments.key("numpy<2") != environments.key("numpy<3")
    # it is added anyway, in this version
    assert environments.key("numpy<2") == environments.key(f"numpy<2\n{WORKFLOW}")
    assert environments.key("numpy<2") != environments.key("numpy<2\nRamp_Workflow==0.6.0")


@pytest.mark.parametrize(
    "line",
    [
        "--index-url=https://example.org",
        "-r other.txt",
        "-e .",
        "./here",
        "/etc",
        "https://example.org/x.whl",
        "pandas 1.5",
        "pandas\x1b[2J",
    ],
)
def test_what_is_no_package(line: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        environments.key(f"numpy\n{line}")
    assert str(caught.value) == (
        f"{line!r} is no requirement of an environment.\n"
        "Name packages alone, such as: pandas==1.5.3"
    )


def test_mistakes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    cases = [
        (None, f"The requirements '{path}' cannot be read: No such file or directory.\n"
        "Give a text file with a package on each line."),
        (b"\xff", f"The requirements '{path}' cannot be read: it is not in UTF-8.\n"
        "Give a text file with a package on each line."),
        (b"# nothing\n", "The environment has no requirements.\nName a package on each line."),
    ]  # fmt: skip
    for content, said in cases:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InvalidValue) as caught:
            environments.read(path)
        assert str(caught.value) == said
    path.write_text("pandas==1.5.3\n# x\nnumpy\n")
    assert environments.read(path) == "numpy\npandas==1.5.3"


def test_without_requirements_it_is_our_own(settings: Settings) -> None:
    assert environments.ensure(settings, None) == Path(sys.executable)
    assert not settings.environments_path.exists()


@pytest.mark.slow
def test_what_pip_cannot_install_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed) as caught:
        environments.ensure(settings, "no-such-package @ file:///no/such/folder")
    assert caught.value.message.startswith(
        f"The environment of no-such-package @ file:///no/such/folder, {WORKFLOW} cannot be made: "
    )
    assert caught.value.hint == "Mend the requirements."
    assert names_in(settings.environments_path) == []


@pytest.mark.slow
def test_where_no_index_is_reached_it_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EnvironmentFailed) as caught:
        environments.ensure(settings, "pandas==1.5.3")
    assert str(caught.value) == (
        f"The environment of pandas==1.5.3, {WORKFLOW} cannot be made: pip reaches no package "
        "index.\nMake it where there is one."
    )


@pytest.mark.slow
def test_made_once_by_two_at_once_listed_and_pruned(
    index: None, engine: Engine, settings: Settings, make_kit: MakeKit, tmp_path: Path
) -> None:
    made: list[Path] = []
    news: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: made.append(environments.ensure(settings, OLD, news.append))
        )
        for _ in range(2)
    ]
    settings.environments_path.mkdir()
    left = settings.environments_path / f".making-{environments.key(OLD)}-killed"
    left.mkdir()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [environments.python_of(settings, OLD)] * 2
    assert news.count("python -m venv") == 1 and any("pandas" in line for line in news)
    assert names_in(settings.environments_path) == [environments.key(OLD)]
    program = made[0].with_name("ramp-test")  # it was made in another folder
    assert subprocess.run([program, "--help"], capture_output=True, check=False).returncode == 0

    # a kit that runs with nothing newer
    kit = make_kit(
        settings.kits_path,
        lines="import pandas\nif pandas.__version__ != '1.5.3': raise ImportError('too new')",
    )
    (kit / "data").mkdir()
    (kit / "data/train.csv").write_text("1")
    (tmp_path / "old.txt").write_text(OLD)

    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "invoke", "check-problem", "small", *arguments]
        here = {"DATABOARD_DEPLOYMENT_PATH": str(settings.deployment_path)}
        environment = os.environ | here
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    said = check().stderr
    assert said.startswith("problem.py of the kit small cannot be imported: ImportError: too new")
    assert said.endswith(
        f"\nMend it in {kit}. Needs it older packages? "
        "inv check-problem small --requirements=FILE\n"
    )
    assert check(f"--requirements={tmp_path / 'old.txt'}").returncode == 0
    with pytest.raises(KitError, match="too new"):
        events.add_problem(engine, settings, "small")
    events.add_problem(engine, settings, "small", requirements=OLD)
    assert kits.inspect_kit(kit, settings.data_path, made[0]).title == "Small"
    events.add_event(engine, settings, "small", "old", requirements=OLD)
    with database.reading(engine) as session:
        assert find(session, Event, "old").requirements == "numpy==1.26.4\npandas==1.5.3"
        named = environments.named_by_events(session)
    assert named == {"numpy==1.26.4\npandas==1.5.3": ["old"]}
    (there,) = environments.list_environments(settings)
    assert (there.key, there.size > 10**7) == (environments.key(OLD), True)
    assert there.requirements == ("numpy==1.26.4", "pandas==1.5.3", WORKFLOW)

    # what event names it not is removed
    (settings.environments_path / "0123456789abcdef").mkdir()
    assert environments.prune(settings, named) == ["0123456789abcdef"]
    assert made[0].exists()
    assert environments.prune(settings, {}) == [environments.key(OLD)]
    assert names_in(settings.environments_path) == []


def test_an_event_is_not_added_when_its_environment_cannot_be_made(
    engine: Engine, settings: Settings, make_kit: MakeKit
) -> None:
    make_kit(settings.kits_path)
    events.add_problem(engine, settings, "small")
    with pytest.raises(DataboardError, match="is no requirement"):
        events.add_event(engine, settings, "small", "autumn", requirements="-r x")
    with database.reading(engine) as session:
        assert events.list_events(session) == []
