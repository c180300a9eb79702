"""Backups of real hosts: production on one, its store and a test site on another.

Whatever is cut or lost, the newest snapshot that is listed brings everything back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from databoard import database
from databoard.config import ROOT
from databoard.fleet import chores, inventory, publish, setup, source
from databoard.fleet.publish import Way
from databoard.fleet.tunnel import database_url
from tests.fleet.site import HOME, Listener, Load

if TYPE_CHECKING:
    from tests.lab.host import LabHost
    from tests.lab.hosts import Lab

pytestmark = pytest.mark.slow
INV = f"{HOME}/bin/inv"
STORE = "/home/deploy/store"
AS_WORKER = "runuser -u databoard-worker -- sh -c"
KEY = (
    'mkdir -p ~/.ssh; ssh-keygen -qt ed25519 -N "" -f ~/.ssh/id_ed25519; cat ~/.ssh/id_ed25519.pub'
)
LARGE = f"{HOME}/shared/ramp-data/large"


@dataclass
class Two:
    """Production and test, and a folder with their inventories, from which commands are typed."""

    lab: Lab
    folder: Path

    @property
    def production(self) -> LabHost:
        return self.lab.hosts[0]

    @property
    def test(self) -> LabHost:
        return self.lab.hosts[1]

    def write(self, name: str, host: LabHost, more: str = "") -> None:
        key, known, password = self.lab.key, self.lab.known_hosts, self.lab.password
        database = f"host: {host.address}, name: databoard, user: databoard"
        lines = [
            *("path: /srv", "user: deploy", f"key: {key}", f"known_hosts: {known}"),
            *("connect_timeout: 5", "web: {name: lab.example.org}"),
            f"backups: deploy@{self.test.address}:{STORE}",
            f"database: {{{database}, password: !file {password}}}",
            f"hosts: {{{host.name}: {{address: {host.address}, roles: [web, database, worker]}}}}",
            more,
        ]
        (self.folder / f"{name}.yml").write_text("\n".join(lines) + "\n")

    def roll_out(self, *names: str) -> None:
        """Make hosts ready and let them serve today's code."""
        code = source.export(dirty=True)
        for name in names:
            target = inventory.load(name, folder=self.folder)
            first, runbook = setup.set_up(target, "root")
            ready = chores.carry_out(first, "set-up-host", runbook.steps(), Listener())
            assert ready.error is None, ready.error
            done = publish.publish_software(target, code, Way(), Listener())
            assert done.error is None, done.error

    def inv(self, *typed: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command, as typed."""
        return subprocess.run(
            [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *typed],
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )

    def environment(self, **variables: str) -> dict[str, str]:
        mine = {
            "DATABOARD_INVENTORIES": str(self.folder),
            "DATABOARD_DEPLOYMENT_PATH": str(self.folder / "deployment"),
            "HOME": str(self.folder),
            "SCIENCEFS_ID": str(self.lab.key),
        }
        return os.environ | mine | variables

    def snapshots(self) -> list[dict[str, Any]]:
        done = self.inv("backups", "--target=production", "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def board(self, host: LabHost) -> list[dict[str, str]]:
        """The teams that have submitted; a worker may train what is new meanwhile."""
        teams: set[str] = set()
        for which in (" --new", ""):
            rows = json.loads(host.run(f"{INV} leaderboard iris{which} --json").stdout)
            teams.update(row["team"] for row in rows)
        return [{"team": team} for team in sorted(teams)]


@pytest.fixture(scope="module")
def two(make_lab: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    lab = make_lab(2)
    two = Two(lab, tmp_path_factory.mktemp("two"))
    two.write("production", two.production)
    two.write("test", two.test)
    two.roll_out("production", "test")
    let_in(two)
    two.production.run("systemctl stop databoard-worker")  # so that what is new stays so
    for line in (
        *("create-user ada ada@uni.example", "approve-user ada", "add-problem iris"),
        *("add-event iris iris Iris", "sign-up-team iris ada", "submit-starting-kit iris ada"),
    ):
        two.production.run(f"{INV} {line}")
    made = two.inv(
        *("backup", "--target=production", "--new-store"),
        f"--store=deploy@{two.test.address}:{STORE}",
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    yield two


def let_in(two: Two) -> None:
    """Those who use the store have keys that it knows, and know its key."""
    keys = [host.run(f"{AS_WORKER} '{KEY}'").stdout for host in two.lab.hosts]
    two.test.run(f"cat >>/home/deploy/.ssh/authorized_keys <<'E'\n{''.join(keys)}E")
    known = f"{two.test.address} {two.test.host_key()}"
    for host in (two.production, two.test):
        host.run(f"echo '{known}' >>/etc/ssh/ssh_known_hosts")
    (two.folder / ".ssh").mkdir()
    (two.folder / ".ssh/known_hosts").write_text(f"{known}\n")


def test_commands_of_backups_run_where_the_database_is(two: Two) -> None:
    before = len(two.snapshots())
    done = two.inv("backup", "--target=production")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")  # cron hears nothing
    assert len(two.snapshots()) == before + 1
    verified = two.inv("verify-backup", "--target=production")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    newest = two.snapshots()[-1]
    assert newest["verification"]["faults"] == []
    assert newest["manifest"]["site"] == "production"
    assert newest["manifest"]["rows"]["submission"] == 1
    fine = two.inv("check-backups", "--target=production", "--max-age=26h")
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, "", "")
    sums = two.test.run(
        f"cd {STORE}/production/{newest['name']} && sha256sum -c --quiet SHA256SUMS"
    )
    assert sums.stdout == ""


def test_an_upgrade_of_a_target_takes_a_snapshot_first(two: Two) -> None:
    before = len(two.snapshots())
    done = two.inv("db-upgrade", "--target=production")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Took ") and "is at revision" in done.stdout
    assert len(two.snapshots()) == before + 1


def test_a_migration_is_written_from_a_database_behind_ssh(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, copy)
    monkeypatch.setattr(database, "MIGRATIONS", copy)
    alter = "runuser -u postgres -- psql -qc 'ALTER TABLE keyword {} description {}' databoard"
    two.production.run(alter.format("RENAME", "TO said"))
    try:
        with database_url(inventory.load("production", folder=two.folder)) as url:
            path = database.new_migration(url, "a trial")
    finally:
        two.production.run(alter.format("RENAME said TO", ""))
    assert "description" in path.read_text()


def test_a_store_that_is_cut_off_has_no_bad_snapshot(two: Two) -> None:
    two.production.run(
        f"mkdir -p {LARGE}; head -c 300M /dev/urandom >{LARGE}/data; chmod -R a+rX {LARGE}"
    )
    names = [each["name"] for each in two.snapshots()]
    for cut in (lambda: two.test.link(False), two.test.kill_sshd):
        with subprocess.Popen(
            [
                sys.executable,
                "-m",
                "invoke",
                "--search-root",
                str(ROOT),
                "backup",
                "--target=production",
            ],
            env=two.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            until(
                lambda: two.test.run(
                    f"ls -R {STORE}/production/*.partial/files/ramp-data", check=False
                ).stdout.count("large")
            )
            cut()
            said = process.communicate()[0]
        two.lab.mend()
        assert process.returncode == 1, said
        assert "store" in said or "lost" in said or "cannot be copied" in said, said
        assert [each["name"] for each in two.snapshots()] == names
    assert two.inv("backup", "--target=production").returncode == 0
    assert len(two.snapshots()) == len(names) + 1
    assert two.inv("verify-backup", "--target=production").returncode == 0
    two.production.run(f"rm -r {LARGE}")


def test_cron_takes_snapshots(two: Two) -> None:
    shown = two.inv("install-cron", "--target=production", "--dry-run")
    assert shown.stdout == "lab1: nothing would change\n".replace("lab1", two.production.name)
    two.write("production", two.production, "variables: {backup_at: '* * * * *'}")
    shown = two.inv("install-cron", "--target=production", "--dry-run")
    assert f"+* * * * * root {INV} backup\n" in shown.stdout
    assert f"-17 3 * * * root {INV} backup\n" in shown.stdout
    before = len(two.snapshots())
    try:
        assert two.inv("install-cron", "--target=production").returncode == 0
        until(lambda: len(two.snapshots()) > before, seconds=150)
    finally:
        two.write("production", two.production)
        assert two.inv("install-cron", "--target=production").returncode == 0


def test_production_comes_to_test_while_the_test_site_answers(two: Two) -> None:
    load = Load([two.test.address])
    try:
        done = two.inv("prod-db-to-test", "--target=test")
    finally:
        load.end()
    assert done.returncode == 0, done.stdout + done.stderr
    assert load.count > 20 and len(load.failed) <= 2, load.failed  # on their way in that moment
    (row,) = two.board(two.test)
    assert row["team"].startswith("user_")
    users = two.test.run(f"{INV} list-users --json").stdout
    assert "uni.example" not in users and "ada" not in users
    owner = two.test.run(f"stat -c %U:%G {HOME}/shared/submissions").stdout.strip()
    assert owner == "databoard:databoard-worker"
    again = two.inv("prod-db-to-test", "--target=test", "--admins=ada")
    assert again.returncode == 0, again.stdout + again.stderr
    assert [row["team"] for row in two.board(two.test)] == ["ada"]


@pytest.mark.parametrize(
    "typed", [("--target=production",), ("--target=production", "--admins=ada")]
)
def test_nothing_is_copied_to_production(two: Two, typed: tuple[str, ...]) -> None:
    done = two.inv("prod-db-to-test", *typed)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "Production is never the destination.",
    )
    there = two.production.run(f"{INV} prod-db-to-test", check=False)
    assert "This is production: nothing is copied to it." in there.stderr


def test_the_database_is_got_through_ssh_or_a_mount(two: Two, need: Callable[[str], Path]) -> None:
    need("sshfs")
    name = two.snapshots()[-1]["name"]
    folder = two.folder / "mounted"
    first = two.inv("get-prod-db", prod_db_dump=name, mount_path=str(folder))
    there = two.folder / "deployment/backups/production" / name
    assert (first.returncode, first.stdout) == (0, f"{name} is here now: {there}\n"), first.stderr
    assert not os.path.ismount(folder) and not any(folder.iterdir())
    again = two.inv("get-prod-db", SCIENCEFS_LOGIN="deploy")
    verified = [each["name"] for each in two.snapshots() if each["verification"]][-1]
    assert again.stdout.endswith(f"{there.parent / verified}\n"), again.stderr
    missing = two.inv("get-prod-db", "--dump=20200101T000000Z", mount_path=str(folder))
    assert missing.returncode == 1 and not os.path.ismount(folder)


def test_a_site_is_restored_and_production_wants_to_be_named(two: Two) -> None:
    assert two.inv("backup", "--target=production").returncode == 0
    two.production.run(f"{INV} delete-event iris --yes")
    shown = two.inv("restore", "latest", "--target=production")
    assert shown.returncode == 1 and "submission" in shown.stdout
    refused = two.inv("restore", "latest", "--target=production", "--yes")
    assert refused.returncode == 1
    assert "The site that would be restored is production." in refused.stderr
    done = two.inv("restore", "latest", "--target=production", "--yes", "--really=production")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["team"] for row in two.board(two.production)] == ["ada"]


def test_a_bare_host_becomes_what_was_lost(two: Two) -> None:
    assert two.inv("backup", "--target=production").returncode == 0
    two.production.run("systemctl stop databoard-worker apache2")
    two.production.run(f"rm -rf {HOME}; runuser -u postgres -- dropdb --force databoard")
    two.roll_out("production")
    assert (
        two.inv(
            "restore", "latest", "--target=production", "--yes", "--really=production"
        ).returncode
        == 0
    )
    assert [row["team"] for row in two.board(two.production)] == ["ada"]
    code = two.production.run(f"ls {HOME}/shared/submissions/submission_000000001/files")
    assert code.stdout.split() == ["estimator.py"]
    owner = two.production.run(f"stat -c %U:%G:%a {HOME}/shared/submissions").stdout.strip()
    assert owner == "databoard:databoard-worker:2770"


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
