"""The hosts that rollouts are tested on are what they say."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lab.host import LabHost
    from tests.lab.hosts import Lab

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SITE = """
WSGIScriptAlias / /srv/app.wsgi
<Directory /srv>
Require all granted
</Directory>
"""
APP = """
import sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [sys.version.split()[0].encode()]
"""
WORKER = """
[Service]
User=deploy
WorkingDirectory=/home/deploy
ExecStart=/usr/bin/python3 -uc "import os, time; print(os.getpid(), os.getuid()); time.sleep(1e6)"
KillMode=mixed
StandardOutput=append:/home/deploy/worker.log
[Install]
WantedBy=multi-user.target
"""


def ask(lab: Lab, host: LabHost, command: str, user: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*lab.ssh(host, user), command], capture_output=True, text=True)


def connect(host: LabHost, port: int = 22, timeout: float = 10) -> float:
    """How many milliseconds it takes to connect."""
    begin = time.monotonic()
    socket.create_connection((host.address, port), timeout=timeout).close()
    return (time.monotonic() - begin) * 1000


def test_ssh_answers_root_and_deploy_with_their_key_only(lab: Lab) -> None:
    for host in lab.hosts:
        for user in ("root", "deploy"):
            answer = ask(lab, host, "whoami; hostname", user)
            assert answer.stdout.split() == [user, host.name], answer.stderr
    stranger = ask(lab, lab.hosts[0], "true", "daemon")
    assert stranger.returncode == 255
    assert "Permission denied (publickey)" in stranger.stderr


def test_sudo_asks_for_no_password(lab: Lab) -> None:
    assert ask(lab, lab.hosts[0], "sudo -n id -u").stdout == "0\n"


def test_hosts_have_debian_s_python_and_nothing_of_the_machine(lab: Lab) -> None:
    command = "readlink -f $(which python3); ls -A /root /home /srv /opt /usr/local; ls /"
    lines = lab.hosts[0].run(command).stdout.split()
    assert lines[0].startswith("/usr/bin/python3.")
    assert lines[1:9] == ["/home:", "deploy", "/opt:", "/root:", ".ssh", "/srv:", "/usr/local:", "bin"]
    assert "work" not in lines
