"""What a snapshot is: its name, its manifest, and how its last verification ended.

<time>/manifest.json    what is in it, on one line
<time>/SHA256SUMS       of every other file in it; `sha256sum --check` reads it
<time>/database/        pg_dump's directory format, or databoard.db
<time>/files/           the deployment's folders
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

MANIFEST = "manifest.json"
NAME = re.compile(r"\d{8}T\d{6}Z")
FORM = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds. Sizes are in bytes."""

    site: str
    taken_at: str  # by the clock, which may have gone back; names of snapshots never do
    seconds: float
    release: str
    revision: str  # of the database's schema
    kind: str  # postgresql or sqlite
    database: str  # its name
    server: str  # PostgreSQL's version; of SQLite, the machine and the path
    rows: dict[str, int]  # by table
    n_files: int  # all but the dump's
    size: int  # of everything
    added: int  # of what is no hard link to an older snapshot
    sums: str  # the SHA-256 of SHA256SUMS, without the line of the manifest
    family: str  # the snapshot that the oldest of its hard links was made in
    missing: tuple[str, ...] = ()  # submissions whose files were not there to be copied
    tools: dict[str, str] = field(default_factory=dict)
    format: int = 1

    def text(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True)
class Verification:
    """How a verification ended."""

    at: str
    faults: tuple[str, ...] = ()  # none: it is good

    def text(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot in a store."""

    name: str
    manifest: Manifest | None  # None: it cannot be read
    verification: Verification | None = None

    @property
    def at(self) -> datetime:
        return time_of(self.name)

    @property
    def is_damaged(self) -> bool:
        """Whether it is known not to be good."""
        return self.manifest is None or bool(self.verification and self.verification.faults)

    @property
    def is_verified(self) -> bool:
        """Whether it has been restored on trial, and was good."""
        return self.verification is not None and not self.is_damaged


def read_manifest(text: str) -> Manifest | None:
    """The manifest that was written; None when it is damaged."""
    found: Manifest | None = _read(Manifest, text)
    return found


def read_verification(text: str) -> Verification | None:
    """The verification that was written; None without one."""
    found: Verification | None = _read(Verification, text)
    return found


def next_name(now: datetime, newest: str | None) -> str:
    """The name of a snapshot that is taken now: later than all others, whatever the clock says."""
    name = now.strftime(FORM)
    if newest is not None and name <= newest:
        return (time_of(newest) + timedelta(seconds=1)).strftime(FORM)
    return name


def time_of(name: str) -> datetime:
    """The time in a name. Raises ValueError for what is no name."""
    return datetime.strptime(name, FORM).replace(tzinfo=UTC)


def _read(kind: type[Any], text: str) -> Any:
    try:
        values = json.loads(text)
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return kind(**values | lists)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
