"""A target's database as one of this machine: a tunnel through the one SSH connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from databoard.errors import DataboardError
from databoard.fleet.connect import Unreachable, opened
from databoard.fleet.inventory import Target
from databoard.fleet.rollout import migrating_host


@contextmanager
def database_url(target: Target) -> Iterator[str]:
    """The URL that leads to the target's database, meanwhile; its password is in it.

    Raises DataboardError: it has none behind SSH; Unreachable; InvalidValue as the secret.
    """
    if target.database is None or target.connection == "local":
        raise DataboardError(
            f"The target {target.name} has no database behind SSH.",
            "Use its database here: DATABOARD_DB_URL=...",
        )
    from databoard.fleet.ssh import SshMachine

    host, database = migrating_host(target), target.database
    with opened(target.only([host.name])) as machines:
        machine = machines[host]
        if isinstance(machine, Unreachable):
            raise machine
        assert isinstance(machine, SshMachine)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        forwarded = machine.connection.forward_local(
            port, database.port, database.host, local_host="127.0.0.1"
        )
        with forwarded:
            yield replace(database, host="127.0.0.1", port=port).url()
