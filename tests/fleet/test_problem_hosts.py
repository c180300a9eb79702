"""A problem on three real hosts, and each step of its publishing broken.

After that: every host has the old kit or every host the new one, whole and for those who may read
it, and the next publishing succeeds without hand work.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from databoard import config
from databoard.fleet import problem
from databoard.fleet.problem import Published
from databoard.fleet.runbook import Failed
from tests.fleet.site import HOME, Listener, Site
from tests.lab.host import LabHost

pytestmark = pytest.mark.slow
STEPS = ["upload", "prepare", "try", "switch", "prune"]
KITS, DATA = f"{HOME}/shared/ramp-kits", f"{HOME}/shared/ramp-data"
VERSIONS = f"{HOME}/shared/problems/small"


class Publisher:
    """Publishes the problem `small` to a site."""

    def __init__(self, site: Site, deployment: Path) -> None:
        self.site, self.deployment = site, deployment
        self.settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(deployment)})
        self.count = 0

    def change(self) -> str:
        """Write another test set and another README; returns what the README says."""
        self.count += 1
        said = f"this is number {self.count}"
        (self.settings.kits_path / "small/README.md").write_text(said)
        private = self.settings.data_path / "small/data/private/test.csv"
        private.parent.mkdir(parents=True, exist_ok=True)
        private.write_text(said)
        return said

    def publish(self, listener: Listener | None = None) -> Published:
        return problem.publish_problem(
            self.site.target, "small", self.settings, False, listener or Listener()
        )

    def command(self) -> int:
        """As typed; returns the exit code."""
        done = self.site.inv(
            "publish-problem", "small", DATABOARD_DEPLOYMENT_PATH=str(self.deployment)
        )
        return done.returncode

    def served(self, *hosts: LabHost) -> set[str]:
        """What the kit and the data say that hosts have."""
        script = f"cat {KITS}/small/README.md; echo; cat {DATA}/small/data/private/test.csv"
        texts = {host.run(script).stdout for host in hosts or self.site.hosts}
        assert all(kit == data for kit, data in (text.split("\n") for text in texts)), texts
        return {text.split("\n")[0] for text in texts}

    def check_clean(self, said: str) -> None:
        """All hosts have this one, unlocked, and nothing half done."""
        assert self.served() == {said}
        for host in self.site.hosts:
            left = host.run(f"ls -d {VERSIONS}/*.partial {HOME}/lock.owner", check=False)
            assert left.stdout == ""
            versions = host.run(f"ls {VERSIONS}").stdout.split()
            assert len(versions) <= 3, versions  # the one that is served, the one before, current


@pytest.fixture
def publisher(
    site: Site, make_kit: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Publisher]:
    """The site has one version of the problem."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    publisher = Publisher(site, tmp_path / "deployment")
    publisher.settings.make_folders()
    make_kit(publisher.settings.kits_path)
    publisher.change()
    outcome = publisher.publish()
    assert outcome.error is None, outcome.error
    yield publisher
    site.lab.mend()
    for host in site.hosts:
        host.run(f"rm -rf {VERSIONS} {KITS}/small {DATA}/small")


def test_who_may_read_what_there(publisher: Publisher) -> None:
    for host in publisher.site.hosts:
        for user, path, is_allowed in (
            ("databoard", f"{KITS}/small/problem.py", True),
            ("databoard", f"{DATA}/small/data/private/test.csv", False),
            ("databoard", f"$(readlink -f {DATA}/small)/data/private/test.csv", False),
            ("databoard-worker", f"{DATA}/small/data/private/test.csv", True),
            ("nobody", f"$(readlink -f {DATA}/small)/data/private/test.csv", False),
        ):
            done = host.run(
                f"setpriv --reuid={user} --regid={user} --init-groups cat {path}".replace(
                    "--regid=nobody", "--regid=nogroup"
                ),
                check=False,
            )
            assert (done.returncode == 0) == is_allowed, (user, path, done.stderr)


def cut(host: LabHost) -> None:
    host.link(False)


def kill_sshd(host: LabHost) -> None:
    host.kill_sshd()


@pytest.mark.parametrize("fault", [cut, kill_sshd], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("step", STEPS)
def test_a_host_is_cut_off(
    publisher: Publisher, step: str, fault: Callable[[LabHost], None]
) -> None:
    first, second, third = publisher.site.hosts
    (old,), new = publisher.served(), publisher.change()
    outcome = publisher.publish(Listener(step, lambda: fault(second)))
    assert isinstance(outcome.error, Failed)
    assert "lab2" in str(outcome.error) and "lost" in str(outcome.error)
    publisher.site.lab.mend()
    assert publisher.served(first, third) == {new if step == "prune" else old}
    assert publisher.served(second) <= {old, new}
    again = publisher.publish()
    assert again.error is None, again.error
    publisher.check_clean(new)


@pytest.mark.parametrize("step", STEPS)
def test_the_command_is_killed(publisher: Publisher, step: str) -> None:
    (old,), new = publisher.served(), publisher.change()
    publisher.site.write_inventory(**{f"before_{step}": "kill -9 $DATABOARD_PID"})
    assert publisher.command() == -signal.SIGKILL
    publisher.site.write_inventory()
    assert publisher.served() == {new if step == "prune" else old}
    assert publisher.command() == 0
    publisher.check_clean(new)


def test_the_disk_is_full(publisher: Publisher) -> None:
    (old,), host = publisher.served(), publisher.site.hosts[1]
    publisher.change()
    large = publisher.settings.data_path / "small/data/large.bin"
    large.write_bytes(b"0" * 1_000_000)
    before = host.run(f"ls {VERSIONS}").stdout
    disk = f"{HOME}/shared/problems"

    def fill() -> None:
        host.run(f"cp -a {disk} /tmp/problems")
        host.small_disk(disk, "300k")
        host.run(f"cp -a /tmp/problems/. {disk}")

    outcome = publisher.publish(Listener("upload", fill))
    assert isinstance(outcome.error, Failed) and "No space left on device" in str(outcome.error)
    assert publisher.served() == {old}
    host.run(f"umount {disk}; rm -rf /tmp/problems")
    assert host.run(f"ls {VERSIONS}").stdout == before
    large.unlink()
    assert publisher.publish().error is None
    publisher.check_clean(f"this is number {publisher.count}")
