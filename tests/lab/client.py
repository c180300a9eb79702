"""How a client calls a host: with this key alone, and no other host in its place."""

from __future__ import annotations

from pathlib import Path


def ssh(key: Path, known_hosts: Path, port: int, who: str) -> list[str]:
    """The words of ssh(1) before the command that is to be run there."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "none",
        "IdentitiesOnly": "yes",
        "ConnectTimeout": 5,
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-i", str(key), "-p", str(port), *words, who]
