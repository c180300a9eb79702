"""Environments: the packages that old kits need, in virtual environments beside the deployment.

environments/KEY/              made once for the same requirements and the same Python
environments/KEY/venv/         what a kit, its folds and its scoring run in
environments/KEY/requirements  what it was made of
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard.apart import PYTHON
from databoard.config import ROOT, Settings
from databoard.errors import DataboardError, InvalidValue
from databoard.model.event import Event
from databoard.names import printable

WORKFLOW = "ramp-workflow"
TRY = "from databoard.training import forkserver; import rampwf"  # what a worker does first
_PACKAGE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[\w ,.-]*\])?\s*([<>=!~@;(].*)?", re.ASCII
)
_NO_INDEX = re.compile(r"NewConnectionError|NameResolutionError|ProxyError|ConnectTimeout|SSLError")
Report = Callable[[str], None]


class EnvironmentFailed(DataboardError):
    """An environment cannot be made, or is not there."""


@dataclass(frozen=True)
class Environment:
    """An environment that is there: of which requirements, and in how many bytes."""

    key: str
    requirements: tuple[str, ...]
    size: int


def read(path: Path) -> str:
    """The requirements in a file. Raises InvalidValue."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not in UTF-8"
        raise InvalidValue(
            f"The requirements {printable(str(path))} cannot be read: {reason}.",
            "Give a text file with a package on each line.",
        ) from error
    return "\n".join(packages(text))


def packages(requirements: str) -> list[str]:
    """The lines that name a package, in order of the alphabet, each once.

    Raises InvalidValue: an option, a path, or nothing at all.
    """
    lines = {line.split(" #")[0].strip() for line in requirements.splitlines()}
    found = sorted(line for line in lines if line and not line.startswith("#"))
    for line in found:
        if not _PACKAGE.fullmatch(line):
            raise InvalidValue(
                f"{printable(line[:80])} is no requirement of an environment.",
                "Name packages alone, such as: pandas==1.5.3",
            )
    if not found:
        raise InvalidValue("The environment has no requirements.", "Name a package on each line.")
    return found


def key(requirements: str) -> str:
    """What tells environments apart: a hash of the packages and of Python. Raises InvalidValue."""
    python = f"{sys.implementation.cache_tag} {platform.machine()}"
    return hashlib.sha256("\n".join([python, *_wanted(requirements)]).encode()).hexdigest()[:16]


def python_of(settings: Settings, requirements: str | None) -> Path:
    """The Python of an environment, there or not; of none, the one that runs Databoard."""
    if requirements is None:
        return PYTHON
    return settings.environments_path / key(requirements) / "venv" / "bin" / "python"


def ensure(
    settings: Settings, requirements: str | None, report: Report = lambda line: None
) -> Path:
    """The Python of an environment, which is made if it is not there: whole, or not at all.

    `report` gets what pip does, line by line. Who comes meanwhile waits. Raises InvalidValue,
    EnvironmentFailed.
    """
    python = python_of(settings, requirements)
    if requirements is None or python.exists():
        return python
    settings.environments_path.mkdir(parents=True, exist_ok=True)
    place = python.parents[2]
    with _alone(place):
        if not python.exists():
            prefix = f".making-{place.name}-"
            for left in settings.environments_path.glob(f"{prefix}*"):  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=settings.environments_path, prefix=prefix))
            try:
                _make(folder, _wanted(requirements), report)
                _rename_in_scripts(folder / "venv", place / "venv")
                shutil.rmtree(place, ignore_errors=True)  # it had no Python
                folder.chmod(0o755)
                folder.rename(place)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return python


def list_environments(settings: Settings) -> list[Environment]:
    """All that are there."""
    found = []
    for folder in sorted(settings.environments_path.glob("[0-9a-f]*")):
        file = folder / "requirements"
        wanted = tuple(file.read_text().split("\n")) if file.is_file() else ()
        inside = (path.lstat().st_size for path in folder.rglob("*"))
        found.append(Environment(folder.name, wanted, sum(inside)))
    return found


def named_by_events(session: Session) -> dict[str, list[str]]:
    """The requirements that events name, and which events do."""
    named: dict[str, list[str]] = {}
    rows = select(Event.requirements, Event.name).order_by(Event.name)
    for requirements, name in session.execute(rows.where(Event.requirements.is_not(None))):
        named.setdefault(requirements, []).append(name)
    return named


def prune(settings: Settings, named: Iterable[str]) -> list[str]:
    """Remove environments, but for those of these requirements. Returns the keys removed."""
    kept = {key(requirements) for requirements in named}
    removed = []
    for folder in sorted(settings.environments_path.glob("[0-9a-f]*")):
        if folder.name not in kept:
            with _alone(folder):
                shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    return removed


def _wanted(requirements: str) -> list[str]:
    """What is installed: ramp-workflow too, in the version that Databoard scores with."""
    wanted = packages(requirements)
    matches = [_PACKAGE.fullmatch(line) for line in wanted]
    names = {re.sub(r"[-_.]+", "-", match[1].lower()) for match in matches if match}
    return wanted if WORKFLOW in names else [*wanted, f"{WORKFLOW}=={version(WORKFLOW)}"]


def _make(folder: Path, wanted: Sequence[str], report: Report) -> None:
    report("python -m venv")
    # The Python below our own virtual environment: that may go with a release.
    base = getattr(sys, "_base_executable", None) or sys.executable
    _run([base, "-m", "venv", str(folder / "venv")], wanted, report)
    python = folder / "venv" / "bin" / "python"
    list_ = folder / "requirements"
    list_.write_text("\n".join(wanted))
    pip = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    _run([*pip, "--progress-bar=off", "--prefer-binary", f"--requirement={list_}"], wanted, report)
    # Nothing of the kit is run yet; what is missing here would be missing for each submission.
    _run([str(python), "-c", TRY], wanted, report)


def _rename_in_scripts(venv: Path, place: Path) -> None:
    """Let its programs, such as ramp-test, name the Python of the place that it is moved to."""
    for file in (*venv.glob("bin/*"), venv / "pyvenv.cfg"):
        if file.is_file() and not file.is_symlink():
            text = file.read_bytes()
            file.write_bytes(text.replace(os.fsencode(venv), os.fsencode(place)))


def _run(command: Sequence[str], wanted: Sequence[str], report: Report) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    lines = []
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            report(line.strip())
    if process.returncode:
        said = [line for line in lines if line.startswith(("ERROR: ", "error: "))] or lines
        reason = said[-1].removeprefix("ERROR: ") if said else f"exit {process.returncode}"
        hint = "Mend the requirements."
        if any(map(_NO_INDEX.search, lines)):
            reason, hint = "pip reaches no package index.", "Make it where there is one."
        raise EnvironmentFailed(
            f"The environment of {', '.join(wanted)} cannot be made: {reason}", hint
        )


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One at a time makes or removes an environment."""
    with (place.parent / f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
