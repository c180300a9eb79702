"""What is rolled out: a git revision of this checkout, as a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from databoard.config import ROOT
from databoard.errors import DataboardError, NotFound
from databoard.files import time_of
from databoard.names import printable

if TYPE_CHECKING:
    from databoard.migration import Migration

LOCK = "requirements.lock"
KEPT_TREES = 10


@dataclass(frozen=True)
class Source:
    """A revision of the software, exported to a folder."""

    revision: str  # 40 hex digits
    tree: str  # of its content
    is_dirty: bool
    folder: Path

    @property
    def lock(self) -> Path:
        """Its requirements."""
        return self.folder / LOCK

    def migrations(self, after: str = "") -> list[Migration]:
        """Its migrations after a revision, oldest first."""
        paths = sorted((self.folder / "migrations" / "versions").glob("*_*.py"))
        newer = [path for path in paths if path.name.split("_")[0] > after]
        if not newer:
            return []
        from databoard import migration  # with SQLAlchemy

        return list(map(migration.read, newer))


def cache_folder() -> Path:
    """What is kept between rollouts on this machine, and may be removed at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "databoard"


def export(revision: str = "", dirty: bool = False, checkout: Path = ROOT) -> Source:
    """Export a revision, or with `dirty` the files as they are here.

    Raises NotFound when there is no such revision; DataboardError when nothing is named and the
    checkout has changes that were not committed.
    """
    if not (checkout / ".git").exists():
        raise DataboardError(
            f"{checkout} is no git checkout.", "Roll out from a clone of the project."
        )
    name = revision or "HEAD"
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options")
    commit = _git(checkout, *verify, f"{name}^{{commit}}")
    if commit is None:
        raise NotFound(
            f"There is no revision {printable(name)} in {checkout}.",
            "See: git log --oneline",
        )
    changes = _git(checkout, "status", "--porcelain") or ""
    if changes and not dirty and not revision:
        paths = [line[3:] for line in changes.splitlines()]
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        raise DataboardError(
            f"{paths[0]}{more} was changed and not committed.",
            "Commit it, or roll it out as it is with --dirty, or name a --revision.",
        )
    is_dirty = dirty and bool(changes)
    if is_dirty:
        tree = _tree_of_files(checkout)
    else:
        tree = _git(checkout, *verify, f"{commit}^{{tree}}") or commit
    return Source(commit, tree, is_dirty, _exported(checkout, tree))


def _exported(checkout: Path, tree: str) -> Path:
    """The folder of a tree, made if it is not there.

    A file's time is made from its content: so rsync, which compares sizes and times, sends what
    differs and nothing else, whoever's clone it comes from; and bytecode stays valid.
    """
    folder = cache_folder() / "trees" / tree
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
        try:
            _extract(checkout, tree, partial)
            partial.chmod(0o755)
            put_in_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    os.utime(folder)
    trees = [path for path in folder.parent.iterdir() if not path.name.startswith(".")]
    for old in sorted(trees, key=os.path.getmtime)[:-KEPT_TREES]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def put_in_place(partial: Path, folder: Path) -> None:
    """Rename a folder that is complete, unless somebody else was faster."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def _extract(checkout: Path, tree: str, folder: Path) -> None:
    git = ["git", "-C", str(checkout), "archive", "--format=tar", tree]
    with subprocess.Popen(git, stdout=subprocess.PIPE) as archive:
        tar = ["tar", "-x", "--no-same-owner", "-C", str(folder)]
        extracted = subprocess.run(tar, stdin=archive.stdout, check=False)
    if archive.returncode or extracted.returncode:
        raise DataboardError(f"git archive of {tree} failed in {checkout}.", "See: git fsck")
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            digest = hashlib.sha256(path.read_bytes()).digest()
            time = time_of(digest)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (time, time))


def _tree_of_files(checkout: Path) -> str:
    """The tree of the files as they are, ignored ones left out; the checkout's index stays."""
    with tempfile.TemporaryDirectory(prefix="databoard-") as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        _git(checkout, "read-tree", "HEAD", environment=index)
        _git(checkout, "add", "--all", environment=index)
        tree = _git(checkout, "write-tree", environment=index)
    assert tree is not None
    return tree


def _git(
    checkout: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> str | None:
    """What git prints; None when it fails."""
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
