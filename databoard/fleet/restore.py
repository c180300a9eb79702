"""The runbook of a restore on a target: the site is closed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from databoard.fleet import shell, there
from databoard.fleet.inventory import Host, Target
from databoard.fleet.release import wait_for_health
from databoard.fleet.rollout import migrating_host
from databoard.fleet.runbook import Action, Run, Step
from databoard.fleet.scripts import MAINTENANCE, START_WORKER, STOP_WORKER


@dataclass(frozen=True)
class Restore:
    """A command that exchanges database and files, run where the database is."""

    target: Target
    words: Sequence[str]

    def steps(self) -> list[Step]:
        return [
            Step("close", "Close the site", self.close, self.open),
            Step("restore", "Restore database and files", self.restore),
            Step("open", "Open the site", self.open),
        ]

    def close(self, host: Host) -> Action:
        return Run(shell.assign({"is_on": 1}) + MAINTENANCE + STOP_WORKER)

    def restore(self, host: Host) -> Action | None:
        if host != migrating_host(self.target):
            return None
        # root may give files to their owners
        return Run(there.script(host, self.words, {"DATABOARD_AS_ROOT": "1"}))

    def open(self, host: Host) -> Action:
        script = shell.assign({"is_on": 0}) + MAINTENANCE + START_WORKER
        return Run(script + wait_for_health(self.target, host, ""))
