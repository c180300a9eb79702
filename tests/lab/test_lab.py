"""The hosts that rollouts are tested on are what they say."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lab.host import LabHost
    from tests.lab.hosts import Lab

pytestmark = pytest.mark.slow

SITE = """
WSGIScriptAlias /lab /usr/local/lib/lab.wsgi
<Directory /usr/local/lib>
Require all granted
</Directory>
"""
APP = """
import sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [sys.executable.encode(), b" %d.%d" % sys.version_info[:2]]
"""
WORKER = """
[Service]
User=deploy
WorkingDirectory=/home/deploy
ExecStart=/usr/bin/python3 -uc "import os, time; print(os.getuid(), os.getcwd()); time.sleep(1e6)"
KillMode=mixed
StandardOutput=append:/home/deploy/worker.log
[Install]
WantedBy=multi-user.target
"""


def ask(lab: Lab, host: LabHost, command: str, user: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*lab.ssh(host, user), command], capture_output=True, text=True)


def connect(host: LabHost, timeout: float = 10) -> float:
    """How many milliseconds it takes to connect."""
    begin = time.monotonic()
    socket.create_connection((host.address, host.port), timeout=timeout).close()
    return (time.monotonic() - begin) * 1000


def main_pid(host: LabHost, unit: str) -> int:
    return int(host.run(f"systemctl show --property=MainPID --value {unit}").stdout)


def test_ssh_lets_root_and_deploy_in_with_their_key_only(lab: Lab) -> None:
    for host in lab.hosts:
        for user in ("root", "deploy"):
            answer = ask(lab, host, "whoami; hostname", user)
            assert answer.stdout.split() == [user, host.name], answer.stderr
    stranger = ask(lab, lab.hosts[0], "true", "daemon")
    assert stranger.returncode == 255
    assert "Permission denied (publickey)" in stranger.stderr


def test_sudo_asks_deploy_for_no_password(lab: Lab) -> None:
    assert ask(lab, lab.hosts[0], "sudo -n id -u").stdout == "0\n"


def test_hosts_have_debians_python_and_nothing_of_the_machines_people(lab: Lab) -> None:
    host = lab.hosts[0]
    for user in ("root", "deploy"):
        assert ask(lab, host, "command -v python3", user).stdout == "/usr/bin/python3\n"
    version = host.run("dpkg-query --show --showformat='${Version}' python3.11-minimal").stdout
    assert ask(lab, host, "python3 --version").stdout.split()[1] == version.partition("-")[0]
    assert host.run("ls -A /root /home").stdout.split() == ["/home:", "deploy", "/root:", ".ssh"]
    visible = set(os.listdir(host.root))
    assert visible < {*os.listdir("/"), "home", "media", "mnt", "opt", "root", "srv"}
    assert not visible & {"work", "lost+found"}


def test_apache_serves_through_mod_wsgi(lab: Lab) -> None:
    host = lab.hosts[0]
    (host.root / "usr/local/lib/lab.wsgi").write_text(APP)
    (host.root / "etc/apache2/sites-enabled/lab.conf").write_text(SITE)
    host.run("service apache2 reload")
    with urllib.request.urlopen(f"http://{host.address}/lab") as answer:
        assert answer.read() == b"/usr/bin/python3 3.11"


def test_postgresql_takes_a_password_from_another_host(lab: Lab) -> None:
    first, second, _ = lab.hosts
    first.run("service postgresql start")
    role = "CREATE ROLE visitor LOGIN PASSWORD 'right'"
    first.run(f'cd /; su postgres -c "psql -c \\"{role}\\""')
    for password, code, said in (("right", 0, "1\n"), ("wrong", 2, "")):
        url = f"postgresql://visitor:{password}@{first.address}/postgres"
        answer = second.run(f"psql --no-align --tuples-only -c 'SELECT 1' {url}", check=False)
        assert (answer.returncode, answer.stdout) == (code, said)
    stored = "SELECT substr(rolpassword, 1, 13) FROM pg_authid WHERE rolname = 'visitor'"
    assert "SCRAM-SHA-256" in first.run(f'cd /; su postgres -c "psql -c \\"{stored}\\""').stdout
    first.run("service postgresql stop")


def test_a_workers_unit_starts_restarts_stops_and_comes_back_with_the_host(lab: Lab) -> None:
    host = lab.hosts[2]
    (host.root / "etc/systemd/system/lab-worker.service").write_text(WORKER)
    commands = "sudo systemctl daemon-reload && sudo systemctl enable --now lab-worker"
    assert ask(lab, host, commands).returncode == 0
    first = main_pid(host, "lab-worker")
    assert ask(lab, host, "sudo service lab-worker restart").returncode == 0
    second = main_pid(host, "lab-worker")
    assert 0 < first != second > 0
    assert ask(lab, host, "systemctl is-active lab-worker").stdout == "active\n"  # without sudo
    deploy = host.run("id -u deploy").stdout.strip()
    written = (host.root / "home/deploy/worker.log").read_text()
    assert written.count(f"{deploy} /home/deploy\n") >= 1
    host.stop()
    host.boot()
    host.run("systemctl is-system-running --wait")
    assert main_pid(host, "lab-worker") > 0
    host.run("systemctl disable --now lab-worker")
    assert host.run("systemctl is-active lab-worker", check=False).stdout == "inactive\n"


def test_a_host_whose_cable_is_pulled_is_silent_and_answers_afterwards(lab: Lab) -> None:
    host = lab.hosts[1]
    host.link(False)
    with pytest.raises(TimeoutError):
        connect(host, timeout=0.3)
    assert host.run("hostname").stdout == "lab2\n"  # the way in that needs no network
    host.link(True)
    connect(host)


def test_a_host_behind_a_blackhole_is_given_up_at_once(lab: Lab) -> None:
    host = lab.hosts[1]
    host.blackhole(True)
    with pytest.raises(OSError, match=r"Invalid argument|unreachable"):
        connect(host)
    connect(lab.hosts[0])
    host.blackhole(False)
    connect(host)


def test_lost_packets_are_sent_again(lab: Lab) -> None:
    host = lab.hosts[1]
    host.packet_loss(100)
    with pytest.raises(TimeoutError):
        connect(host, timeout=0.3)
    host.packet_loss(10)
    patient = ["ssh", "-o", "ConnectTimeout=60", *lab.ssh(host)[1:], "wc -c"]
    answer = subprocess.run(patient, input=bytes(300_000), capture_output=True)
    assert answer.stdout == b"300000\n", answer.stderr
    host.packet_loss(0)
    assert "lab" not in host.run("nft list tables").stdout


def test_a_power_cut_keeps_what_is_on_the_disk(lab: Lab) -> None:
    host = lab.hosts[1]
    host.run("echo kept >/srv/file; echo lost >/run/file")
    process = host.pid
    host.stop()
    assert not os.path.exists(f"/proc/{process}")
    with pytest.raises(OSError):
        connect(host, timeout=0.3)
    with pytest.raises(RuntimeError, match="lab2 is switched off"):
        host.run("true")
    host.boot()
    assert host.pid != process
    assert (host.root / "srv/file").read_text() == "kept\n"
    assert not (host.root / "run/file").exists()
    assert ask(lab, host, "cat /srv/file").stdout == "kept\n"


def test_a_killed_sshd_refuses_and_cuts_its_connections(lab: Lab) -> None:
    host = lab.hosts[1]
    command = [*lab.ssh(host), "echo here; sleep infinity"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"here\n"
        host.kill_sshd()
        assert client.wait() == 255
    with pytest.raises(ConnectionRefusedError):
        connect(host)
    host.start_sshd()
    assert ask(lab, host, "hostname").stdout == "lab2\n"


def test_ssh_notices_a_changed_host_key(lab: Lab) -> None:
    host = lab.hosts[1]
    host.change_host_key()
    answer = ask(lab, host, "true")
    assert answer.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in answer.stderr
    lab.trust()
    assert ask(lab, host, "true").returncode == 0


def test_a_small_disk_gets_full(lab: Lab) -> None:
    host = lab.hosts[1]
    host.small_disk("/var/small", "1m")
    full = host.run("head -c 2M /dev/zero >/var/small/file", check=False)
    assert "No space left on device" in full.stderr
    assert (host.root / "var/small/file").stat().st_size == 1024 * 1024
    host.run("umount /var/small")


def test_a_slow_network_delays_each_way_between_all(lab: Lab) -> None:
    first, second, third = lab.hosts
    between = (
        "import socket, time; begin = time.monotonic(); "
        f"socket.create_connection(('{third.address}', 22)); print(time.monotonic() - begin)"
    )
    with lab.delay(50):
        assert all(50 <= connect(host) <= 150 for host in lab.hosts)
        # Two cables, so twice as long; longer when they have to find each other first.
        assert float(second.run(f'python3 -c "{between}"').stdout) >= 0.1
        first.stop()
        first.boot()
        assert min(connect(first) for _ in range(3)) >= 50
        assert ask(lab, second, "true").returncode == 0
    assert min(connect(host) for host in lab.hosts for _ in range(3)) < 50
    assert not [name for name in os.listdir("/sys/class/net") if name.startswith(first.cable + "b")]


def test_a_bare_host_has_no_deploy_and_apt_installs_there_offline(
    make_lab: Callable[..., Lab],
) -> None:
    with make_lab(2, bare=(2,)) as lab:
        ready, bare = lab.hosts
        assert (ready.user, bare.user) == ("deploy", "root")
        assert ask(lab, bare, "id deploy").returncode == 1
        for program in ("sudo", "rsync", "crontab", "apache2ctl", "psql"):
            assert ready.run(f"command -v {program}").stdout
            assert not bare.run(f"command -v {program}", check=False).stdout
        bare.link(False)
        bare.run("apt-get update && apt-get install --yes --no-install-recommends rsync cron")
        assert bare.run("rsync --version; systemctl is-active cron").stdout.endswith("active\n")


def test_many_connections_at_once_are_taken(lab: Lab) -> None:
    command = [*lab.ssh(lab.hosts[0]), "true"]
    clients = [subprocess.Popen(command) for _ in range(40)]
    assert [client.wait() for client in clients] == [0] * 40
