"""One host of a lab: its power switch, its cable, and a way in that needs neither."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.lab import network
from tests.lab.layers import Layer
from tests.lab.remains import Remains, end_all
from tests.lab.shell import ENVIRONMENT, JOIN, run

T = TypeVar("T")
PATIENCE = 30.0  # seconds for a host to boot, however busy the machine is
SPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork")


class LabHost:
    """A host: `name`, `address`, and what can happen to it."""

    port = 22

    def __init__(self, number: int, record: Remains, disk: Layer, user: str) -> None:
        self.name, self.address = f"lab{number}", f"{record.network}.{10 + number}"
        self.user = user  # who may come in, besides root
        self.cable = f"{record.tag}-{number}"
        self.disk, self.cgroup = disk, record.cgroup / self.name
        self._pid: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def install(self, names: str) -> None:
        """Write the files that are this host's own, then start it."""
        self.disk.make()
        etc = self.disk.upper / "etc"
        (etc / "ssh").mkdir(parents=True)
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        # An empty one would be a first boot, which starts all that is installed.
        machine = hashlib.sha256(str(self.disk.folder).encode()).hexdigest()[:32]
        (etc / "machine-id").write_text(f"{machine}\n")
        key = etc / "ssh" / "ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key)
        self.boot()

    @property
    def pid(self) -> int:
        """The host's first process, as the machine counts. Raises RuntimeError when it is off."""
        if self._pid is None:
            raise RuntimeError(f"{self.name} is switched off")
        return self._pid

    @property
    def root(self) -> Path:
        """The host's files, seen from the machine."""
        return Path(f"/proc/{self.pid}/root")

    def run(self, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as root without the network. Raises RuntimeError with all it said."""
        return run("nsenter", "--all", f"--target={self.pid}", "bash", "-c", command, check=check)

    def boot(self) -> None:
        """Switch it on, and wait until it takes connections. Does nothing when it is on."""
        if self._pid is not None:
            return
        self.cgroup.mkdir(exist_ok=True)
        systemd = self.disk.command(self.name, "/lib/systemd/systemd", "--show-status=no")
        with open(self.disk.folder / "console", "wb") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", JOIN, self.cgroup, "unshare", *SPACES, *systemd],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C is not meant for it
            )
        try:
            self._pid = self._wait_for(self._first_process)
            network.attach(self.cable, self._pid, self.address)
            self._wait_for(self._listens)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cut its power: no process has a chance to say goodbye. Its disk stays as it is."""
        if self._process is None:
            return
        self.kill()
        end_all(self.cgroup)  # what has not come so far as to have a first process
        self.forget()
        network.ip(f"link delete {self.cable}", force=True)

    def kill(self) -> None:
        """Kill its first process, and with it all others."""
        if self._process is not None and self._pid is not None:
            if self._process.poll() is None:  # else its number may be another's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
            self.forget()

    def forget(self) -> None:
        """Wait until it is gone: unshare ends when its child has been buried."""
        if self._process is not None:
            self._process.wait()
        self._process = self._pid = None

    def _wait_for(self, condition: Callable[[], T | None]) -> T:
        """What the condition gives once it is true. Raises RuntimeError when the host ends."""
        assert self._process is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            if found := condition():
                return found
            time.sleep(0.005)
        console = (self.disk.folder / "console").read_text(errors="replace")
        raise RuntimeError(f"{self.name} does not boot.\n{console}")

    def _first_process(self) -> int | None:
        """The child of unshare, once it runs systemd."""
        assert self._process is not None
        waiter = self._process.pid
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{waiter}/task/{waiter}/children").read_text().split():
                if os.readlink(f"/proc/{child}/exe").endswith("/systemd"):
                    return int(child)
        return None

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            return bool((self.root / "run/sshd.pid").read_text())
        return False

    def link(self, up: bool) -> None:
        """Plug the cable in, or pull it: then there is silence."""
        network.ip(f"link set {self.cable} {'up' if up else 'down'}")

    def blackhole(self, on: bool) -> None:
        """Let this machine have no route to it: connections fail at once."""
        network.ip(f"route {'replace' if on else 'delete'} blackhole {self.address}/32", force=True)

    def packet_loss(self, percent: int) -> None:
        """Lose this share of the packets that come in; 0 ends it."""
        rules = "add table inet lab\ndelete table inet lab\n"
        if percent:
            rules += "add table inet lab\n"
            rules += "add chain inet lab in { type filter hook input priority 0; }\n"
            rules += f"add rule inet lab in iif eth0 numgen random mod 100 <= {percent - 1} drop\n"
        run("nsenter", f"--net=/proc/{self.pid}/ns/net", "nft", "-f", "-", text=rules)

    def calm(self) -> None:
        """End all faults of the network."""
        self.link(True)
        self.blackhole(False)
        self.packet_loss(0)

    def kill_sshd(self) -> None:
        """Kill sshd and all its connections; what they had started lives on."""
        self.run("pkill -KILL -x sshd")

    def start_sshd(self) -> None:
        """Start it again, if it does not run."""
        self.run("systemctl reset-failed ssh; systemctl start ssh")

    def host_key(self) -> str:
        """Its public key, as known_hosts has it."""
        words = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
        return " ".join(words[:2])

    def change_host_key(self) -> None:
        """Get another key, as after a new installation; `Lab.trust` makes it known."""
        key = "/etc/ssh/ssh_host_ed25519_key"
        self.run(f"rm {key} {key}.pub && ssh-keygen -q -t ed25519 -N '' -f {key}")
        self.run("systemctl restart ssh")

    def small_disk(self, path: str, size: str = "8m") -> None:
        """Mount a disk of this size there, empty, until the next boot."""
        self.run(f"mkdir -p '{path}' && mount -t tmpfs -o mode=755,size={size} tmpfs '{path}'")
