"""What there is on a host: read by one script, and nothing is changed."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from databoard.errors import DataboardError
from databoard.fleet.inventory import Target
from databoard.fleet.lock import Owner
from databoard.fleet.machine import Machine
from databoard.fleet.render import WEB_USER, WORKER_USER
from databoard.fleet.shell import assign, words
from databoard.fleet.wheels import Platform

PROGRAMS = ("rsync", "flock", "python3", "curl")
WEB_PROGRAMS = ("apache2ctl", "setpriv")

SURVEY = """
fact() { printf '@%s %s\\n' "$1" "$2"; }
PATH=$PATH:/usr/sbin:/sbin
if [ "$wants_test" = 1 ]; then
    for program in $programs; do command -v "$program" >/dev/null || fact missing "$program"; done
    fact python "$(python3 -ISc 'import sys; print("%d.%d" % sys.version_info[:2])' 2>&1 || true)"
    python3 -ISc 'import ensurepip, venv' 2>/dev/null || fact missing python3-venv
    for user in $users; do id -u "$user" >/dev/null 2>&1 || fact missing "user $user"; done
    fact machine "$(uname -m)"
    fact glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null || true)"
fi
folder=$home; while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
fact disk "$(df -Pk "$folder" | awk 'NR == 2 { print $4, $2 }')"
fact inodes "$(df -Pi "$folder" | awk 'NR == 2 { print $4 }')"
for path; do [ ! -f "$path" ] || fact file "$path $(base64 -w0 <"$path")"; done
if [ "$is_apache" = 1 ] && command -v apache2ctl >/dev/null; then
    [ "$wants_test" = 0 ] || said=$(apache2ctl configtest 2>&1) ||
        fact invalid "$(echo "$said" | tr '\\n' ' ')"
    if pidof apache2 >/dev/null; then fact apache active; else fact apache inactive; fi
fi
if [ "$is_worker" = 1 ]; then
    fact worker "$(systemctl is-active databoard-worker 2>/dev/null || true)"
fi
[ ! -x "$home/bin/services" ] || "$home/bin/services" status | sed 's/^/@/'
[ -d "$home" ] || exit 0
cd "$home"
fact current "$(basename "$(readlink current || true)")"
[ ! -e rollout.before ] || fact before "$(cat rollout.before)"
[ ! -e shared/maintenance ] || fact maintenance on
if [ -e lock ] && ! flock -n lock true; then fact locked yes; fi
[ ! -e lock.owner ] || fact owner "$(cat lock.owner)"
for folder in releases/*/; do
    [ -e "$folder/release.json" ] || continue
    fact release "$(cat "$folder/release.json")"
    fact settings "$(cat "$folder/etc/settings")"
done
for stamp in venvs/*/databoard.stamp; do
    [ ! -e "$stamp" ] || fact venv "$(basename "${stamp%/*}")"
done
done=shared/submissions/.backup-taken
[ ! -e "$done" ] || fact backup "$(($(date +%s) - $(stat -c %Y "$done")))"
[ ! -e log/audit.jsonl ] || tail -n $((wants_audit * 500 + 1)) log/audit.jsonl | sed 's/^/@audit /'
if [ "$is_web" = 1 ] && [ "$wants_health" = 1 ]; then
    said=$(curl -sS -m 5 -H "Host: $name" "http://127.0.0.1:$port/healthz" 2>&1) || true
    fact health "$(echo "$said" | tr '\\n' ' ')"
fi
if [ "$wants_database" = 1 ] && [ -e current/release.json ]; then
    fact database "$(bin/inv db-current --json 2>&1 | tr '\\n' ' ')"
fi
"""


@dataclass(frozen=True)
class Facts:
    """What a survey found. Sizes are in bytes, ages in seconds."""

    missing: tuple[str, ...] = ()
    platform: Platform | None = None
    disk_free: int = 0
    disk_size: int = 0
    inodes_free: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    apache: str = ""
    invalid: str = ""  # what Apache says about its configuration
    worker: str = ""
    current: str = ""
    before: str | None = None  # left by a rollout that was cut off
    is_locked: bool = False
    owner: Owner | None = None
    releases: tuple[Mapping[str, Any], ...] = ()  # release.json and settings, oldest first
    environments: tuple[str, ...] = ()
    backup_age: int | None = None
    audit: tuple[Mapping[str, Any], ...] = ()  # its last lines
    health: Mapping[str, Any] = field(default_factory=dict)
    health_text: str = ""
    in_maintenance: bool = False
    database: Mapping[str, Any] | None = None  # as `inv db-current --json` tells

    @property
    def stable(self) -> str:
        """The release to go back to: the last one that a rollout ended well with."""
        return self.current if self.before is None else self.before

    def release(self, name: str) -> Mapping[str, Any]:
        """What release.json says about one of the releases; empty when there is none."""
        return next((each for each in self.releases if each["id"] == name), {})


Wish = Literal["test", "health", "database", "audit"]  # what takes a moment


def survey(
    target: Target, machine: Machine, wants: Iterable[Wish] = (), files: Iterable[str] = ()
) -> Facts:
    """Look at a host; `files` are read, too. Raises ConnectionLost, DataboardError."""
    host = machine.host
    is_served_by_apache = "web" in host.roles and target.connection == "ssh"
    values = {
        "home": host.home,
        "programs": " ".join(PROGRAMS + WEB_PROGRAMS * is_served_by_apache),
        "users": f"{WEB_USER} {WORKER_USER}" if target.connection == "ssh" else "",
        "is_web": int("web" in host.roles),
        "is_apache": int(is_served_by_apache),
        "is_worker": int("worker" in host.roles and target.connection == "ssh"),
        "name": target.web.name,
        "port": target.web.port,
        **{f"wants_{wish}": int(wish in wants) for wish in get_args(Wish)},
    }
    output = machine.run(f"{assign(values)}set -- {words(*files)}\n{SURVEY}")
    if output.code:
        raise DataboardError(f"{host.name} cannot be looked at: {output.last}.")
    return read(output.text)


def read(text: str) -> Facts:
    """The facts in what the script printed. A host is not trusted to print them well."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("@"):
            name, _, value = line[1:].partition(" ")
            found.setdefault(name, []).append(value.strip())

    def first(name: str) -> str:
        return found.get(name, [""])[0]

    disk = [as_int(word) * 1024 for word in first("disk").split()] + [0, 0]
    age = first("backup").split()
    return Facts(
        missing=tuple(found.get("missing", ())),
        platform=platform_of(first("python"), first("machine"), first("glibc")),
        disk_free=disk[0],
        disk_size=disk[1],
        inodes_free=as_int(first("inodes")),
        files=dict(map(decoded, found.get("file", ()))),
        apache=first("apache") or first("web"),
        invalid=first("invalid"),
        worker=first("worker"),
        current=first("current"),
        before=found["before"][0] if "before" in found else None,
        is_locked="locked" in found,
        owner=Owner.told(first("owner")),
        releases=tuple(
            {**as_object(line), "settings": settings}
            for line, settings in zip(
                found.get("release", ()), found.get("settings", ()), strict=False
            )
            if as_object(line).get("id")
        ),
        environments=tuple(found.get("venv", ())),
        backup_age=as_int(age[0]) if age else None,
        audit=tuple(map(as_object, found.get("audit", ()))),
        health=as_object(first("health")),
        health_text=first("health"),
        in_maintenance="maintenance" in found,
        database=as_object(first("database")) or None,
    )


def platform_of(python: str, machine: str, glibc: str) -> Platform | None:
    minor = as_int(glibc.rpartition(".")[2])
    return Platform(python, machine, minor) if python and machine and minor else None


def decoded(line: str) -> tuple[str, str]:
    path, _, content = line.partition(" ")
    with suppress(binascii.Error):
        return path, base64.b64decode(content).decode(errors="replace")
    return path, ""


def as_int(text: str) -> int:
    with suppress(ValueError):
        return int(text)
    return 0


def as_object(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    return {}
