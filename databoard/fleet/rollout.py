"""The runbook of a rollout: a new release beside the old one, then the change to it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databoard.fleet import shell
from databoard.fleet.inventory import Host, Target
from databoard.fleet.release import Change, wait_for_health
from databoard.fleet.render import File
from databoard.fleet.runbook import Action, Push, Run, Step
from databoard.fleet.scripts import (
    BACKUP,
    MAINTENANCE,
    MIGRATE,
    PREPARE,
    REMOVE,
    RESTORE,
    START_WORKER,
    STOP_WORKER,
    UPLOAD,
)
from databoard.fleet.source import Source
from databoard.fleet.wheels import environment_key

if TYPE_CHECKING:
    from databoard.migration import Migration

KEPT_FROM_RSYNC = ("/etc", "/.venv", "/release.json", "__pycache__")


@dataclass(frozen=True)
class Rollout(Change):
    """A change to a release that is made on the way."""

    source: Source
    files: Mapping[Host, Sequence[File]]
    wheels: dict[str, Path]  # folders here, by the environment's key
    pending: Sequence[Migration]
    breaking: Sequence[Migration]  # those after which the old release does not work
    by: str

    def steps(self) -> list[Step]:
        recover, *change = super().steps()
        return [
            recover,
            Step("upload", "Send the release", self.upload, self.remove),
            Step("wheels", "Send the packages", self.send_wheels),
            Step("prepare", "Build the environment, see whether the code loads", self.prepare),
            Step("close", "Close the site", self.close, self.open),
            Step("backup", "Dump the database", self.backup),
            Step("migrate", "Migrate the database", self.migrate, self.restore),
            *change,
            Step("open", "Open the site", self.open),
        ]

    @property
    def closes(self) -> bool:
        return bool(self.breaking)

    def upload(self, host: Host) -> Action | None:
        options = ("--delete", *(f"--exclude={name}" for name in KEPT_FROM_RSYNC))
        folder = f"{host.home}/releases/{self.id}"
        if self.is_made(host):
            return Push(self.source.folder, folder, options)
        script = shell.assign({"id": self.id, "from": self.facts[host].current}) + UPLOAD
        return Push(self.source.folder, f"{folder}.partial", options, script)

    def remove(self, host: Host) -> Action | None:
        return Run(shell.assign({"id": self.id}) + REMOVE)

    def send_wheels(self, host: Host) -> Action | None:
        key = self.key(host)
        if key in self.facts[host].environments:
            return None
        return Push(self.wheels[key], f"{host.home}/wheels/{key}", before="mkdir -p wheels")

    def prepare(self, host: Host) -> Action | None:
        if self.is_made(host):
            return None
        values = {
            "id": self.id,
            "key": self.key(host),
            "is_new": int(not self.is_unchanged(host)),
            "is_root": int(self.is_remote),
        }
        script = f"{shell.assign(values)}{self.users()}{PREPARE}"
        return Run(script, archive([*self.files[host], *self.records(host)]))

    def backup(self, host: Host) -> Action | None:
        path = f"{host.home}/backups/before-{self.id}.dump"
        return self.on_database(host, shell.assign({"path": path}) + BACKUP)

    def migrate(self, host: Host) -> Action | None:
        return self.on_database(host, MIGRATE)

    def restore(self, host: Host) -> Action | None:
        if not self.closes:
            return None  # a migration that fails changes nothing, others may stay
        path = f"{host.home}/backups/before-{self.id}.dump"
        return self.on_database(host, shell.assign({"path": path}) + RESTORE)

    def close(self, host: Host) -> Action | None:
        return Run(shell.assign({"is_on": 1}) + MAINTENANCE + STOP_WORKER) if self.closes else None

    def open(self, host: Host) -> Action | None:
        if not self.closes:
            return None
        script = shell.assign({"is_on": 0}) + MAINTENANCE + START_WORKER
        return Run(script + wait_for_health(self.target, host, ""))

    def on_database(self, host: Host, script: str) -> Action | None:
        if not self.pending or host != migrating_host(self.target):
            return None
        release = f"{host.home}/releases/{self.id}"
        return Run(f"{shell.assign({'DATABOARD_RELEASE': release})}{script}")

    def key(self, host: Host) -> str:
        platform = self.facts[host].platform
        assert platform is not None  # or preflight would have refused
        return environment_key(self.source.lock, platform)

    def record(self, host: Host) -> Mapping[str, Any]:
        return {
            "id": self.id,
            "revision": self.source.revision,
            "tree": self.source.tree,
            "dirty": self.source.is_dirty,
            "environment": self.key(host),
            "settings": digest(self.files[host]),
            "by": self.by,
            "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }

    def is_made(self, host: Host) -> bool:
        """Whether the release is there already, whole."""
        return bool(self.facts[host].release(self.id))

    def is_unchanged(self, host: Host) -> bool:
        return super().is_unchanged(host) and not self.pending

    def records(self, host: Host) -> list[File]:
        """Files about the release itself."""
        installed = "".join(
            f"{file.name}\t{file.mode}\t{file.destination}\n"
            for file in self.files[host]
            if file.destination
        )
        record = dict(self.record(host))
        settings = record.pop("settings")
        return [
            File("installed", installed),
            File("settings", f"{settings}\n", mode="600"),
            File("release.json", json.dumps(record) + "\n"),
        ]


def new_id(revision: str, is_dirty: bool) -> str:
    """A release's id: ids sort by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{revision[:7]}{'-dirty' * is_dirty}"


def migrating_host(target: Target) -> Host:
    """Where migrations are run."""
    return (*target.with_role("database"), *target.with_role("web"), *target.hosts)[0]


def digest(files: Sequence[File]) -> str:
    """Of what was rendered, secrets included: nobody may read it, or passwords could be guessed."""
    text = "\0".join(f"{file.name}\0{file.content}" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()


def archive(files: Sequence[File]) -> bytes:
    """A tar with the files, their modes and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            content = file.content.encode()
            member = tarfile.TarInfo(file.name)
            member.size, member.mode = len(content), int(file.mode, 8)
            member.uname = member.gname = file.owner or "root"
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
