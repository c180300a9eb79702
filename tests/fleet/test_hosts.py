"""Connections to real hosts, and the commands on them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from databoard.fleet import chores, inventory, logs, publish, status
from databoard.fleet.connect import Unreachable, opened
from databoard.fleet.machine import Machine
from databoard.fleet.publish import Way
from databoard.fleet.ssh import SshMachine
from tests.fleet.site import HOME, Listener, Site, get

if TYPE_CHECKING:
    from tests.lab.hosts import Lab

pytestmark = pytest.mark.slow
HOSTILE = [
    "a b",
    "a'b\"c",
    "$(touch /tmp/hit)",
    "`touch /tmp/hit`",
    "; touch /tmp/hit",
    "-n",
    "*",
    "a\nb",
    "é\N{SNOWMAN}",
    "\\",
    "!x",
    "a\tb",
]


def checksum(site: Site, number: int) -> str:
    """Of everything on a host that a rollout could touch, times included; but not of what its
    database and its worker write all the time."""
    folders = "/srv /etc /var/lib /usr/local /home /root"
    busy = "\\( -path /var/lib/postgresql -o -name worker.log \\) -prune"
    listing = (
        f"find {folders} -xdev {busy} -o -printf '%p %y %m %u %g %s %T@ %l\\n' | sort | sha256sum; "
        f"find /srv /etc -xdev {busy} -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"
    )
    return site.hosts[number].run(listing).stdout


def only(site: Site, name: str) -> Machine | Unreachable:
    with opened(site.target.only([name])) as machines:
        return next(iter(machines.values()))


def test_a_dry_run_shows_everything_and_changes_nothing(site: Site) -> None:
    assert site.publish(site.newer()).error is None
    before = [checksum(site, number) for number in range(3)]
    text = (site.folder / "lab.yml").read_text()
    (site.folder / "lab.yml").write_text(text.replace("port: 80", "port: 8081"))
    plan = publish.plan_software(site.target, site.newer(), Way(), Listener())
    assert [name for name, _, _ in plan.steps] == [
        *("upload", "prepare", "try", "switch", "reload", "health", "prune")
    ]
    assert plan.pending == []
    for host in site.target.hosts:
        assert [line.split()[1] for line in plan.sent[host]] == ["databoard/__init__.py"]
        diff = "\n".join(plan.diffs[host])
        assert "\n-<VirtualHost *:80>" in diff and "\n+<VirtualHost *:8081>" in diff
        assert "DATABOARD_DB_URL" not in diff
    said = site.inv("publish-software", "--dirty", "--dry-run")
    assert said.returncode == 0 and "+Listen 8081" in said.stdout
    for command in (
        ["rollback"],
        ["restart"],
        ["reload"],
        ["maintenance", "on"],
        ["set-up-host"],
        ["check"],
        ["unlock"],
        ["run-on", "all"],
    ):
        tail = ["--", "touch", "/srv/hit"] if command[0] == "run-on" else []
        done = site.inv(*command, "--dry-run", *tail)
        assert done.returncode == 0, done.stderr
    assert [checksum(site, number) for number in range(3)] == before


def test_few_round_trips(site: Site) -> None:
    """One connection per host, and so many channels on it: each costs two round trips."""
    counts: list[int] = []
    close = SshMachine.close

    def count(machine: SshMachine) -> None:
        counts.append(machine.requests)
        close(machine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SshMachine, "close", count)
        site.publish(site.newer())
        # survey, lock, upload, prepare, try, switch, reload, health, prune
        assert counts == [9, 9, 9]
        counts.clear()
        status.status(site.target)
        assert counts == [1, 1, 1]


def test_one_connection_per_command(site: Site) -> None:
    command = "journalctl -q -u ssh --no-pager | grep -c 'Accepted publickey'"
    count = site.hosts[0].run(command, check=False).stdout
    site.publish(site.newer())
    after = site.hosts[0].run(command, check=False).stdout
    if not count.strip():
        pytest.fail("the host keeps no journal")
    assert int(after) == int(count) + 1


def test_what_is_typed_is_quoted(site: Site) -> None:
    for text in HOSTILE:
        said: list[str] = []
        assert not chores.run_on(site.target, ["printf", "%s", text], said.append)
        wanted = text.split("\n")
        assert [line for line in said if line.startswith("lab1 ")] == [
            f"lab1 {line}" for line in wanted
        ]
    for host in site.hosts:
        assert host.run("ls /tmp/hit", check=False).returncode == 2


def test_one_word_is_a_line_for_the_shell(site: Site) -> None:
    done = site.inv("run-on", "lab1,lab3", "--", "echo $((6 * 7)) | cat; hostname; exit 3")
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == ["lab1 42", "lab1 lab1", "lab3 42", "lab3 lab3"]
    assert sorted(done.stderr.splitlines()) == ["lab1: exit code 3", "lab3: exit code 3"]
    assert site.inv("run-on", "database", "--", "hostname").stdout == "lab1 lab1\n"


def test_a_host_that_is_not_known_is_refused(site: Site) -> None:
    known = site.lab.known_hosts.read_text()
    site.lab.known_hosts.write_text("".join(known.splitlines(keepends=True)[1:]))
    refused = only(site, "lab1")
    assert isinstance(refused, Unreachable)
    key = site.hosts[0].run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()[1]
    assert refused.message == (
        f"lab1 ({site.hosts[0].address}, port 22) is not known yet; it shows the ssh-ed25519 key "
        f"{key}."
    )
    assert "inv set-up-host --accept-new" in refused.hint
    done = site.inv("set-up-host", "--hosts=lab1", "--accept-new")
    assert done.returncode == 0, done.stderr
    assert isinstance(only(site, "lab1"), SshMachine)


def test_a_host_whose_key_has_changed_is_refused(site: Site) -> None:
    before = fingerprint(site)
    site.hosts[0].change_host_key()
    for options in ([], ["--accept-new"]):
        done = site.inv("set-up-host", "--hosts=lab1", *options)
        assert done.returncode == 1
        told = f"shows another host key than before: {fingerprint(site)}, not {before}."
        assert told in done.stderr
        assert f"ssh-keygen -f {site.lab.known_hosts} -R {site.hosts[0].address}" in done.stderr
    site.lab.trust()
    assert isinstance(only(site, "lab1"), SshMachine)


def fingerprint(site: Site) -> str:
    key = "/etc/ssh/ssh_host_ed25519_key.pub"
    return site.hosts[0].run(f"ssh-keygen -lf {key}").stdout.split()[1]


def test_who_is_not_let_in_is_told_the_key(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    text = (site.folder / "lab.yml").read_text()
    (site.folder / "lab.yml").write_text(text.replace(f"key: {site.lab.key}", f"key: {other}"))
    refused = only(site, "lab1")
    assert isinstance(refused, Unreachable)
    where = f"lab1 ({site.hosts[0].address}, port 22)"
    assert refused.message == f"{where} lets deploy not in with the key {other}."
    (site.folder / "lab.yml").write_text(text.replace(f"key: {site.lab.key}", "key: /none"))
    missing = only(site, "lab1")
    assert isinstance(missing, Unreachable)
    assert missing.message == "The key of lab1, /none, cannot be read."


def test_one_of_ten_is_dead_and_the_others_are_not_held_up(
    make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    many = Site(make_lab(10), tmp_path)
    many.hosts[4].link(False)
    found = status.status(many.target)
    assert [each.problems for each in found if each.host.name != "lab5"] == [
        ["Nothing was rolled out to it yet."]
    ] * 9
    assert "does not answer within 2 s." in found[4].problems[0]
    with opened(many.target) as machines:  # each was let in, and none is waited for
        assert sum(isinstance(machine, SshMachine) for machine in machines.values()) == 9


def test_restart_reload_and_maintenance(site: Site) -> None:
    assert site.inv("restart").returncode == 0
    with site.load() as load:
        assert site.inv("maintenance", "off").returncode == 0
        assert site.publish(site.newer()).error is None
    assert load.failed == []
    assert site.inv("maintenance", "on", "--hosts=lab2").returncode == 0
    status_code, body = get(site.hosts[1].address, "/")
    assert status_code == 503 and b"Back soon" in body
    assert site.health(site.hosts[1])["status"] == 200
    assert get(site.hosts[0].address, "/")[0] == 200
    assert "closed for maintenance" in site.inv("status").stdout
    assert site.inv("maintenance", "off").returncode == 0
    assert get(site.hosts[1].address, "/")[0] == 200
    assert site.inv("reload").returncode == 0


def test_the_status_tells_what_is_wrong(site: Site) -> None:
    good = site.inv("status", "--json")
    assert good.returncode == 0
    hosts = json.loads(good.stdout)["hosts"]
    assert [each["host"] for each in hosts] == ["lab1", "lab2", "lab3"]
    assert all(each["apache"] == "active" and not each["problems"] for each in hosts)
    assert [each["worker"] for each in hosts] == ["active", None, None]
    site.hosts[2].run("service apache2 stop")
    site.hosts[0].run("systemctl stop databoard-worker")
    wrong = site.inv("status")
    assert wrong.returncode == 1
    assert "lab3: Apache does not run." in wrong.stdout
    assert "lab1: The worker does not run." in wrong.stdout
    assert wrong.stderr == "Something is wrong on lab1, lab3.\n"
    assert site.inv("restart").returncode == 0
    assert site.inv("status").returncode == 0


def test_the_logs_of_all_hosts_are_one(site: Site) -> None:
    for number, host in enumerate(site.hosts):
        stamp = f"[Tue Nov 24 23:59:5{2 - number}.000000 2037]"
        host.run(f"printf '{stamp} [x] h{number} \\033[31mred\\n' >>/var/log/apache2/error.log")
    lines, failures = logs.read(site.target, 1)
    assert not failures
    mine = [line for line in lines if "[x]" in line]
    assert [line.split()[0] for line in mine] == ["lab3", "lab2", "lab1"]
    assert all("\x1b" not in line and "\N{REPLACEMENT CHARACTER}[31m" in line for line in mine)


def test_logs_are_followed_until_the_command_ends(site: Site) -> None:
    command = [*site.command("logs", "--follow", "--lines=0")]
    with subprocess.Popen(
        command, env=site.environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        site.hosts[1].run(
            "for i in $(seq 100); do pgrep -f '[t]ail -n 0' >/dev/null && break; sleep 0.1; done; "
            "echo just now >>/var/log/apache2/error.log"
        )
        assert process.stdout.readline() == "lab2 apache just now\n"
        process.kill()
    for host in site.hosts:
        gone = (
            "for i in $(seq 100); do pgrep -f '[t]ail -n 0' >/dev/null || exit 0; sleep 0.1; done"
        )
        assert host.run(f"{gone}; exit 1").returncode == 0


def test_releases_tell_who_did_what(site: Site) -> None:
    site.publish(site.newer())
    told = json.loads(site.inv("releases", "--json").stdout)
    assert told["releases"][0]["serving"] == ["lab1", "lab2", "lab3"]
    assert told["actions"][0]["what"].startswith("publish-software")
    assert told["actions"][0]["result"] == "ok"
    for host in site.hosts:
        lines = host.run(f"tail -n 3 {HOME}/log/audit.jsonl").stdout.splitlines()
        assert [json.loads(line)["step"] for line in lines] == ["health", "prune", "prune"]


def test_rollback_goes_back_and_to_what_is_named(site: Site) -> None:
    first = site.check_healthy()
    second = site.publish(site.newer()).release
    with site.load() as load:
        assert site.inv("rollback").returncode == 0
        assert site.check_healthy() == first
        assert site.inv("rollback", f"--to={second}").returncode == 0
    assert load.failed == []
    assert site.check_healthy() == second
    unknown = site.inv("rollback", "--to=20200101T000000Z-0000000")
    assert unknown.returncode == 1
    assert re.match(r"lab1 has no release 20200101T000000Z-0000000\.\nChoose one", unknown.stderr)


def test_old_releases_are_pruned_but_not_those_that_matter(site: Site) -> None:
    first = site.check_healthy()
    releases = [site.publish(site.newer()).release for _ in range(6)]
    for host in site.hosts:
        there = host.run(f"ls {HOME}/releases").stdout.split()
        assert there == releases[-5:]
        assert len(host.run(f"ls {HOME}/venvs").stdout.split()) == 1
    assert first not in there


def test_what_is_secret_is_read_by_one_user(site: Site) -> None:
    password = site.lab.password.read_text().strip()
    host = site.hosts[0]
    modes = host.run(f"stat -c '%a %U %n' {HOME}/current/etc/*.env").stdout
    assert re.findall(r"^600 (\S+) .*/(\w+).env$", modes, re.MULTILINE) == [
        ("databoard", "web"),
        ("databoard-worker", "worker"),
    ]
    assert host.run(f"stat -c '%a %U' {HOME}/current/etc/settings").stdout == "600 root\n"
    assert "settings" not in host.run(f"cat {HOME}/current/release.json").stdout
    found = host.run(
        f"grep -rlsF '{password}' {HOME} /var/log /etc --exclude-dir=venvs; true"
    ).stdout
    assert set(found.split()) == {
        path for path in found.split() if re.search(r"/releases/[^/]+/etc/(web|worker)\.env$", path)
    }
    for command in ("publish-software --dirty --dry-run", "inventory", "status", "releases"):
        done = site.inv(*command.split())
        assert password not in done.stdout + done.stderr


def test_unchanged_files_are_hard_links(site: Site) -> None:
    before = site.check_healthy()
    after = site.publish(site.newer()).release
    same = "stat -c %i releases/{}/databoard/{}"
    host = site.hosts[0]

    def inode(release: str, name: str) -> str:
        return host.run(f"cd {HOME} && {same.format(release, name)}").stdout

    assert inode(before, "names.py") == inode(after, "names.py")
    assert inode(before, "__init__.py") != inode(after, "__init__.py")


def test_hooks_run_around_each_step(site: Site) -> None:
    log = site.folder / "hooks.log"
    points = [f"{when}_{step}" for step in inventory.STEPS for when in ("before", "after")]
    site.write_inventory(
        **{point: f"echo $DATABOARD_HOOK $DATABOARD_TARGET >>{log}" for point in points}
    )
    assert site.publish(site.newer()).error is None
    ran = log.read_text().splitlines()
    steps = [
        "preflight",
        "lock",
        "upload",
        "prepare",
        "try",
        "switch",
        "reload",
        "health",
        "prune",
        "unlock",
    ]
    assert ran == [f"{when}-{step} lab" for step in steps for when in ("before", "after")]


def test_a_hook_that_fails_stops_the_rollout(site: Site) -> None:
    old = site.check_healthy()
    site.write_inventory(before_switch="echo no thanks; exit 7")
    outcome = site.publish(site.newer())
    assert "The hook before-switch (echo no thanks; exit 7) failed: no thanks" in str(outcome.error)
    site.write_inventory()
    assert site.check_healthy() == old


def test_the_same_again_changes_nothing_but_mends_what_has_drifted(site: Site) -> None:
    source = site.newer()
    first = site.publish(source)
    pids = site.hosts[0].run("pgrep -f '^.wsgi:databoard'").stdout
    site.hosts[1].run("echo '# by hand' >>/etc/cron.d/databoard; service apache2 stop")
    again = site.publish(source)
    assert again.error is None and again.release == first.release
    assert site.check_healthy() == first.release
    assert "by hand" not in site.hosts[1].run("cat /etc/cron.d/databoard").stdout
    assert site.hosts[0].run("pgrep -f '^.wsgi:databoard'").stdout == pids
