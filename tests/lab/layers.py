"""The disks of hosts: layers over the machine's own root, which hide what is not Debian's."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.shell import ENVIRONMENT

HERE = Path(__file__).parent
DEBIAN = {
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin"),
    *("sys", "tmp", "usr", "var"),
}
# Folders that the machine's people have filled, or its programs.
HIDDEN = (
    *("root", "home", "srv", "opt", "mnt", "media", "usr/local"),
    *("var/tmp", "var/log", "var/mail", "var/backups", "var/spool/cron", "var/lib/postgresql"),
    *("etc/postgresql", "etc/systemd/system", "etc/apache2/sites-enabled", "etc/sudoers.d"),
    *("etc/cron.d", "etc/profile.d", "etc/update-motd.d", "etc/ssh/sshd_config.d"),
    *("etc/ssh/ssh_config.d", "etc/sysctl.d"),
)


@dataclass(frozen=True)
class Layer:
    """A folder with what one mount of an overlay writes, over others."""

    folder: Path
    below: str = "/"  # layers, the uppermost first

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    @property
    def stack(self) -> str:
        """This layer and those below it."""
        return f"{self.upper}:{self.below}"

    def make(self) -> None:
        """The folders that a mount needs."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.upper.chmod(0o755)

    def command(self, name: str, *command: str) -> list[str]:
        """What has to be run in new namespaces to run a command with this as the root."""
        return ["sh", str(HERE / "boot.sh"), str(self.folder), self.below, name, *command]

    def build(self, script: str, *arguments: str) -> Layer:
        """Write it by a script in this folder. Raises RuntimeError."""
        code = (HERE / script).read_text()
        program = self.command("layer", "sh", "-s", *arguments)
        spaces = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        result = subprocess.run(
            [*spaces, *program], input=code, capture_output=True, text=True, env=ENVIRONMENT
        )
        if result.returncode:
            raise RuntimeError(f"{script} failed:\n{result.stdout}{result.stderr}")
        return self


def base(folder: Path, public_key: str) -> Layer:
    """Debian as on this machine, with an sshd that lets this key in as root."""
    layer = Layer(folder)
    layer.make()
    for name in {*os.listdir("/")} - DEBIAN - {*HIDDEN}:
        remove(layer.upper, name)
    for name in HIDDEN:
        empty(layer.upper, name)
    return layer.build("base.sh", public_key)


def over(base: Layer, folder: Path, script: str, *arguments: str) -> Layer:
    """A layer over the base, written by a script."""
    layer = Layer(folder, base.stack)
    layer.make()
    return layer.build(script, *arguments)


def remove(upper: Path, name: str) -> None:
    """Let something at the machine's root be absent, unless it is a link into Debian's folders."""
    if not Path("/", name).is_symlink():
        os.mknod(upper / name, stat.S_IFCHR, os.makedev(0, 0))  # an overlay's whiteout


def empty(upper: Path, name: str) -> None:
    """Let a folder be empty, with the owner and mode that it has."""
    for path in [*[*Path(name).parents][-2::-1], Path(name)]:
        if not (upper / path).exists():
            (upper / path).mkdir()
            if (original := Path("/", path)).exists():
                shutil.copystat(original, upper / path)
                os.chown(upper / path, original.stat().st_uid, original.stat().st_gid)
    os.setxattr(upper / name, "trusted.overlay.opaque", b"y")
