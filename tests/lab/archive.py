"""Bare hosts: they lack Debian packages, which apt installs from an archive without a network."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from databoard.errors import DataboardError
from tests.lab import layers
from tests.lab.shell import run

# What apt has downloaded is kept, so that it needs the network once.
CACHE = Path("/var/cache/databoard-lab")
PACKAGES = (
    *("apache2", "libapache2-mod-wsgi-py3", "postgresql", "postgresql-client"),
    *("sudo", "rsync", "cron", "python3-venv"),
)
PURGED = (
    *("apache2*", "libapache2-mod-wsgi-py3", "postgresql*", "sudo", "rsync", "cron"),
    *("cron-daemon-common", "python3-venv", "python3.[0-9]*-venv"),
)
PLACE = "var/lib/archive"


def bare(base: layers.Layer, folder: Path) -> layers.Layer:
    """A layer without our packages, and with an archive of them. Raises DataboardError."""
    layer = layers.over(base, folder, "bare.sh", *PURGED)
    place = layer.upper / PLACE
    place.mkdir(parents=True)
    for package in download(layer.upper / "var/lib/dpkg/status"):
        shutil.copy(package, place)
    (place / "Packages").write_text("\n".join(map(describe, sorted(place.glob("*.deb")))))
    sources = layer.upper / "etc/apt/sources.list"
    sources.write_text(f"deb [trusted=yes] file:/{PLACE} ./\n")
    return layer.build("update.sh")


def download(status: Path) -> list[Path]:
    """The packages that a machine with this status would need for ours."""
    (CACHE / "partial").mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::status": status,
        "Dir::Cache::archives": CACHE,
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",  # nothing of the machine's own is changed
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    command = ["apt-get", "install", "--quiet", "--yes", "--download-only"]
    result = run(*command, "--no-install-recommends", *words, *PACKAGES, check=False)
    if result.returncode:
        raise DataboardError(
            f"apt cannot download the packages of a bare host: {result.stderr.strip()}",
            "Check the network, then: apt-get update",
        )
    return list(CACHE.glob("*.deb"))


def describe(package: Path) -> str:
    """Its paragraph in the index of an archive."""
    control = run("dpkg-deb", "--field", package).stdout
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    size = package.stat().st_size
    return f"{control}Filename: ./{package.name}\nSize: {size}\nSHA256: {digest}\n"
