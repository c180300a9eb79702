"""Where kits come from: cloned with git, whole or not at all, and brought up to date later."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from databoard.config import Settings
from databoard.errors import DataboardError, InvalidValue, KitError
from databoard.names import check_name, printable

COLLECTION = "https://github.com/ramp-kits"
PROTOCOLS = "file:git:http:https:ssh"
OURS = (".", ":(exclude)starting_kit.zip", ":(exclude)*_starting_kit.html")  # made anew here
_URL = re.compile(r"(https?|ssh|git|file)://[^\s]+|([\w.-]+@)?[\w.-]+:(?!//)[^\s]+", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}", re.ASCII)


@dataclass(frozen=True)
class Fetched:
    """A kit as it is now; `before` is empty when it is new."""

    folder: Path
    revision: str  # 40 hex digits
    before: str = ""


def fetch(settings: Settings, name: str, url: str = "", revision: str = "") -> Fetched:
    """Clone a kit, or bring a cloned one to a revision; by default the newest of its origin.

    Raises InvalidValue (no URL or revision), KitError: git fails, it is no kit, it has changes of
    its own. Then what was there stays.
    """
    place = settings.kits_path / check_name("problem", name)
    if revision and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise InvalidValue(
            f"{printable(revision)} is no revision.", "Give a commit, a tag or a branch."
        )
    if place.is_symlink() or (place.exists() and not (place / ".git").exists()):
        raise KitError(
            f"The kit {name} was put into {place} by hand.", "Move it away, then fetch it."
        )
    if place.exists():
        return _update(place, _checked(url) if url else "", revision)
    settings.kits_path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.kits_path, prefix=".fetching-") as folder:
        clone = Path(folder) / name
        _git("clone", "--quiet", "--", _checked(url or f"{COLLECTION}/{name}"), str(clone))
        if revision:
            _git("-C", str(clone), "checkout", "--quiet", "--detach", _commit(clone, revision))
        _check_kit(clone)
        clone.chmod(0o755)
        clone.rename(place)
    return Fetched(place, _commit(place, "HEAD"))


def _update(place: Path, url: str, revision: str) -> Fetched:
    git = ("-C", str(place))
    before = _commit(place, "HEAD")
    changed = _git(*git, "status", "--porcelain", "--untracked-files=no", "--", *OURS).splitlines()
    if changed:
        files = ", ".join(line[3:] for line in changed[:3])
        raise KitError(
            f"The kit {place.name} has changes of its own in {place}: {files}.",
            "Commit them, or take them back: git checkout .",
        )
    if url:
        _git(*git, "remote", "set-url", "origin", url)
    _git(*git, "fetch", "--quiet", "--tags", "--prune", "origin")
    _git(*git, "remote", "set-head", "origin", "--auto")
    after = _commit(place, revision or "origin/HEAD")
    _git(*git, "checkout", "--quiet", "--force", "--detach", after)
    try:
        _check_kit(place)
    except KitError:
        _git(*git, "checkout", "--quiet", "--force", "--detach", before)
        raise
    return Fetched(place, after, before)


def _checked(url: str) -> str:
    """An URL or a folder here that git may clone. Raises InvalidValue."""
    folder = Path(url).expanduser()
    if not url.startswith("-") and folder.is_dir():
        return str(folder.resolve())
    if url.startswith("-") or "::" in url or not _URL.fullmatch(url):
        raise InvalidValue(
            f"{printable(url)} is no repository.",
            "Give https://host/path, ssh://host/path, user@host:path or a folder here.",
        )
    if re.match(r"\w+://[^/@]*:[^/@]*@", url):  # it would lie in the kit's .git for all to read
        raise InvalidValue(
            "The URL holds a password.",
            "Give it to git instead: git config --global credential.helper store",
        )
    return url


def _commit(folder: Path, revision: str) -> str:
    """The commit that a revision names here, or at its origin. Raises KitError."""
    for name in (revision, f"origin/{revision}"):
        words = ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}"]
        done = _run("-C", str(folder), *words)
        if done.returncode == 0:
            return done.stdout.strip()
    raise KitError(
        f"The kit {folder.name} has no revision {printable(revision)}.",
        "Give a commit, a tag or a branch of its repository.",
    )


def _check_kit(folder: Path) -> None:
    if not (folder / "problem.py").is_file():
        raise KitError(f"The repository of {folder.name} is no kit: it has no problem.py.")


def _git(*words: str) -> str:
    """What git prints. Raises KitError with its last line."""
    done = _run(*words)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it failed"]
        said = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])
        raise KitError(f"git {said}", "Check the name, the --url and the network.")
    return done.stdout


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    # A repository decides nothing here: no protocols that run programs, no questions.
    alone = {"GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words],
            env=kept | alone,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise DataboardError("git is not installed.", "Install it: apt-get install git") from None
