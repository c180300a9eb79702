"""Where to deploy: `inventories/NAME.yml` as values."""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from databoard.config import ROOT, shown_path
from databoard.errors import InvalidValue, NotFound
from databoard.names import CONTROL, check_name, printable, suggest

if TYPE_CHECKING:
    from databoard.yamlfile import Entry

ROLES = ("web", "database", "worker")
STEPS = (
    *("preflight", "lock", "upload", "wheels", "prepare", "close", "backup", "migrate"),
    *("try", "switch", "reload", "health", "open", "prune", "unlock"),
)
FOLDER = Path(os.environ.get("DATABOARD_INVENTORIES") or ROOT / "inventories")
PLAIN_PATH = "an absolute path without '..', ':' and control characters"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z)({_LABEL}\.)*(?![0-9]+\Z){_LABEL}", re.ASCII)
MAX_SECRET = 64 * 1024  # bytes; more is not what was meant


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that is named in the inventory, never in it. Prints as `!env NAME`."""

    kind: Literal["env", "file"]
    name: str  # of the variable, or the file's absolute path
    where: str  # 'inventories/production.yml, line 12'

    def __repr__(self) -> str:
        return f"!{self.kind} {self.name}"

    def read(self) -> str:
        """The value without one newline at its end.

        Raises InvalidValue: not there, empty, no text, or a file that others may read.
        """
        what = f"the {'variable' if self.kind == 'env' else 'file'} {self.name}"
        value = os.environb.get(os.fsencode(self.name)) if self.kind == "env" else self._content()
        if value is None:
            raise InvalidValue(f"{self.where}: {what} is not set.", f"Set it: export {self.name}=…")
        try:
            text = value.decode().removesuffix("\n")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text or len(value) > MAX_SECRET:
            raise InvalidValue(f"{self.where}: {what} holds no text.", "Write the secret in UTF-8.")
        if not text:
            raise InvalidValue(f"{self.where}: {what} is empty.", "Write the secret into it.")
        return text

    def _content(self) -> bytes:
        try:
            # Not blocking, as a pipe without a writer would; what is checked is what is read.
            descriptor = os.open(self.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                reason = forbidden(status)
                content = b"" if reason else file.read(MAX_SECRET + 1)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            hint = "Write the secret into it, then: chmod 600"
            raise InvalidValue(f"{self.where}: the file {self.name} {reason}.", hint) from None
        if reason:
            raise InvalidValue(
                f"{self.where}: the file {self.name} {reason}.",
                f"It has to be yours, and yours alone: chmod 600 {self.name}",
            )
        return content


def forbidden(status: os.stat_result) -> str:
    """Why a file with this status is none for a secret; empty when it is one."""
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    return "can be read by others" if status.st_mode & 0o077 else ""


@dataclass(frozen=True)
class Web:
    """How the site is served: its public name, and how many processes serve it."""

    name: str = "localhost"
    port: int = 80  # 8080 when the connection is local
    processes: int = 2
    threads: int = 8


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database, as the hosts reach it."""

    name: str
    user: str
    password: Secret
    host: str = "127.0.0.1"
    port: int = 5432

    def url(self) -> str:
        """A URL with the password in it: not for printing. Raises InvalidValue as the secret."""
        user, password, name = (
            quote(part, safe="") for part in (self.user, self.password.read(), self.name)
        )
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        return f"postgresql://{user}:{password}@{host}:{self.port}/{name}"


Value = str | int | float | bool | Secret


@dataclass(frozen=True)
class Host:
    """A machine of a target, with the target's settings where it has none of its own."""

    name: str
    address: str
    _: KW_ONLY
    port: int = 22
    user: str
    key: Path | None = None
    roles: tuple[str, ...]
    path: PurePosixPath
    variables: Mapping[str, Value] = field(default_factory=dict, hash=False)
    becomes_root: bool = True  # for what is run there

    @property
    def home(self) -> PurePosixPath:
        """Where the application lives: the old system's layout."""
        return self.path / "datacamp" / "databoard"


@dataclass(frozen=True)
class Hook:
    """What runs before or after a step: a shell command on this machine, or a task of ours."""

    kind: Literal["command", "task"]
    text: str


@dataclass(frozen=True)
class Target:
    """An inventory that was understood."""

    name: str
    file: Path
    _: KW_ONLY
    connection: Literal["ssh", "local"] = "ssh"
    hosts: tuple[Host, ...]
    known_hosts: Path = field(default_factory=lambda: Path.home() / ".ssh" / "known_hosts")
    connect_timeout: float = 10.0  # seconds
    health_timeout: float = 60.0
    keep_releases: int = 5
    web: Web = Web()
    database: Database | None = None  # None: SQLite in the deployment, on the only host
    backups: str | None = None  # an absolute path, or user@host:/path
    hooks: Mapping[str, tuple[Hook, ...]] = field(default_factory=dict)

    @property
    def silence(self) -> float:
        """Seconds after which a host that says nothing is given up."""
        return max(4.0, 2 * self.connect_timeout)

    def with_role(self, role: str) -> tuple[Host, ...]:
        """The hosts that have it."""
        return tuple(host for host in self.hosts if role in host.roles)

    def only(self, names: Sequence[str]) -> Target:
        """The same with these hosts alone, in the inventory's order. Raises NotFound."""
        known = [host.name for host in self.hosts]
        for name in names:
            if name not in known:
                raise NotFound(
                    f"There is no host {printable(name)} in the inventory {self.name}.",
                    suggest(name, known, "Hosts"),
                )
        return replace(self, hosts=tuple(host for host in self.hosts if host.name in names))


def load(name: str, environment: Mapping[str, str] | None = None, folder: Path = FOLDER) -> Target:
    """Read `folder/NAME.yml`. `DATABOARD_PATH` wins over the paths in it.

    Raises NotFound, and InvalidValue with the line that is wrong. Reads no secret.
    """
    from databoard.fleet import inventoryfile  # with PyYAML, which completion does without

    file = folder / f"{check_name('inventory', name)}.yml"
    if not file.is_file():
        raise NotFound(
            f"There is no inventory {printable(name)} in {shown_path(folder)}.",
            suggest(name, names(folder), "Inventories"),
        )
    top, found = inventoryfile.read(file)
    env = os.environ if environment is None else environment
    return _assembled(name, file, top, found, env.get("DATABOARD_PATH"))


def names(folder: Path = FOLDER) -> list[str]:
    """The inventories there are."""
    return sorted(file.stem for file in folder.glob("*.yml") if re.match(r"\w", file.name))


def chosen(target: str | None, environment: Mapping[str, str] | None = None) -> str:
    """The typed `--target`, else `DATABOARD_TARGET`. Raises InvalidValue when there is neither."""
    env = os.environ if environment is None else environment
    name = target or env.get("DATABOARD_TARGET")
    if not name:
        raise InvalidValue(
            "No target is named.",
            "Add --target=local, =production or =test, or set DATABOARD_TARGET.",
        )
    return name


def is_address(value: str) -> bool:
    """Not `-x`, which ssh would take for an option; nor 300.1.1.1, which is no host name."""
    from ipaddress import ip_address

    try:
        return "%" not in value and bool(ip_address(value))
    except ValueError:
        return bool(HOSTNAME.fullmatch(value))


def is_plain_path(typed: str) -> bool:
    """Whether a path means the same to all: the shell, rsync and scp."""
    parts = typed.split("/")
    return typed.startswith("/") and not (".." in parts or ":" in typed or CONTROL.search(typed))


def _assembled(
    name: str, file: Path, top: Entry, found: dict[str, Any], typed_path: str | None
) -> Target:
    """A target of what stands at its keys."""
    is_local = found.get("connection") == "local"
    shared = {
        key: found.pop(key) for key in ("port", "user", "key", "path", "variables") if key in found
    }
    hosts = found.pop("hosts", {})
    if is_local:
        for key, _ in top.pairs():
            if key.what in ("hosts", "port", "user", "key"):
                raise key.wrong(
                    f"there is no key {key.what!r} with 'connection: local'",
                    "That is this machine and who you are on it; remove the key.",
                )
        me = {"address": "local", "user": _current_user(), "roles": ROLES}
        hosts = {"localhost": (top, me)}
    elif not hosts:
        raise top.wrong("the key 'hosts' is missing or empty", "Add hosts, or 'connection: local'.")
    if typed_path:
        if not is_plain_path(typed_path):
            raise InvalidValue(f"DATABOARD_PATH has to be {PLAIN_PATH}.", "Set another, or none.")
        for _, own in hosts.values():
            own["path"] = PurePosixPath(typed_path)
    default = {"path": PurePosixPath("/tmp" if is_local else "/mnt/ramp_data")}  # noqa: S108
    found["hosts"] = tuple(
        _host(host, entry, default | shared, own) for host, (entry, own) in hosts.items()
    )
    _check_together(found["hosts"], {host: entry for host, (entry, _) in hosts.items()})
    if "database" not in found and len(hosts) > 1:
        raise top.wrong(
            "the key 'database' is missing", "Without one it is SQLite, which serves one host only."
        )
    found["web"] = Web(**({"port": 8080} if is_local else {}) | found.get("web", {}))
    return Target(name, file, **found)


def _host(name: str, entry: Entry, shared: dict[str, Any], own: dict[str, Any]) -> Host:
    """A host: its own settings over those of all."""
    both = shared | own
    if "user" not in both:
        raise entry.wrong(
            f"the key 'user' is missing in the host {name}", "Add it here, or for all hosts."
        )
    variables = shared.get("variables", {}) | own.get("variables", {})
    return Host(name, **both | {"variables": variables})


def _check_together(hosts: Sequence[Host], entries: Mapping[str, Entry]) -> None:
    """What no host can know alone."""
    seen: dict[tuple[str, int], str] = {}
    for host in hosts:
        first = seen.setdefault((host.address.lower(), host.port), host.name)
        if first != host.name:
            raise entries[host.name].wrong(
                f"{host.name} has the address and port of {first}", "Give one host several roles."
            )
    holders = [host.name for host in hosts if "database" in host.roles]
    if len(holders) > 1:
        raise entries[holders[1]].wrong(
            f"{holders[1]} has the role database, as {holders[0]} has", "There is one database."
        )


def _current_user() -> str:
    """Whose process this is, whatever the environment says."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # in a container a user may be a mere number
        return str(os.geteuid())
