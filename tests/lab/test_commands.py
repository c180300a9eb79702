"""inv lab-up and lab-down, and the host that needs no root."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from databoard.fleet import inventory
from tasks import lab as commands

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
VISIT = """
import pathlib, subprocess, sys
from tests.lab.loopback import loopback

folder = pathlib.Path(sys.argv[1])
with loopback(folder) as host:
    for text in ("", (folder / "key.pub").read_text().split()[1]):
        known = host.known_hosts.read_text()
        host.known_hosts.write_text(known.replace(known.split()[2], text or known.split()[2]))
        said = subprocess.run([*host.ssh(), "id -u"], capture_output=True, text=True)
        print(said.stdout, said.stderr, (folder / "log").read_text() if said.returncode else "")
"""


def test_lab_up_writes_an_inventory_and_lab_down_removes_it(
    make_lab: Callable[..., object],  # leaves the test out where there can be no lab
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "lab.yml"
    monkeypatch.setattr(commands, "TAG", f"c{os.getpid()}")
    monkeypatch.setattr(commands, "NETWORK", "10.79")
    monkeypatch.setattr(commands, "places", lambda: (tmp_path / "hosts", file))
    try:
        commands.lab_up(Context(), count="3")
        target = inventory.load("lab", folder=tmp_path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert target.database is not None and len(target.database.password.read()) > 20
        assert [host.roles for host in target.hosts] == [
            ("web", "database", "worker"),
            ("web",),
            ("web",),
        ]
        lines = capsys.readouterr().out.splitlines()
        for host, line in zip(target.hosts, lines, strict=False):
            name, address, *ssh = line.split()
            assert (name, address) == (host.name, host.address)
            said = subprocess.check_output([*ssh, "hostname"], text=True)
            assert said == f"{host.name}\n"
    finally:
        commands.lab_down(Context())
    assert list(tmp_path.iterdir()) == []
    commands.lab_down(Context())
    assert capsys.readouterr().out == "The hosts are gone.\nThere was no host.\n"


def test_a_loopback_host_needs_no_root(need: Callable[[str], Path]) -> None:
    need("sshd")
    folder = Path(tempfile.mkdtemp(prefix="databoard-loopback-", dir="/tmp"))
    try:
        code, home = folder / "tests" / "lab", folder / "home"
        code.mkdir(parents=True)
        home.mkdir()
        for name in ("client.py", "loopback.py"):
            shutil.copy(HERE / name, code)
        command = [sys.executable, "-c", VISIT, str(home)]
        if os.geteuid() == 0:
            folder.chmod(0o755)
            os.chown(home, 65534, 65534)
            command = as_nobody(folder, ["/usr/bin/python3", "-B", *command[1:]])
        visit = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert visit.returncode == 0, visit.stderr
        assert visit.stdout.split()[0] == str(os.geteuid() or 65534), visit.stdout
        assert "HOST IDENTIFICATION HAS CHANGED" in visit.stdout  # the second time it was another
        rest = subprocess.run(["pgrep", "-f", folder], capture_output=True, text=True)
        assert rest.stdout == ""
    finally:
        shutil.rmtree(folder)


def as_nobody(folder: Path, command: list[str]) -> list[str]:
    """The command as nobody, whom a copy of /etc/passwd gives another name and a shell."""
    users = Path("/etc/passwd").read_text().splitlines()
    others = [user for user in users if not user.startswith("nobody:")]
    passwd = folder / "passwd"
    passwd.write_text("\n".join([*others, f"visitor:x:65534:65534::{folder}:/bin/sh"]) + "\n")
    script = 'mount --bind "$0" /etc/passwd && exec setpriv --reuid=65534 --regid=65534 "$@"'
    options = ["--clear-groups", "--"]
    return ["unshare", "--mount", "sh", "-c", script, str(passwd), *options, *command]
