"""Where a store is: a folder of this machine, or one behind SSH."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from databoard.errors import InvalidValue
from databoard.fleet.inventory import Host, Target, is_address, is_plain_path
from databoard.fleet.rollout import migrating_host
from databoard.names import printable

_HOST = r"(?:(?P<user>[A-Za-z_][\w.-]*)@)?(?P<host>[^@:/\s]+)"
_REMOTE = re.compile(_HOST + r":(?P<path>/(?!/).*)", re.ASCII)
_WITH_PORT = re.compile("ssh://" + _HOST + r"(?::(?P<port>\d{1,5}))?(?P<path>/.*)", re.ASCII)
MAX_PORT = 65535


@dataclass(frozen=True)
class Place:
    """A folder, `path` on `host`; without one it is on this machine."""

    path: str
    host: str = ""
    user: str = ""
    key: Path | None = None
    port: int = 22
    through: Target | None = None  # a host of the fleet, on which we are root
    is_read_only: bool = False

    def __str__(self) -> str:
        if not self.host:
            return self.path
        if self.port == 22:
            return f"{self.user}@{self.host}:{self.path}"
        return f"ssh://{self.user}@{self.host}:{self.port}{self.path}"

    def target(self) -> Target:
        """The machine it is on, as the fleet opens it."""
        if self.through is not None:
            return self.through
        host = Host(
            self.host or "localhost",
            self.host or "local",
            port=self.port,
            user=self.user,
            key=self.key,
            roles=(),
            path=PurePosixPath(self.path),
            becomes_root=False,
        )
        return Target("store", Path(), connection="ssh" if self.host else "local", hosts=(host,))


def of_target(target: Target) -> Place:
    """Where a target keeps its snapshots: what its inventory says, or the deployment's folder.

    A path is one on the host of the database, where we are root. Raises InvalidValue.
    """
    host = migrating_host(target)
    path = target.backups or f"{host.home}/shared/backups"
    if not path.startswith("/"):
        return read(path)
    if target.connection == "local":
        return Place(path)
    return Place(path, host.address, host.user, through=target.only([host.name]))


def read(text: str, environment: Mapping[str, str] | None = None) -> Place:
    """`/path`, `user@host:/path` or `ssh://user@host:port/path`.

    SCIENCEFS_LOGIN and SCIENCEFS_ID name another user and the private key. Raises InvalidValue.
    """
    env = os.environ if environment is None else environment
    with_port = _WITH_PORT.fullmatch(text)
    remote = with_port or _REMOTE.fullmatch(text)
    port = int(with_port["port"] or 22) if with_port else 22
    path = remote["path"] if remote else text
    is_there = not remote or (is_address(remote["host"]) and 0 < port <= MAX_PORT)
    if not (is_plain_path(path) and is_there):
        raise InvalidValue(
            f"The store {printable(text)} is no place.",
            "Write /path, user@host:/path or ssh://user@host:port/path.",
        )
    path = path.rstrip("/") or "/"
    if not remote:
        return Place(path)
    place = Place(path, remote["host"], remote["user"] or pwd.getpwuid(os.geteuid()).pw_name)
    key = env.get("SCIENCEFS_ID")
    return replace(
        place,
        port=port,
        user=env.get("SCIENCEFS_LOGIN") or place.user,
        key=Path(key).expanduser().absolute() if key else None,
    )
