"""Opening the connections: host keys verified, all hosts side by side, the dead ones told."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from databoard.errors import DataboardError
from databoard.fleet.inventory import Host, Target
from databoard.fleet.local import ThisMachine
from databoard.fleet.machine import Machine

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import PKey


Item = TypeVar("Item")
Result = TypeVar("Result")


class Unreachable(DataboardError):
    """A host that cannot be worked on; the sentence says why."""


@contextmanager
def opened(
    target: Target, *, accept_new: bool = False
) -> Iterator[dict[Host, Machine | Unreachable]]:
    """A machine for each host of the target, or the reason why there is none.

    `accept_new` writes the key of a host that was never met to known_hosts.
    """
    machines = side_by_side(lambda host: _open(target, host, accept_new), target.hosts)
    try:
        yield dict(zip(target.hosts, machines, strict=True))
    finally:
        for machine in machines:
            if not isinstance(machine, Unreachable):
                machine.close()


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What `work` gives for each item; all of them at the same time."""
    if len(items) == 1:
        return [work(items[0])]
    with ThreadPoolExecutor(max(1, len(items)), "host") as pool:
        return list(pool.map(work, items))


def _open(target: Target, host: Host, accept_new: bool) -> Machine | Unreachable:
    if target.connection == "local":
        return ThisMachine(host)
    try:
        return _connect(target, host, accept_new)
    except Unreachable as error:
        return error


def _connect(target: Target, host: Host, accept_new: bool) -> Machine:
    from fabric import Config, Connection
    from paramiko import AuthenticationException, BadHostKeyException, SSHException

    from databoard.fleet.ssh import SshMachine

    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what matters is raised, and told
    where = f"{host.name} ({host.address}, port {host.port})"
    connection = Connection(
        host.address,
        user=host.user,
        port=host.port,
        config=Config(lazy=True),  # reads no files; its own, as the connection writes into it
        connect_timeout=target.connect_timeout,
        connect_kwargs={
            "banner_timeout": target.connect_timeout,
            "auth_timeout": target.connect_timeout,
            "look_for_keys": host.key is None,
            **({"key_filename": _readable_key(host)} if host.key else {}),
        },
    )
    _verify_host_key(connection, target.known_hosts, accept_new)
    try:
        connection.open()
    except Unreachable as error:
        raise Unreachable(f"{where} {error.message}", error.hint) from None
    except BadHostKeyException as error:
        raise Unreachable(
            f"{where} shows another host key than before: {fingerprint(error.key)}, not "
            f"{fingerprint(error.expected_key)}.",
            f"If it was installed anew, remove its line from {target.known_hosts}: ssh-keygen -f "
            f"{target.known_hosts} -R {known_name(host)}. If not, somebody stands in between.",
        ) from None
    except AuthenticationException:
        key = f"the key {host.key}" if host.key else "your SSH agent and the keys in ~/.ssh"
        raise Unreachable(
            f"{where} lets {host.user} not in with {key}.",
            f"Try: ssh -p {host.port} {host.user}@{host.address}",
        ) from None
    except TimeoutError:
        raise Unreachable(
            f"{where} does not answer within {target.connect_timeout:g} s.",
            "Check that it runs, and that a firewall lets SSH pass.",
        ) from None
    except (OSError, EOFError, SSHException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unreachable(
            f"{where} cannot be reached: {reason}.", "Check its address, and that sshd runs there."
        ) from None
    return SshMachine(host, connection, target.silence)


def _readable_key(host: Host) -> str:
    assert host.key is not None
    if not os.access(host.key, os.R_OK):
        raise Unreachable(
            f"The key of {host.name}, {host.key}, cannot be read.",
            "Correct `key` in the inventory, or make one with: ssh-keygen -t ed25519",
        )
    return str(host.key)


def _verify_host_key(connection: Connection, known_hosts: Path, accept_new: bool) -> None:
    """Refuse hosts whose key is not in known_hosts, in place of Fabric's accepting them."""
    from paramiko import MissingHostKeyPolicy

    class Verify(MissingHostKeyPolicy):
        def missing_host_key(self, client: object, hostname: str, key: PKey) -> None:
            if accept_new:
                return _remember(known_hosts, hostname, key)
            raise Unreachable(
                f"is not known yet; it shows the {key.get_name()} key {fingerprint(key)}.",
                "Compare that with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints "
                "on the host; then: inv set-up-host --accept-new, or ssh to it once.",
            )

    for path in (known_hosts, Path("/etc/ssh/ssh_known_hosts")):
        if path.exists():
            connection.client.load_system_host_keys(str(path))
    connection.client.set_missing_host_key_policy(Verify())


def _remember(known_hosts: Path, hostname: str, key: PKey) -> None:
    known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(known_hosts, "a", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")


def fingerprint(key: PKey) -> str:
    """As OpenSSH shows it: `SHA256:` and the digest in base64, without padding."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def known_name(host: Host) -> str:
    """Its name in known_hosts."""
    return host.address if host.port == 22 else f"'[{host.address}]:{host.port}'"
