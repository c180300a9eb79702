"""A bare Debian host is made ready, and serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from databoard.fleet import inventory, setup
from tests.fleet.site import HOME, Site

if TYPE_CHECKING:
    from tests.lab.hosts import Lab

pytestmark = pytest.mark.slow


def test_a_bare_host_is_made_ready_and_serves(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    site = Site(make_lab(1, bare={1}), tmp_path)
    text = (tmp_path / "lab.yml").read_text()
    (tmp_path / "lab.yml").write_text(text.replace("user: root, ", ""))
    site.lab.known_hosts.write_text("")
    host = site.hosts[0]
    assert host.run("id deploy; ls /usr/sbin/apache2", check=False).returncode != 0
    not_ready = site.inv("check")
    assert not_ready.returncode == 1 and "is not known yet" in not_ready.stderr
    stranger = site.inv("set-up-host", "--accept-new")
    assert stranger.returncode == 1 and "lets deploy not in" in stranger.stderr
    done = site.inv("set-up-host", "--login=root")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Ready: inv publish-software --target=lab\n")
    assert host.run("stat -c '%U %a' ~deploy/.ssh/authorized_keys").stdout == "deploy 600\n"
    assert host.run("stat -c %a /etc/sudoers.d/databoard").stdout == "440\n"
    again = site.inv("set-up-host")  # as deploy now; nothing is done twice
    assert again.returncode == 0, again.stderr
    keys = host.run("cat ~deploy/.ssh/authorized_keys").stdout.splitlines()
    assert len(keys) == len(set(keys))
    assert site.publish().error is None
    site.check_healthy()
    assert site.inv("status").returncode == 0
    for path in ("cron.d/databoard", "logrotate.d/databoard"):
        assert host.run(f"stat -c '%U %a' /etc/{path}").stdout == "root 644\n"
    assert (
        host.run("logrotate --debug /etc/logrotate.d/databoard 2>&1; true").stdout.count("error:")
        == 0
    )
    assert host.run("systemctl is-enabled databoard-worker").stdout == "enabled\n"
    said = host.run(f"{HOME}/bin/inv db-dump {HOME}/backups/by-hand.dump && ls {HOME}/backups")
    assert "by-hand.dump" in said.stdout
    assert host.run(f"stat -c '%U %a' {HOME}/backups/by-hand.dump").stdout.split() == [
        "databoard-worker",
        "600",
    ]
    assert host.run(f"{HOME}/bin/inv db-restore {HOME}/backups/by-hand.dump --force").stdout
    assert site.health(host)["database"] == "up"


@pytest.mark.parametrize("password", ["it's", 'back\\slash"', "$(x) %s", "é\N{SNOWMAN}"])
def test_any_password_is_a_literal(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", password)
    secret = inventory.Secret("env", "SECRET", "here")
    sql = setup.role_and_database(inventory.Database("board", "ro-le", secret))
    escaped = password.replace("'", "''")
    wanted = f"'{escaped}'" if "\\" not in password else f" E'{escaped}'".replace("\\", "\\\\")
    assert f'ALTER ROLE "ro-le" LOGIN CREATEDB PASSWORD {wanted};' in sql
