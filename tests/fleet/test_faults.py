"""Each step of a rollout to three real hosts is broken, in each way that hosts break.

After that: no request has failed, every host serves the old release or every host serves the new
one, nothing half done is ever current, and the next rollout succeeds without hand work.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Mapping

import pytest

from databoard.errors import DataboardError
from databoard.fleet.lock import Locked
from databoard.fleet.publish import Way
from databoard.fleet.runbook import Failed
from databoard.fleet.source import Source
from tests.fleet.site import HOME, Listener, Site, get, ill_when_served

pytestmark = pytest.mark.slow
STEPS = ["upload", "prepare", "try", "switch", "reload", "health", "prune"]
BEFORE_THE_SWITCH = STEPS[:3]


def cut(site: Site) -> None:
    site.hosts[1].link(False)


def kill_sshd(site: Site) -> None:
    site.hosts[1].kill_sshd()


@pytest.mark.parametrize("fault", [cut, kill_sshd], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("step", STEPS)
def test_a_host_is_cut_off(site: Site, step: str, fault: Callable[[Site], None]) -> None:
    old = site.check_healthy()
    with site.load(0, 2) as load:
        outcome = site.publish(site.newer(), Listener(step, lambda: fault(site)))
    assert isinstance(outcome.error, Failed)
    assert "lab2" in str(outcome.error) and "lost" in str(outcome.error)
    assert load.failed == [] and load.count > 20
    site.lab.mend()
    for host in (site.hosts[0], site.hosts[2]):
        wanted = outcome.release if step == "prune" else old
        assert site.health(host)["release"] == wanted
    assert site.health(site.hosts[1])["release"] in (old, outcome.release)
    again = site.publish(site.newer())
    assert again.error is None
    assert site.check_healthy() == again.release


@pytest.mark.parametrize("step", STEPS)
def test_the_command_is_killed(site: Site, step: str) -> None:
    old = site.publish(site.newer()).release
    site.write_inventory(**{f"before_{step}": "kill -9 $DATABOARD_PID"})
    with site.load() as load:
        done = site.inv("publish-software", "--dirty")
    assert done.returncode == -signal.SIGKILL
    assert load.failed == []
    site.write_inventory()
    told = site.inv("status")
    assert told.returncode == 1
    assert re.search(r"lab1: publish-software \w+ by \S+ was cut off when its", told.stdout)
    undone = site.inv("rollback")
    assert undone.returncode == 0, undone.stderr
    if step in BEFORE_THE_SWITCH:
        assert site.serving() == {old}
    assert site.inv("status").returncode == 0
    assert site.inv("publish-software", "--dirty").returncode == 0
    site.check_healthy()


@pytest.mark.parametrize("step", ["upload", "reload"])
def test_ctrl_c_undoes_what_was_done(site: Site, step: str) -> None:
    old = site.publish(site.newer()).release
    site.write_inventory(**{f"before_{step}": "kill -INT $DATABOARD_PID; sleep 60"})
    with site.load() as load:
        done = site.inv("publish-software", "--dirty")
    assert done.returncode == 1
    assert done.stderr.startswith(f"The step {step} failed:\n  lab1: interrupted")
    assert load.failed == []
    site.write_inventory()
    assert site.check_healthy() == old


@pytest.mark.parametrize("step", ["prepare", "switch", "health"])
def test_a_killed_rollout_is_taken_over_by_the_next(site: Site, step: str) -> None:
    site.publish(site.newer())
    site.write_inventory(**{f"before_{step}": "kill -9 $DATABOARD_PID"})
    assert site.inv("publish-software", "--dirty").returncode == -signal.SIGKILL
    site.write_inventory()
    outcome = site.publish()
    assert outcome.error is None
    assert site.check_healthy() == outcome.release


@pytest.mark.parametrize("step", ["prepare", "switch", "health"])
def test_a_killed_rollout_goes_back_when_the_next_fails_early(site: Site, step: str) -> None:
    old = site.publish(site.newer()).release
    site.write_inventory(**{f"before_{step}": "kill -9 $DATABOARD_PID"})
    assert site.inv("publish-software", "--dirty").returncode == -signal.SIGKILL
    site.write_inventory()
    outcome = site.publish(site.variant({"databoard/web/__init__.py": "import nothing_of_that"}))
    assert isinstance(outcome.error, Failed)
    assert site.check_healthy() == old


def test_the_disk_is_full(site: Site) -> None:
    old = site.check_healthy()

    def fill() -> None:
        site.hosts[1].small_disk(f"{HOME}/releases", "300k")

    with site.load() as load:
        outcome = site.publish(site.newer(), Listener("upload", fill))
    site.hosts[1].run(f"umount {HOME}/releases")
    assert isinstance(outcome.error, Failed) and "No space left on device" in str(outcome.error)
    assert load.failed == []
    assert site.check_healthy() == old


def test_too_little_disk_is_told_before_anything_is_done(site: Site) -> None:
    site.hosts[1].run("mkdir -p /small && mount -t tmpfs -o size=50m tmpfs /small")
    text = (site.folder / "lab.yml").read_text()
    (site.folder / "lab.yml").write_text(text.replace("path: /srv", "path: /small"))
    with pytest.raises(Failed, match=r"lab2: \d+ MB are free under /small/datacamp/databoard"):
        site.publish()


def test_the_configuration_of_apache_is_broken_on_the_way(site: Site) -> None:
    old = site.check_healthy()
    broken = "/etc/apache2/conf-enabled/broken.conf"

    def break_it() -> None:
        site.hosts[2].run(f"echo Nonsense >{broken}")

    with site.load() as load:
        outcome = site.publish(site.newer(), Listener("switch", break_it))
    site.hosts[2].run(f"rm {broken}")
    assert isinstance(outcome.error, Failed) and "Invalid command 'Nonsense'" in str(outcome.error)
    assert load.failed == []
    assert site.check_healthy() == old


def test_the_configuration_of_apache_was_broken_before(site: Site) -> None:
    broken = "/etc/apache2/conf-enabled/broken.conf"
    site.hosts[2].run(f"echo Nonsense >{broken}")
    try:
        with pytest.raises(Failed, match=r"lab3: Apache's configuration is not valid: .*Nonsense"):
            site.publish()
    finally:
        site.hosts[2].run(f"rm {broken}")
    site.check_healthy()


def test_the_application_cannot_be_imported(site: Site) -> None:
    old = site.check_healthy()
    with site.load() as load:
        outcome = site.publish(site.variant({"databoard/web/app.py": "import nothing_of_that"}))
    assert isinstance(outcome.error, Failed)
    assert "No module named 'nothing_of_that'" in str(outcome.error)
    assert outcome.error.message.startswith("The step prepare failed:")
    assert load.failed == []
    assert site.check_healthy() == old


MIGRATION = '''"""Nonsense."""
from alembic import op
revision, down_revision = "{new}", "{last}"
oldest_code = "{oldest}"
def upgrade():
    op.execute("CREATE TABLE half_done (id int)")
    {then}
'''


def migrating(
    site: Site,
    oldest_code: str = "9999",
    then: str = "pass",
    files: Mapping[str, str] | None = None,
) -> Source:
    """Software with one more migration, after which code from `oldest_code` on works."""
    last = site.source.migrations()[-1].id
    text = MIGRATION.format(new="9999", last=last, oldest=oldest_code, then=then)
    return site.variant({"migrations/versions/9999_more.py": text, **(files or {})})


def is_migrated(site: Site) -> bool:
    tables = site.hosts[0].run("sudo -u postgres psql -Atc '\\dt half_done' databoard").stdout
    return tables != ""


def test_a_migration_raises(site: Site) -> None:
    old = site.check_healthy()
    bad = migrating(site, "0001", "raise ValueError('this migration is bad')")
    with site.load() as load:
        outcome = site.publish(bad)
    assert isinstance(outcome.error, Failed)
    assert "this migration is bad" in str(outcome.error)
    assert outcome.error.message.startswith("The step migrate failed:")
    assert load.failed == []
    assert site.check_healthy() == old and not is_migrated(site)
    dump = f"{HOME}/backups/before-{outcome.release}.dump"
    assert site.hosts[0].run(f"stat -c %a:%U {dump}").stdout == "600:databoard-worker\n"


def test_the_old_release_serves_on_after_a_migration_that_it_bears(site: Site) -> None:
    old = site.check_healthy()
    ill = {"databoard/web/health.py": ill_when_served(site)}
    with site.load() as load:
        outcome = site.publish(migrating(site, "0001", files=ill))
    assert isinstance(outcome.error, Failed)
    assert outcome.error.message.startswith("The step health failed:")
    assert load.failed == []
    assert site.check_healthy() == old and is_migrated(site)
    dump = f"{HOME}/backups/before-{outcome.release}.dump"
    site.hosts[0].run(f"{HOME}/bin/inv db-restore {dump} --force")
    assert site.check_healthy() == old and not is_migrated(site)


def test_a_migration_that_the_old_release_cannot_bear(site: Site) -> None:
    old = site.check_healthy()
    breaking = migrating(site)
    with pytest.raises(DataboardError, match="does not work after the migrations") as error:
        site.publish(breaking)
    assert error.value.hint.endswith("--downtime")
    assert site.check_healthy() == old
    said: list[int] = []
    listener = Listener("migrate", lambda: said.append(get(site.hosts[2].address, "/")[0]))
    ill = migrating(site, files={"databoard/web/health.py": ill_when_served(site)})
    failed = site.publish(ill, listener, Way(downtime=True))
    assert said == [503]
    assert isinstance(failed.error, Failed)
    assert failed.error.message.startswith("The step health failed:")
    assert site.check_healthy() == old and not is_migrated(site)
    assert get(site.hosts[2].address, "/")[0] == 200
    done = site.publish(breaking, way=Way(downtime=True))
    assert done.error is None, done.error
    assert site.check_healthy() == done.release and is_migrated(site)
    assert get(site.hosts[2].address, "/")[0] == 200
    back = site.inv("rollback", f"--to={old}")  # that release cannot use this database
    assert back.returncode == 1 and "The step try failed:" in back.stderr
    assert site.check_healthy() == done.release
    dump = f"{HOME}/backups/before-{done.release}.dump"
    site.hosts[0].run(f"{HOME}/bin/inv db-restore {dump} --force")


def test_the_release_tells_no_health_before_it_serves(site: Site) -> None:
    old = site.check_healthy()
    health = (site.source.folder / "databoard/web/health.py").read_text()
    ill = health.replace('database="up", queue=_queue_length(engine)), 200', 'database="up"), 500')
    assert ill != health
    with site.load() as load:
        outcome = site.publish(site.variant({"databoard/web/health.py": ill}))
    assert isinstance(outcome.error, Failed)
    assert outcome.error.message.startswith("The step try failed:")
    assert load.failed == []
    assert site.check_healthy() == old


def test_the_health_never_comes(site: Site) -> None:
    """The release is well when it is tried, and ill when Apache serves it."""
    old = site.check_healthy()
    with site.load() as load:
        outcome = site.publish(site.variant({"databoard/web/health.py": ill_when_served(site)}))
    assert isinstance(outcome.error, Failed)
    assert outcome.error.message.startswith("The step health failed:")
    assert "the host does not serve" in str(outcome.error)
    assert load.failed == []
    assert site.check_healthy() == old


def test_two_at_once(site: Site) -> None:
    """One wins, the other is told who."""
    site.publish(site.newer())  # so that there is work for longer than one waits for a lock
    both = [
        subprocess.Popen(
            site.command("publish-software", "--dirty"),
            env=site.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate() for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    loser = said[0][1] if both[0].returncode else said[1][1]
    assert re.match(r"lab\d is locked by \S+ since .* UTC: publish-software \w+\.\n", loser) or (
        "rolled out to lab" in loser
    )
    site.check_healthy()


def test_a_lock_says_who_has_it_and_unlock_breaks_it(site: Site) -> None:
    said: list[str] = []

    def look() -> None:
        with pytest.raises(Locked) as error:
            site.publish()
        said.append(str(error.value))
        said.append(site.inv("status").stdout)
        said.append(site.inv("unlock").stdout)

    outcome = site.publish(site.newer(), Listener("prepare", look))
    assert re.match(r"lab1 is locked by \S+ since .* UTC: publish-software \w+\.", said[0])
    assert re.search(r"publish-software \w+ by \S+, at (wheels|upload|prepare)", said[1])
    assert re.search(r"lab1 was locked by \S+ since", said[2])
    assert isinstance(outcome.error, Failed) and "The lock was lost." in str(outcome.error)
    again = site.publish()
    assert again.error is None
    site.check_healthy()


def test_a_dead_host_is_told_in_time_and_may_be_left_out(site: Site) -> None:
    old = site.check_healthy()
    site.hosts[1].link(False)
    with pytest.raises(Failed, match=r"lab2 \(.*\) does not answer within 2 s\.") as error:
        site.publish()
    assert error.value.hint == "Nothing was changed on any host."
    outcome = site.publish(site.newer(), way=Way(max_fail=1))
    assert outcome.error is None
    failures = {host.name: journey.failure for host, journey in outcome.journeys.items()}
    assert [name for name, failure in failures.items() if failure] == ["lab2"]
    site.lab.mend()
    assert [site.health(host)["release"] for host in site.hosts] == [
        outcome.release,
        old,
        outcome.release,
    ]
    assert site.inv("status").returncode == 1
    assert site.publish().error is None
    site.check_healthy()


def test_in_batches_what_fails_in_the_second_takes_back_the_first(site: Site) -> None:
    old = site.check_healthy()

    def spoil() -> None:
        site.hosts[2].run("echo Nonsense >/etc/apache2/conf-enabled/broken.conf")

    outcome = site.publish(site.newer(), Listener("health", spoil), Way(serial=2))
    site.hosts[2].run("rm /etc/apache2/conf-enabled/broken.conf")
    assert isinstance(outcome.error, Failed)
    assert outcome.error.message.startswith("The step switch failed:\n  lab3:")
    assert site.check_healthy() == old


def test_packets_are_lost(site: Site) -> None:
    for host in site.hosts:
        host.packet_loss(5)
    outcome = site.publish(site.newer())
    assert outcome.error is None, outcome.error
    for host in site.hosts:
        host.packet_loss(0)
    assert site.check_healthy() == outcome.release


def test_the_hosts_are_far_away(site: Site) -> None:
    with site.lab.delay(50):
        outcome = site.publish(site.newer())
    assert outcome.error is None, outcome.error
    assert site.check_healthy() == outcome.release
