"""Commands for people who work on Databoard itself."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from invoke import Context, Exit, task

PROJECT = Path(__file__).resolve().parents[1]
CHECKS = ("ruff check", "ruff format --check", "mypy databoard")


@dataclass(frozen=True)
class Part:
    """A program that tests use and pip cannot install."""

    package: str  # of Debian
    purpose: str
    programs: tuple[str, ...]  # any one will do: a command on the PATH, or a pattern of files

    def find(self) -> Path | None:
        """The program, of the newest version when there are several."""
        for program in self.programs:
            if "/" not in program and (command := shutil.which(program)):
                return Path(command)
            if found := glob.glob(program):
                return Path(max(found, key=version_key))
        return None


ON_HOSTS = "the tests on hosts"
# What the complete suite needs beyond Python. Tests ask for a part by its key: need("postgresql").
PARTS = {
    "postgresql": Part(
        package="postgresql",
        purpose="the tests on a real PostgreSQL",
        # Debian keeps the server's programs off the PATH
        programs=("initdb", "/usr/lib/postgresql/*/bin/initdb"),
    ),
    # The hosts of tests/lab have what this machine has.
    "bwrap": Part("bubblewrap", "the tests that train in a box", ("bwrap",)),
    "systemd": Part("systemd", ON_HOSTS, ("/lib/systemd/systemd",)),
    "sshd": Part("openssh-server", ON_HOSTS, ("/usr/sbin/sshd",)),
    "rsync": Part("rsync", ON_HOSTS, ("rsync",)),
    "apache2": Part("apache2", ON_HOSTS, ("/usr/sbin/apache2",)),
    "mod_wsgi": Part(
        "libapache2-mod-wsgi-py3", ON_HOSTS, ("/usr/lib/apache2/modules/mod_wsgi.so",)
    ),
    "ip": Part("iproute2", ON_HOSTS, ("ip", "/usr/sbin/ip")),
    "nft": Part("nftables", ON_HOSTS, ("/usr/sbin/nft",)),
    "sudo": Part("sudo", ON_HOSTS, ("/usr/bin/sudo",)),
    "cron": Part("cron", ON_HOSTS, ("/usr/sbin/cron",)),
    "venv": Part("python3-venv", ON_HOSTS, ("/usr/lib/python3.*/ensurepip/__init__.py",)),
    "sshfs": Part("sshfs", "the tests of a mounted store", ("sshfs",)),
    "chromium": Part("chromium", "the tests in a browser", ("chromium",)),
    "logrotate": Part("logrotate", ON_HOSTS, ("/usr/sbin/logrotate",)),
}


@task(
    help={
        "fast": "Leave out what takes seconds, and PostgreSQL.",
        "yes": "Install missing Debian packages without asking (as root; CI=true does the same).",
        "only": "Run only the tests whose names match this expression (pytest -k).",
    }
)
def test(ctx: Context, fast: bool = False, yes: bool = False, only: str = "") -> None:
    """Check the code and run the test-suite."""
    install_test_requirements()
    provide_parts(consent=yes or os.environ.get("CI") == "true")
    failed = [check for check in CHECKS if not run(*check.split())]
    os.environ["DATABOARD_FAILED_CHECKS"] = ", ".join(failed)  # pytest closes with them
    passed = run("pytest", *(["-m", "not slow"] if fast else []), *(["-k", only] if only else []))
    if failed or not passed:
        raise Exit(code=1)


def run(module: str, *arguments: str) -> bool:
    """Run a tool of this environment in the project's folder; whether it was content."""
    print("$", module, *arguments, flush=True)
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=PROJECT).returncode == 0


def install_test_requirements() -> None:
    """Bring requirements-test.lock into the running environment, unless it is there."""
    if sys.prefix == sys.base_prefix:
        raise Exit("The tests run in Databoard's own environment; call them as ./inv test")
    lock = PROJECT / "requirements-test.lock"
    stamp = Path(sys.prefix, "databoard-test.stamp")
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with open(f"{sys.prefix}.lock", "a") as turn:  # the one that ./inv takes for an installation
        fcntl.flock(turn, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print("Installing the test requirements (once) ...", file=sys.stderr, flush=True)
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-input"]
        command = [*pip, "--no-deps", "--require-hashes", "-r", str(lock)]
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
            raise Exit("Installing the test requirements failed, see above; check the network.")
        stamp.write_text(wanted)


def provide_parts(consent: bool) -> None:
    """Install the Debian packages that are missing, or say how; tests find out by themselves."""
    missing = [part for part in PARTS.values() if part.find() is None]
    if not missing:
        return
    packages = sorted({part.package for part in missing})
    if consent and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, stdin=subprocess.DEVNULL)
    else:
        sudo = "" if os.geteuid() == 0 else "sudo "
        purposes = sorted({part.purpose for part in missing})
        print("To run", " and ".join(purposes), "as well:", flush=True)
        print(f"  {sudo}apt-get install --no-install-recommends {' '.join(packages)}", flush=True)


def version_key(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]
