"""A site on hosts of the lab: rolled out, asked, loaded with requests, harmed."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databoard.config import ROOT
from databoard.fleet import chores, inventory, publish, setup, source
from databoard.fleet.inventory import Host, Target
from databoard.fleet.publish import Outcome, Way
from databoard.fleet.source import Source

if TYPE_CHECKING:
    from tests.lab.host import LabHost
    from tests.lab.hosts import Lab

HOME = "/srv/datacamp/databoard"
CONNECT_TIMEOUT = 2
HEALTH_TIMEOUT = 8


class Listener:
    """Hears how a runbook goes, and does something when a step begins."""

    def __init__(self, at: str = "", fault: Callable[[], object] | None = None) -> None:
        self.at, self.fault = at, fault
        self.steps: list[str] = []

    def begins(self, step: str, says: str, n_hosts: int) -> None:
        self.steps.append(step)
        if step == self.at and self.fault:
            fault, self.fault = self.fault, None
            fault()

    def host_done(self, step: str, host: Host) -> None: ...
    def ends(self, step: str) -> None: ...


class Site:
    """Three hosts and their inventory."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.write_inventory()
        self.source = source.export(dirty=True)
        self._variants = 0

    @property
    def hosts(self) -> list[LabHost]:
        return self.lab.hosts

    def write_inventory(self, **hooks: str) -> None:
        """An inventory whose hooks are these commands: before_upload="..."."""
        text = self.lab.inventory().replace("connect_timeout: 5", self._timeouts())
        lines = "".join(
            f"  {point.replace('_', '-')}: [{json.dumps(command)}]\n"
            for point, command in hooks.items()
        )
        (self.folder / "lab.yml").write_text(text + (f"hooks:\n{lines}" if hooks else ""))

    def _timeouts(self) -> str:
        return f"connect_timeout: {CONNECT_TIMEOUT}\nhealth_timeout: {HEALTH_TIMEOUT}"

    @property
    def target(self) -> Target:
        return inventory.load("lab", folder=self.folder)

    def set_up(self) -> None:
        first, runbook = setup.set_up(self.target, "root")
        outcome = chores.carry_out(first, "set-up-host", runbook.steps(), Listener())
        assert outcome.error is None, outcome.error

    def publish(
        self, of: Source | None = None, listener: Listener | None = None, way: Way | None = None
    ) -> Outcome:
        """Roll out; the tests' own code, unless it is of something else."""
        return publish.publish_software(
            self.target, of or self.source, way or Way(), listener or Listener()
        )

    def inv(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command, as typed."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        mine = {"DATABOARD_INVENTORIES": str(self.folder), "DATABOARD_TARGET": "lab"}
        return {**os.environ, **mine, **more}

    def variant(self, files: Mapping[str, str]) -> Source:
        """The same software with some files of other content."""
        self._variants += 1
        folder = self.folder / f"variant{self._variants}"
        shutil.copytree(self.source.folder, folder)
        for name, text in files.items():
            (folder / name).write_text(text)
        return replace(self.source, tree=f"variant{self._variants}", folder=folder)

    def newer(self) -> Source:
        """Software that differs, so that it is compiled, tried and prepared."""
        init = (self.source.folder / "databoard" / "__init__.py").read_text()
        return self.variant({"databoard/__init__.py": f"{init}# {self._variants}\n"})

    def health(self, host: LabHost) -> dict[str, Any]:
        """What /healthz says."""
        status, body = get(host.address, "/healthz")
        return {"status": status, **json.loads(body)}

    def serving(self) -> set[str]:
        """The releases that the hosts serve: what /healthz says, and `current`."""
        links = {host.run(f"readlink {HOME}/current").stdout.strip() for host in self.hosts}
        served = {self.health(host)["release"] for host in self.hosts}
        assert {f"releases/{release}" for release in served} == links
        return served

    def check_healthy(self) -> str:
        """All hosts serve one whole release, unlocked, with nothing left over. Returns it."""
        releases = self.serving()
        assert len(releases) == 1
        for host in self.hosts:
            assert self.health(host)["status"] == 200
            left = host.run(
                f"cd {HOME}; ls -d releases/*.partial rollout.before lock.owner wheels", check=False
            )
            assert left.stdout == "", host.name
            assert host.run(f"flock -n {HOME}/lock true", check=False).returncode == 0
        return releases.pop()

    def mend(self) -> None:
        """Whatever a test has left: no hooks, no faults, and a release that serves."""
        self.write_inventory()
        self.lab.mend()
        with suppress(AssertionError, OSError):
            self.check_healthy()
            return
        self.publish()

    @contextmanager
    def load(self, *numbers: int) -> Iterator[Load]:
        """At least 20 requests per second to each host (or to those numbered from 0)."""
        hosts = [self.hosts[number] for number in numbers or range(len(self.hosts))]
        load = Load([host.address for host in hosts])
        try:
            yield load
        finally:
            load.end()


@dataclass
class Load:
    """Requests that go on, and how they were answered."""

    addresses: list[str]
    count: int = 0
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=[address], daemon=True)
            for address in self.addresses
            for _ in range(2)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, address: str) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                status, body = get(address, "/")
                reason = "" if status == 200 and b"Databoard" in body else f"status {status}"
            except OSError as error:
                reason = repr(error)
            self.count += 1
            if reason:
                self.failed.append(f"{address}: {reason}")
            self._ended.wait(0.04 - (time.monotonic() - began))

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def get(address: str, path: str) -> tuple[int, bytes]:
    """Ask the site on a host."""
    connection = http.client.HTTPConnection(address, 80, timeout=20)
    try:
        connection.request("GET", path, headers={"Host": "lab.example.org"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ill_when_served(site: Site) -> str:
    """A /healthz that is well when it is tried, and ill when Apache serves it."""
    health = (site.source.folder / "databoard/web/health.py").read_text()
    served = 'about["release"] = "?" if "mod_wsgi" in __import__("sys").modules else "."\n    try:'
    assert "try:" in health
    return health.replace("try:", served, 1)
