"""Switching hosts from one release to another: the runbook of a rollback, and half of a rollout.

<home>/releases/ID/      the code; with .venv, etc/ (what was rendered) and release.json
<home>/venvs/KEY/        virtual environments, by what is in them
<home>/current           a link to the release that serves
<home>/shared/           the deployment: ramp-kits/, ramp-data/, environments/, submissions/
<home>/backups/ log/     dumps; the audit log and the worker's
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databoard.fleet import shell
from databoard.fleet.inventory import Host, Target
from databoard.fleet.render import WEB_USER, WORKER_USER
from databoard.fleet.runbook import Action, Run, Step
from databoard.fleet.scripts import ACTIVATE, DEACTIVATE, HEALTH, PRUNE, RELOAD, TRY
from databoard.fleet.survey import Facts

SAME = ("tree", "environment", "settings")  # of a record: what makes two releases alike


@dataclass(frozen=True)
class Change:
    """The change to the release `id` on all hosts of a target. Each method gives the action of a
    step on one host, or None."""

    target: Target
    facts: Mapping[Host, Facts]
    id: str

    def steps(self) -> list[Step]:
        """Up to the proof that all hosts serve the release."""
        return [
            Step("recover", "Take over from a rollout that was cut off", self.recover, self.back),
            Step("try", "Ask the release for its health before it serves", self.try_out),
            Step("switch", "Switch to the release", self.switch, self.back, in_batches=True),
            Step("reload", "Reload Apache, restart the worker", self.reload, in_batches=True),
            Step("health", "Wait until the release answers", self.health, in_batches=True),
        ]

    def last_steps(self) -> list[Step]:
        """What is done once it is sure that the release stays."""
        return [Step("prune", "Remove old releases", self.prune)]

    def recover(self, host: Host) -> Action | None:
        facts = self.facts[host]
        return Run("true") if facts.current != facts.stable else None

    def try_out(self, host: Host) -> Action | None:
        if self.is_unchanged(host):
            return None
        is_web = "web" in host.roles and self.is_remote
        values = {"id": self.id, "env": "web.env" if is_web else "worker.env"}
        user = "$web_user" if is_web else "$worker_user"
        return Run(f"{shell.assign(values)}{self.users()}user={user}\n{TRY}")

    def switch(self, host: Host) -> Action | None:
        return Run(f"{ACTIVATE}activate {shell.quote(self.id)}")

    def back(self, host: Host) -> Action | None:
        stable = self.facts[host].stable
        if not stable:
            return Run(DEACTIVATE)
        restarts = shell.assign({"restarts_worker": int(not self.is_unchanged(host))})
        health = "" if self.closes else wait_for_health(self.target, host, stable)
        return Run(
            f"{restarts}{ACTIVATE}{RELOAD}is_lenient=1\nactivate {shell.quote(stable)}\nreload\n"
            f"{health}"
        )

    def reload(self, host: Host) -> Action | None:
        restarts = {
            "restarts_worker": int(not self.is_unchanged(host)),
            "is_there": int(self.is_there(host)),
        }
        return Run(f"{shell.assign(restarts)}{RELOAD}reload")

    def health(self, host: Host) -> Action | None:
        return Run(wait_for_health(self.target, host, self.id))

    def prune(self, host: Host) -> Action | None:
        kept = kept_releases(self.facts[host], self.id, self.target.keep_releases)
        return Run(f"set -- {shell.words(*kept)}\n{PRUNE}")

    @property
    def closes(self) -> bool:
        """Whether the site is closed meanwhile."""
        return False

    @property
    def is_remote(self) -> bool:
        return self.target.connection == "ssh"

    def users(self) -> str:
        web, worker = (WEB_USER, WORKER_USER) if self.is_remote else ("", "")
        return shell.assign({"web_user": web, "worker_user": worker})

    def record(self, host: Host) -> Mapping[str, Any]:
        """What release.json says there, and the digest of the settings."""
        return self.facts[host].release(self.id)

    def is_there(self, host: Host) -> bool:
        """Whether the host serves this very release already."""
        facts = self.facts[host]
        return facts.before is None and facts.current == self.id

    def is_unchanged(self, host: Host) -> bool:
        """Whether the host serves the same code with the same settings already."""
        stable, record = self.facts[host].release(self.facts[host].stable), self.record(host)
        return all(stable.get(name, "") == record[name] for name in SAME)


def kept_releases(facts: Facts, serving: str, at_least: int) -> list[str]:
    """The newest ones, the one that serves, and the one before it."""
    ids = sorted({serving, *(str(release["id"]) for release in facts.releases)})
    older = [name for name in ids if name < serving][-1:]
    return sorted({*ids[-at_least:], serving, *older, facts.stable} - {""})


def wait_for_health(target: Target, host: Host, release: str) -> str:
    """A script that waits until the host serves a release, for as long as the target says."""
    values = {
        "id": release,
        "name": target.web.name,
        "port": target.web.port,
        "seconds": int(target.health_timeout),
        "is_web": int("web" in host.roles),
        "is_worker": int("worker" in host.roles and target.connection == "ssh"),
    }
    return shell.assign(values) + HEALTH
