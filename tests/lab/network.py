"""Bridges, cables and routes of a lab, by the names that its tag gives them."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from databoard.errors import DataboardError
from tests.lab.shell import run

# Any real route to these addresses is better; without one they must not leave by the default route.
LAST_RESORT = 4_000_000
HARDWARE = "02:4c:41:42:00"  # addresses of our own making begin so


def ip(*commands: str, pid: int | None = None, force: bool = False) -> None:
    """Run commands of ip(8), in the network of a process if one is given."""
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    mode = ["-force"] if force else []
    run(*inside, "ip", *mode, "-batch", "-", text="\n".join(commands) + "\n", check=not force)


def choose(wanted: str) -> str:
    """The first three numbers of a network's addresses: as wanted, or a free one of "10.78".

    Raises DataboardError when it is in use.
    """
    taken = [
        ipaddress.ip_network(route["dst"])
        for route in json.loads(run("ip", "-json", "route", "show", "table", "all").stdout)
        if route["dst"] != "default"
    ]
    choice = [wanted] if wanted.count(".") == 2 else [f"{wanted}.{third}" for third in range(256)]
    for network in choice:
        if not any(ipaddress.ip_network(f"{network}.0/24").overlaps(other) for other in taken):
            return network
    raise DataboardError(f"The network {wanted} is in use on this machine.", "Choose another one.")


def add_bridge(tag: str, network: str) -> None:
    """The switch of a lab; the machine itself has the first address."""
    ip(
        # Of its own the bridge would change its address with what is plugged in.
        f"link add {tag}-0 address {HARDWARE}:01 type bridge",
        f"link set {tag}-0 up",
        f"address add {network}.1/24 dev {tag}-0",
        f"route add unreachable {network}.0/24 metric {LAST_RESORT}",
    )


def attach(cable: str, pid: int, address: str) -> None:
    """Lay a cable from the lab's bridge to the network of a process, which gets an address there.

    While frames are delayed it is the bridge of this one cable, see `delay`.
    """
    own = Path("/sys/class/net", f"{cable}b")
    bridge = own.name if own.exists() else f"{cable.partition('-')[0]}-0"
    last = int(address.rpartition(".")[2])
    # The same hardware address after a restart: nobody has to learn it anew.
    hardware = f"{HARDWARE}:{last:02x}"
    ip(
        f"link add {cable} type veth peer name eth0 address {hardware} netns {pid}",
        f"link set {cable} master {bridge} up",
    )
    ip("link set lo up", f"address add {address}/24 dev eth0", "link set eth0 up", pid=pid)


def cables(tag: str) -> list[str]:
    """What there is of a lab, its bridge as well."""
    links = json.loads(run("ip", "-json", "link", "show").stdout)
    return [link["ifname"] for link in links if link["ifname"].startswith(f"{tag}-")]


def remove(tag: str, network: str) -> None:
    """Take all of it away."""
    blackholes = json.loads(run("ip", "-json", "route", "show", "type", "blackhole").stdout)
    ip(
        *(f"link delete {name}" for name in cables(tag)),
        *(
            f"route delete blackhole {route['dst']}"
            for route in blackholes
            if route["dst"].startswith(f"{network}.")
        ),
        f"route delete unreachable {network}.0/24 metric {LAST_RESORT}",
        force=True,
    )
