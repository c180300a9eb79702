"""The processes that the local engine keeps: a forkserver, and two servers per kit."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from databoard.config import ROOT
from databoard.errors import DataboardError
from databoard.training import sandbox
from databoard.training.channel import Caller, pair

MAX_KITS = 4
Signature = tuple[tuple[str, int, int], ...]


class PlatformFailed(DataboardError):
    """This machine cannot train a submission: its kit is broken, or a process of ours died."""


@dataclass
class KitServers:
    """The scorer and the fold server of a kit, as its files were when they were started."""

    signature: Signature
    folder: Path
    scorer: Caller
    folds: Caller
    n_folds: int
    folds_digest: str
    users: int = 0
    is_retired: bool = False

    def close(self) -> None:
        """End both, and forget the features."""
        self.scorer.close()
        self.folds.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Servers:
    """Starts what is needed when it is needed. Imports are paid once, data is read once per kit."""

    def __init__(self, threads: str) -> None:
        _sweep_scratch()
        self.scratch = Path(tempfile.mkdtemp(prefix="databoard-"))
        self._lock = _lock(self.scratch)
        self._environment = sandbox.environment(ROOT, self.scratch, threads)
        self._forkserver: Caller | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._kits: dict[Path, KitServers] = {}
        self._opening = asyncio.Lock()

    def start(self) -> Caller:
        """The forkserver; it begins to import at once, and serves when it is through."""
        if self._forkserver is None or not self._forkserver.is_open:
            ours, theirs = pair()
            with theirs:
                command = [sys.executable, "-m", "databoard.training.forkserver"]
                self._process = subprocess.Popen(
                    [*command, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=self._environment,
                    cwd=self.scratch,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # kits print
                )
            self._forkserver = Caller(ours)
        return self._forkserver

    def stop(self) -> None:
        """End all processes; those of a fold end with its fold server."""
        for kit in self._kits.values():
            kit.close()
        self._kits.clear()
        if self._forkserver is not None:
            self._forkserver.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End all, and remove the scratch folder."""
        self.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._lock.close()

    async def open(self, kit: Path, data: Path) -> KitServers:
        """The servers of a kit, started again when its files have changed.

        Raises PlatformFailed (the kit cannot be loaded), ChannelClosed (a process died).
        """
        async with self._opening:
            signature = _signature(kit, data)
            servers = self._kits.get(kit)
            is_good = servers is not None and servers.scorer.is_open and servers.folds.is_open
            if servers is not None and is_good and servers.signature == signature:
                self._kits[kit] = self._kits.pop(kit)  # the latest used comes last
                return servers
            # Servers go on for those who use them, and end with the last of these.
            if servers is not None:
                self._retire(kit)
            idle = [path for path, other in self._kits.items() if other.users == 0]
            for path in idle[: max(0, len(self._kits) - MAX_KITS + 1)]:
                self._retire(path)
            self._kits[kit] = await self._open(kit, data, signature)
            return self._kits[kit]

    @contextmanager
    def use(self, servers: KitServers) -> Iterator[None]:
        """Keep the servers of a kit alive meanwhile."""
        servers.users += 1
        try:
            yield
        finally:
            servers.users -= 1
            if servers.is_retired and servers.users == 0:
                servers.close()

    def _retire(self, kit: Path) -> None:
        servers = self._kits.pop(kit)
        servers.is_retired = True
        if servers.users == 0:
            servers.close()

    async def _open(self, kit: Path, data: Path, signature: Signature) -> KitServers:
        if not (kit / "problem.py").is_file():
            raise PlatformFailed(f"There is no kit in {kit}: it has no problem.py.")
        folder = Path(tempfile.mkdtemp(dir=self.scratch, prefix="kit-"))
        features = folder / "features"
        scorer = await self._fork("scorer")
        request = {"kit": str(kit), "data": str(data), "features": str(features)}
        answer, _ = await scorer.call(request)
        if "error" in answer:
            scorer.close()
            raise PlatformFailed(answer["error"])
        code = sandbox.copy_code(kit, folder / kit.name)
        folds = await self._fork("folds")
        opened, _ = await folds.call({"code": str(code), "features": str(features)})
        kit_servers = KitServers(
            signature, folder, scorer, folds, answer["n_folds"], answer["folds_digest"]
        )
        if "error" in opened:
            kit_servers.close()
            raise PlatformFailed(opened["error"])
        return kit_servers

    async def _fork(self, server: str) -> Caller:
        ours, theirs = pair()
        with theirs:
            await self.start().call({"server": server}, [theirs.fileno()])
        return Caller(ours)


def _lock(scratch: Path) -> IO[bytes]:
    """Mark a scratch folder as in use, for as long as this process lives."""
    lock = (scratch / "lock.new").open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (scratch / "lock.new").rename(scratch / "lock")  # nobody sees it before it is locked
    return lock


def _sweep_scratch() -> None:
    """Remove what workers that were killed have left."""
    for folder in Path(tempfile.gettempdir()).glob("databoard-*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == os.geteuid():
                with (folder / "lock").open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)


def _signature(kit: Path, data: Path) -> Signature:
    """What tells that a kit's code or data was replaced: names, times and sizes."""
    folders = [kit, kit / "external_imports", kit / "data", data / "data"]
    entries = [entry for folder in folders if folder.is_dir() for entry in os.scandir(folder)]
    return tuple(
        sorted(
            (entry.path, entry.stat().st_mtime_ns, entry.stat().st_size)
            for entry in entries
            if entry.is_file()
        )
    )
