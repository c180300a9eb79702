"""Fetching a kit: a clone of its repository, at one revision, whole or not at all."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from databoard.bundle import notebook_of, write_page
from databoard.errors import DataboardError, InvalidValue
from databoard.kittree import BUNDLE, PAGE
from databoard.names import check_name, printable

HOME = "https://github.com/ramp-kits"
SCHEMES = ("https", "http", "ssh", "git", "file")
AT_FDCWD, RENAME_EXCHANGE = -100, 2
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*", re.ASCII)
_NEVER_ASKS = {
    "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Fetched:
    """A kit that was fetched: where it is, at which revision, and at which it was before."""

    path: Path
    revision: str
    before: str | None
    note: str = ""


def fetch(
    name: str, kits_path: Path, url: str | None = None, revision: str | None = None
) -> Fetched:
    """Clone a kit, or bring the clone that is there to the revision, or to the newest one.

    `url` may be a local path; without it the one it came from, or ramp-kits on GitHub. Files of
    the kit's folder that git does not know, such as its data, stay. Raises InvalidValue;
    DataboardError: git fails, it is no kit, or the clone that is there was changed by hand.
    """
    place = kits_path / check_name("kit", name)
    before = _revision_of(place) if place.exists() else None
    if url is not None:
        url = check_url(url)
    elif before:
        url = _git(["config", "--get", "remote.origin.url"], place)
    else:
        url = f"{HOME}/{name}"
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise InvalidValue(
            f"{printable(revision)} is no revision.", "Give a branch, a tag or a commit."
        )
    kits_path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kits_path, prefix=".fetching-") as folder:
        clone = Path(folder) / name
        fetched = _clone(url, clone, revision, place if before else None)
        if fetched == before:
            return Fetched(place, fetched, before, _page(place))
        if not (clone / "problem.py").is_file():
            raise DataboardError(
                f"There is no kit in {url} at {fetched[:12]}: it has no problem.py.",
                "Look at its other branches, and give one with --revision.",
            )
        if before:
            _keep_what_git_does_not_know(place, clone)
        note = _page(clone)
        clone.chmod(0o755)
        if before:
            _exchange(clone, place)
        else:
            clone.rename(place)
    return Fetched(place, fetched, before, note)


def check_url(url: str) -> str:
    """Return `url`, a path as an absolute one.

    Raises InvalidValue: an option, a program, a way that is not known, or a password in it.
    """
    path = Path(url).expanduser()
    is_way = re.fullmatch(r"[A-Za-z0-9+.-]+://[^\s]+", url, re.ASCII)
    is_ssh = re.fullmatch(r"([\w.-]+@)?[\w][\w.-]*:[^:\s-][^:\s]*", url, re.ASCII)
    if url.startswith("-") or "::" in url or not url.isprintable():
        pass
    elif is_way and urlsplit(url).scheme.lower() in SCHEMES:
        parts = urlsplit(url)
        if parts.password is not None:
            raise InvalidValue(
                f"The URL of {parts.hostname} holds a password.",
                "Leave it out, and have git know it: git help credentials",
            )
        if not (parts.hostname or "").startswith("-") and not (parts.username or "").startswith(
            "-"
        ):
            return url
    elif path.is_dir():
        return str(path.resolve())
    elif is_ssh and not is_way:
        return url
    raise InvalidValue(
        f"{printable(url)} is no repository.",
        f"Give a folder that is there, or a URL with one of: {', '.join(SCHEMES)}.",
    )


def _revision_of(place: Path) -> str:
    """Of the clone that is there. Raises DataboardError: it is none, or has other changes."""
    if not (place / ".git").is_dir():
        raise DataboardError(
            f"{place} was not fetched: it is no git clone.", "Move it away to have it fetched."
        )
    changes = _git(["status", "--porcelain", "--untracked-files=no"], place)
    if changes:
        raise DataboardError(
            f"{place} has changes that are not in its repository: {changes.split()[-1]}.",
            f"Keep them elsewhere, and then: git -C {place} checkout -- .",
        )
    return _git(["rev-parse", "HEAD"], place)


def _clone(url: str, clone: Path, revision: str | None, known: Path | None) -> str:
    """Clone at the revision; what is `known` already is not sent again. Returns the commit."""
    borrowed = [f"--reference={known}", "--dissociate"] if known else []
    options = ["--no-checkout", "--no-recurse-submodules", "--quiet", *borrowed]
    _git(["clone", *options, "--", url, str(clone)], clone.parent)
    wanted = [f"origin/{revision}", revision] if revision else ["origin/HEAD", "HEAD"]
    for each in wanted:
        try:
            commit = _git(["rev-parse", "--quiet", "--verify", f"{each}^{{commit}}"], clone)
            break
        except DataboardError:
            continue
    else:
        raise DataboardError(
            f"There is no revision {printable(revision)} in {url}."
            if revision
            else f"There is nothing in {url}.",
            "Give a branch, a tag or a commit.",
        )
    _git(["checkout", "--quiet", "--detach", commit], clone)
    if absent := _git(["ls-files", "--deleted"], clone).splitlines():
        raise DataboardError(
            f"{url} holds no content of {absent[0]}, only its name.", "Fetch from a whole clone."
        )
    return commit


def _keep_what_git_does_not_know(place: Path, clone: Path) -> None:
    """Link data and the like into the new clone, which has its own of what git knows."""
    listed = _git(["ls-files", "--others", "-z"], place)
    for where in filter(None, listed.split("\0")):
        old, new = place / where, clone / where
        if where == BUNDLE or where.endswith(PAGE):  # made of what is there
            continue
        if old.is_symlink() or not old.is_file() or os.path.lexists(new):
            continue
        if any(parent.is_symlink() for parent in new.parents if clone in parent.parents):
            continue  # it would lead elsewhere now
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            os.link(old, new)
        except FileExistsError:  # a file where there was a folder
            continue


def _page(kit: Path) -> str:
    notebook = notebook_of(kit)
    return write_page(notebook) if notebook.is_file() else ""


def _exchange(new: Path, old: Path) -> None:
    """Change both by one step, so that a worker finds one or the other."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    paths = os.fsencode(new), os.fsencode(old)
    if renameat2 and not renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE):
        return
    aside = new.with_name(f"{new.name}.before")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise


def _git(arguments: Sequence[str], folder: Path) -> str:
    """Run git without questions, and without a kit's hooks. Raises DataboardError."""
    if shutil.which("git") is None:
        raise DataboardError("There is no git on this machine.", "Install it: apt-get install git")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *arguments],
        cwd=folder,
        env=kept | _NEVER_ASKS,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it failed"]
        said = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise DataboardError(
            f"git {arguments[0]} failed: {said.removeprefix('fatal: ')}",
            "See whether the URL is right, and reached from here.",
        )
    return done.stdout.decode(errors="replace").strip()
