"""SHA256SUMS: the checksums of a snapshot's files, in the order of their names.

New files are read; of hard links to an older snapshot the checksum is known. Nothing here grows
with the number of files: names and checksums are streams in one order, byte by byte.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from databoard.backup.snapshot import MANIFEST
from databoard.backup.store import Store
from databoard.errors import DataboardError

FILE = "SHA256SUMS"
Sum = tuple[bytes, str]  # a path in the snapshot, and the checksum in hexadecimal digits
BATCH = 2000
_ESCAPED, _MEANS = re.compile(rb"\\(.)", re.DOTALL), {b"n": b"\n", b"r": b"\r"}

# The names of files with one link, or with several.
NAMES = """
cd "$name"
find . -type f -links "$links" -printf '%P\\0' | LC_ALL=C sort -z -S 32M
"""

CHECK = """
cd "$name"
LC_ALL=C sha256sum --check --quiet --strict 2>&1 || true
"""


class Damaged(DataboardError):
    """A file that is not as it was written."""


@dataclass(frozen=True)
class Summing:
    """The checksums of a snapshot that is being made."""

    store: Store
    name: str
    base: Path | None  # SHA256SUMS of the snapshot that it links to
    sources: Mapping[bytes, Path]  # where its folders can be read here
    scratch: Path

    def write(self, submissions: Path) -> list[str]:
        """Write SHA256SUMS into the folder `about`.

        `submissions` has a line for each submission in the dump: its folder and its digest. Returns
        the folders of those whose files are not in the snapshot. Raises DataboardError: the store
        has other files than were sent.
        """
        about = self.scratch / "about"
        about.mkdir(mode=0o700)
        with submissions.open() as lines_, (about / FILE).open("wb") as file:
            watch = Watch(lines_)
            file.writelines(lines(watch.over(self._sums())))
        if self.store.here is None:
            wrong = self.store.run(CHECK, (self.scratch / "new").read_bytes(), name=self.name)
            if wrong:
                raise DataboardError(
                    f"The store has other files than were sent: {wrong.splitlines()[0]}.",
                    "Repeat the command.",
                )
        return watch.missing

    def _sums(self) -> Iterator[Sum]:
        fresh, linked = (self._names(links) for links in ("1", "+1"))
        with (
            fresh.open("rb") as names,
            linked.open("rb") as others,
            (self.base or Path(os.devnull)).open("rb") as before,
            (self.scratch / "new").open("wb") as noted,
        ):
            new = _noting(hashed(records(names), self._path), noted)
            yield from heapq.merge(new, known(records(others), read(before)))

    def _names(self, links: str) -> Path:
        path = self.scratch / f"links{links}"
        with path.open("wb") as file:

            def take(chunk: bytes) -> None:
                file.write(chunk)

            self.store.run(NAMES, sink=take, name=self.name, links=links)
        return path

    def _path(self, name: bytes) -> bytes:
        folder, _, rest = name.partition(b"/")
        return os.path.join(os.fsencode(self.sources[folder]), rest)


class Watch:
    """Sees whether each submission has files among those that pass by."""

    def __init__(self, submissions: Iterable[str]) -> None:
        self.missing: list[str] = []
        self._rows = (line.split() for line in submissions)

    def over(self, sums: Iterable[Sum]) -> Iterator[Sum]:
        """The same, all of them."""
        folder, digest = next(self._rows, ("", ""))
        for path, checksum in sums:
            yield path, checksum
            parts = path.split(b"/", 4)
            if not folder or parts[:2] != [b"files", b"submissions"] or len(parts) < 5:
                continue
            while folder and folder.encode() < parts[2]:
                self.missing.append(folder)
                folder, digest = next(self._rows, ("", ""))
            if folder.encode() == parts[2] and parts[3] in (b"files", f"files-{digest}".encode()):
                folder, digest = next(self._rows, ("", ""))
        while folder:
            self.missing.append(folder)
            folder, digest = next(self._rows, ("", ""))


def _noting(sums: Iterable[Sum], file: BinaryIO) -> Iterator[Sum]:
    for each in sums:
        file.writelines(lines([each]))
        yield each


def hashed(names: Iterable[bytes], path_of: Callable[[bytes], bytes]) -> Iterator[Sum]:
    """The checksums of files, in the order of the names. Raises OSError."""

    def read_one(name: bytes) -> Sum:
        with open(path_of(name), "rb", buffering=0) as file:
            return name, hashlib.file_digest(file, "sha256").hexdigest()

    remaining = iter(names)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(remaining, BATCH)):
            yield from pool.map(read_one, batch)


def seal(written: Iterable[bytes]) -> str:
    """The SHA-256 of all lines but that of the manifest, which has it."""
    digest = hashlib.sha256()
    for line in written:
        if line[64:] != f"  {MANIFEST}\n".encode():
            digest.update(line)
    return digest.hexdigest()


def known(names: Iterable[bytes], sums: Iterable[Sum]) -> Iterator[Sum]:
    """The checksums of those names alone, out of `sums`. Raises DataboardError: one is missing."""
    remaining = iter(sums)
    for name in names:
        path, digest = next((each for each in remaining if each[0] >= name), (b"", ""))
        if path != name:
            raise DataboardError(
                f"The snapshot before has no checksum of {os.fsdecode(name)}.",
                "Verify it: inv verify-backup",
            )
        yield path, digest


def lines(sums: Iterable[Sum]) -> Iterator[bytes]:
    """As GNU's sha256sum writes them."""
    for path, digest in sums:
        escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        mark = b"\\" if escaped != path else b""
        yield mark + digest.encode() + b"  " + escaped + b"\n"


def read(file: BinaryIO) -> Iterator[Sum]:
    """The checksums in a file. Raises Damaged."""
    for line in file:
        mark, rest = (line[:1], line[1:]) if line.startswith(b"\\") else (b"", line)
        digest, path = rest[:64], rest[66:].removesuffix(b"\n")
        if len(digest) < 64 or rest[64:66] != b"  " or not path or not line.endswith(b"\n"):
            raise Damaged(f"{FILE} is damaged.", "Verify it: inv verify-backup")
        if mark:
            path = _ESCAPED.sub(lambda match: _MEANS.get(match[1], match[1]), path)
        yield path, digest.decode("ascii", "replace")


def records(file: BinaryIO) -> Iterator[bytes]:
    """What stands between the zero bytes of a file."""
    rest = b""
    while chunk := file.read(1 << 16):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest
