"""./inv in a small project of its own: the real script, venv and pip; a lock of one package."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]
INSTALLING = "Installing Databoard into .venv (once) ...\n"
TASKS = '''
import fcntl, os, sys
from invoke import task

@task
def where(c):
    """Print the current folder, this project and what may be imported."""
    import databoard
    print(os.getcwd(), os.path.dirname(__file__), os.path.dirname(databoard.__file__))

@task
def take_turn(c):
    with open(os.path.join(os.path.dirname(__file__), ".venv.lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

@task
def give_up(c):
    sys.exit(7)
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that is not installed yet; the blank in its name is on purpose."""
    return small_project(tmp_path / "a project")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first use, for tests that leave it as it is."""
    project = small_project(tmp_path_factory.mktemp("installed") / "a project")
    first = inv(project, "--list")
    assert (first.returncode, first.stderr) == (0, INSTALLING)
    assert "give-up" in first.stdout
    return project


def small_project(folder: Path) -> Path:
    (folder / "databoard").mkdir(parents=True)
    (folder / "databoard/__init__.py").touch()
    (folder / "tasks.py").write_text(TASKS)
    lock = (PROJECT / "requirements.lock").read_text()
    invoke = re.search(r"^invoke==.*?(?=^\S)", lock, re.MULTILINE | re.DOTALL)
    assert invoke is not None
    (folder / "requirements.lock").write_text(invoke.group())
    shutil.copy(PROJECT / "inv", folder)
    return folder


def inv(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ./inv with the Python of the tests for making .venv, unless PYTHON says otherwise."""
    command = [project / "inv", *arguments]
    settings = {"PYTHON": sys.executable, **environment}
    return subprocess.run(
        command, env=surroundings(settings), cwd="/", capture_output=True, text=True, timeout=120
    )


def surroundings(settings: dict[str, str]) -> dict[str, str]:
    return {**{name: text for name, text in os.environ.items() if name != "PYTHON"}, **settings}


def start(project: Path) -> subprocess.Popen[str]:
    """Start ./inv in a process group of its own."""
    return subprocess.Popen(
        [project / "inv", "where"],
        env=surroundings({"PYTHON": sys.executable}),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.01)


# Later uses


def test_later_use_is_silent_and_starts_no_python_of_its_own(installed: Path) -> None:
    result = inv(installed, "where", PYTHON="/nowhere/python3")

    assert result.stderr == ""
    assert result.stdout == f"/ {installed} {installed}/databoard\n"


def test_relative_names_mean_what_the_caller_meant(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(os.path.relpath(installed / "inv", tmp_path))

    for command in (
        ["../link"],
        ["sh", "../link"],
        [os.path.relpath(installed / "inv", tmp_path / "here")],
    ):
        output = subprocess.check_output([*command, "where"], cwd=tmp_path / "here", text=True)
        assert output == f"{tmp_path}/here {installed} {installed}/databoard\n"


def test_found_on_the_path(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{installed}:{os.environ['PATH']}"}
    output = subprocess.check_output(
        ["sh", "-c", "inv where"], cwd=tmp_path, env=environment, text=True
    )
    assert output == f"{tmp_path} {installed} {installed}/databoard\n"


def test_exit_status_is_the_command_s(installed: Path) -> None:
    assert inv(installed, "give-up").returncode == 7


def test_packages_are_compiled_and_tasks_is_importable(installed: Path) -> None:
    sources, compiled = (
        set(installed.glob(f".venv/lib/*/site-packages/invoke/{p}")) for p in ("*.py", "*/*.pyc")
    )
    assert len(sources) == len(compiled) > 0

    python = installed / ".venv/bin/python"
    code = "import databoard, tasks; print(tasks.__file__)"
    assert (
        subprocess.check_output([python, "-c", code], cwd="/", text=True)
        == f"{installed}/tasks.py\n"
    )


# Installing again


@pytest.mark.slow
def test_installs_again_when_the_lock_changed_and_only_then(project: Path) -> None:
    assert inv(project, "where").stderr == INSTALLING
    extra = project / ".venv/databoard-test.stamp"  # what inv test leaves in .venv
    extra.touch()
    (project / "requirements.lock").touch()
    assert inv(project, "where").stderr == ""
    assert extra.exists()

    with open(project / "requirements.lock", "a") as lock:
        lock.write("# another line\n")
    # this time from a shell that has .venv activated, so that python3 goes away with it
    again = inv(project, "where", PYTHON="", PATH=f"{project}/.venv/bin:{os.environ['PATH']}")
    assert (again.returncode, again.stderr) == (0, INSTALLING)
    assert not extra.exists(), ".venv holds what the lock says and nothing else"
    assert inv(project, "where").stderr == ""


@pytest.mark.slow
def test_installs_again_in_a_copy_at_another_place(installed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(installed, copy, symlinks=True)

    result = inv(copy, "where", "take-turn")  # the turn to install is over when the command runs
    assert (result.stdout, result.stderr) == (f"/ {copy} {copy}/databoard\n", INSTALLING)
    assert result.returncode == 0


@pytest.mark.slow
def test_installs_again_when_the_python_went_away(project: Path) -> None:
    inv(project, "where")
    (project / ".venv/bin/python").unlink()
    (project / ".venv/bin/python").symlink_to("/nowhere/python3.11")

    result = inv(project, "where")
    assert (result.returncode, result.stderr) == (0, INSTALLING)


# Interrupted, and two at once


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["bin/python", "bin/pip", "install.log", "bin/inv"])
def test_killed_installation_is_repaired(project: Path, moment: str) -> None:
    first = start(project)
    wait_for((project / ".venv" / moment).exists)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()

    result = inv(project, "where")
    assert (result.returncode, result.stderr) == (0, INSTALLING)
    assert inv(project, "where").stderr == ""


@pytest.mark.slow
def test_pip_that_outlived_its_caller_is_waited_for(project: Path) -> None:
    first = start(project)
    wait_for((project / ".venv/bin/python").exists)
    first.kill()  # the script alone: what it started goes on
    first.wait()

    result = inv(project, "where")
    assert result.returncode == 0
    assert result.stderr == "Waiting for another installation of Databoard ...\n" + INSTALLING
    first.communicate()


@pytest.mark.slow
def test_two_at_once_install_once(project: Path) -> None:
    both = [start(project), start(project)]
    results = [process.communicate(timeout=120) for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert {output for output, _ in results} == {f"/ {project} {project}/databoard\n"}
    assert sorted(errors for _, errors in results) == [
        INSTALLING,
        "Waiting for another installation of Databoard ...\n",
    ]


# What is missing. The Pythons here are fakes, small scripts, for the machine has no such Pythons.


def fake_python(folder: Path, script: str) -> str:
    folder.mkdir()
    python = folder / "python3"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return str(python)


def refusal(project: Path, python: str, **environment: str) -> str:
    """What ./inv says; it must leave nothing behind."""
    before = sorted(project.iterdir())
    result = inv(project, "where", PYTHON=python, **environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert sorted(project.iterdir()) == before
    return result.stderr


def test_no_python(project: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("cksum", "readlink"):
        (programs / name).symlink_to(str(shutil.which(name)))

    assert refusal(project, "", PATH=str(programs)) == (
        "Databoard needs Python 3.11 or newer, but there is no python3"
        " (Debian: apt-get install python3-venv).\n"
    )


def test_python_too_old(project: Path, tmp_path: Path) -> None:
    python = fake_python(tmp_path / "old", "echo 3.9.18; exit 1")

    assert refusal(project, python) == (
        f"Databoard needs Python 3.11 or newer, but {python} is 3.9.18;"
        " name another: PYTHON=python3.12 ./inv\n"
    )


def test_no_venv_module(project: Path, tmp_path: Path) -> None:
    script = f'case "$2" in *ensurepip*) exit 1;; *) exec "{sys.executable}" "$@";; esac'
    python = fake_python(tmp_path / "bare", script)

    version = ".".join(map(str, sys.version_info[:3]))
    assert refusal(project, python) == (
        f"Python {version} ({python}) has no venv module; on Debian: apt-get install python3-venv\n"
    )


def test_folder_that_cannot_be_written_to() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # tmp_path is closed to other users
        Path(folder).chmod(0o755)
        project = small_project(Path(folder, "project"))
        python = fake_python(Path(folder, "new"), "echo 3.11.7")
        project.chmod(0o555)
        someone: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
        result = subprocess.run(
            [project / "inv", "where"],
            env=surroundings({"PYTHON": python}),
            capture_output=True,
            text=True,
            cwd="/",
            **someone,
        )
        project.chmod(0o755)

    assert result.returncode == 1
    assert result.stderr == (
        f"Databoard is not installed yet, and {project} cannot be written to by this user.\n"
    )


@pytest.mark.slow
def test_pip_fails(project: Path) -> None:
    lock = (project / "requirements.lock").read_text()
    wrong = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock)
    (project / "requirements.lock").write_text(wrong)

    result = inv(project, "where")
    assert result.returncode == 1
    assert result.stderr.startswith(INSTALLING)
    assert "Expected sha256 " + "0" * 64 in result.stderr
    assert result.stderr.endswith(
        f"Installing Databoard failed, see above and {project}/.venv/install.log;"
        " check the network, then call ./inv again.\n"
    )

    (project / "requirements.lock").write_text(lock)
    assert inv(project, "where").returncode == 0
