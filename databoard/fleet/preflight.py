"""Is a host ready for a rollout?"""

from __future__ import annotations

from databoard.fleet.inventory import Host, Target
from databoard.fleet.source import Source
from databoard.fleet.survey import Facts

SPARE = 200 * 2**20  # bytes that a rollout leaves free
ENVIRONMENT = 700 * 2**20  # of a virtual environment with its wheels
OLDEST_PYTHON = (3, 11)


def wanted_space(source: Source | None) -> int:
    """Bytes that a rollout may need on a host, its environment left out."""
    if source is None:
        return 0
    return SPARE + 2 * sum(
        path.stat().st_size for path in source.folder.rglob("*") if path.is_file()
    )


def check_host(target: Target, host: Host, facts: Facts, space: int) -> str:
    """Why a host is not ready; empty when it is."""
    set_up = f"; make it ready with: inv set-up-host --target={target.name} --hosts={host.name}"
    if target.connection == "local":
        set_up = "; install it"
    if facts.missing:
        return f"there is no {', '.join(facts.missing)}{set_up}"
    if facts.platform is None:
        return f"its Python or its C library cannot be told{set_up}"
    if tuple(map(int, facts.platform.python.split("."))) < OLDEST_PYTHON:
        return f"its Python is {facts.platform.python}, and Databoard needs 3.11"
    wanted = space + (0 if facts.environments or not space else ENVIRONMENT)
    if facts.disk_free < wanted:
        return (
            f"{facts.disk_free >> 20} MB are free under {host.home}, and a rollout needs "
            f"{wanted >> 20} MB"
        )
    if space and facts.inodes_free and facts.inodes_free < 10_000:
        return f"only {facts.inodes_free} inodes are free under {host.home}"
    if facts.invalid:
        return f"Apache's configuration is not valid: {facts.invalid}"
    return ""
