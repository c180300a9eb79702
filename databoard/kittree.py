"""The files of a kit: which are sent, who may read them, and a copy that holds nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from databoard import kits
from databoard.errors import KitError
from databoard.files import open_plain, time_of
from databoard.names import printable

PRIVATE = ("data/private", "data/raw", "deposited_submissions")
LEFT_OUT = (".git", "__pycache__", ".ipynb_checkpoints")
DECIDES_SCORES = ("problem.py", "external_imports", "data")
BUNDLE, PAGE, DIGEST = "starting_kit.zip", "_starting_kit.html", "digest"
DIGEST_IN_KIT = f".{DIGEST}"
CHUNK = 1 << 20

Where = PurePosixPath  # in the kit, or in its data
TOP = Where()


def is_private_in_kit(where: Where) -> bool:
    """Whether only workers may read it."""
    return any(where.is_relative_to(private) for private in PRIVATE)


def is_left_out_of_kit(where: Where) -> bool:
    """Whether it is made anew: here, or by ramp-test on somebody's machine."""
    is_output = where.parts[:1] == ("submissions",) and where.name == "training_output"
    return is_output or str(where) in (BUNDLE, DIGEST_IN_KIT) or _is_page(where)


def is_public(where: Where) -> bool:
    """Whether a file of a kit is for teams to download."""
    if is_private_in_kit(where) or any(part.startswith(".") for part in where.parts):
        return False
    if where.parts[0] == "submissions":
        return where.parts[1:2] == (kits.STARTING_KIT,)
    return where != Where(BUNDLE) and not _is_page(where)


def _is_page(where: Where) -> bool:
    """Whether it is made of the notebook."""
    return len(where.parts) == 1 and where.name.endswith(PAGE)


def digest_of(kit: Mapping[str, str], data: Mapping[str, str]) -> str:
    """Of all that scores depend on, from the SHA-256 of each file.

    `problem_scripts.SEE` computes the same on hosts.
    """

    def listing(files: Mapping[str, str]) -> bytes:
        lines = sorted((os.fsencode(f"./{path}"), digest) for path, digest in files.items())
        return b"".join(digest.encode() + b"  " + path + b"\0" for path, digest in lines)

    decisive = {path: kit[path] for path in kit if Where(path).parts[0] in DECIDES_SCORES}
    return hashlib.sha256(listing(decisive) + b"\0" + listing(data)).hexdigest()


@dataclass(frozen=True)
class Copy:
    """Copies a kit, or its data: plain files alone, modes made alike, links followed."""

    name: str  # of the kit
    source: Path  # without links in it
    destination: Path
    is_private: Callable[[Where], bool]
    is_left_out: Callable[[Where], bool] = lambda where: False
    digests: dict[str, str] = field(default_factory=dict)  # the SHA-256 of each copied file

    def folder(self, folder: Path, at: Where = TOP, within: tuple[Path, ...] = ()) -> None:
        """Copy a folder of the source, or one that a link leads to; `within` are those around it.

        Raises KitError: a link that leaves the source, runs in circles or shows what is private;
        a pipe or a device; a name that is no text.
        """
        if folder in within:
            raise self.refused(at, "is a link that runs in circles", "Remove the link.")
        (self.destination / at).mkdir()
        (self.destination / at).chmod(0o750 if self.is_private(at) else 0o755)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            where = at / entry.name
            if entry.name in LEFT_OUT or self.is_left_out(where):
                continue
            if any("\ud800" <= character <= "\udfff" for character in entry.name):
                raise self.refused(where, "has a name that is no text", "Rename it, in UTF-8.")
            path = Path(entry.path)
            if entry.is_symlink():
                path = self.followed(path, where)
            if path.is_dir():
                self.folder(path, where, (*within, folder))
            elif path.is_file():
                self.file(path, where)
            else:
                raise self.refused(where, "is neither a file nor a folder", "Remove it.")

    def file(self, path: Path, where: Where) -> None:
        source = open_plain(path)
        if source is None:  # it was one a moment ago
            raise self.refused(where, "is neither a file nor a folder", "Remove it.")
        digest = hashlib.sha256()
        with source, open(self.destination / where, "xb") as copy:
            mode = 0o755 if os.fstat(source.fileno()).st_mode & 0o100 else 0o644
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                copy.write(chunk)
        mode &= 0o750 if self.is_private(where) else 0o755
        finish(self.destination / where, digest.digest(), mode)
        self.digests[str(where)] = digest.hexdigest()

    def followed(self, path: Path, where: Where) -> Path:
        """Where a link leads to."""
        try:
            there = path.resolve(strict=True)
            inside = Where(there.relative_to(self.source))
        except (OSError, RuntimeError, ValueError):
            leads_to = printable(os.readlink(path))
            raise self.refused(
                where,
                f"is a link that leads out of it, or nowhere: {leads_to}",
                "Put there what is meant, or a link to something within.",
            ) from None
        parents = [inside, *inside.parents]
        if set(inside.parts) & set(LEFT_OUT) or any(map(self.is_left_out, parents)):
            raise self.refused(where, f"is a link to {inside}, which is not sent", "Remove it.")
        if self.is_private(inside) and not self.is_private(where):
            raise self.refused(
                where, f"is a link to {inside}, which teams may not see", "Remove the link."
            )
        return there

    def refused(self, where: Where, reason: str, hint: str) -> KitError:
        path = printable(str(self.source / where))
        return KitError(f"{path} of the kit {self.name} {reason}.", hint)


def finish(path: Path, digest: bytes, mode: int = 0o644) -> None:
    """Equal files get equal times and modes: so rsync sends what differs, and nothing else."""
    path.chmod(mode)
    time = time_of(digest)
    os.utime(path, (time, time))
