"""The processes that the local engine keeps: a forkserver per environment, two servers per kit."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from databoard import apart
from databoard.apart import PYTHON
from databoard.config import ROOT
from databoard.errors import DataboardError
from databoard.training import record, sandbox
from databoard.training.channel import Caller, ChannelClosed, pair

MAX_KITS = 4
CLOSING_SECONDS = 5.0
Signature = tuple[tuple[str, int, int], ...]
Place = tuple[Path, Path]  # of a kit, and of the Python that it runs in


class PlatformFailed(DataboardError):
    """This machine cannot train a submission: its kit is broken, or a process of ours died."""


@dataclass
class Folds:
    """The fold server of a kit, in its box unless that is not wanted."""

    caller: Caller
    process: subprocess.Popen[bytes]
    sees: Path  # the folder of the kit's servers, as it sees it
    is_boxed: bool

    def close(self) -> None:
        """End it, and all that it has started."""
        self.caller.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            if not self.is_boxed:  # it ends its folds by itself, and what they have started
                self.process.wait(CLOSING_SECONDS)
        self.process.kill()
        self.process.wait()


@dataclass
class KitServers:
    """The scorer and the fold server of a kit, as its files were when they were started."""

    signature: Signature
    folder: Path
    scorer: Caller
    folds: Folds
    n_folds: int
    folds_digest: str
    known: record.Record  # of the run record, before anything is run
    users: int = 0
    is_retired: bool = False

    @property
    def is_open(self) -> bool:
        """Whether both still serve."""
        return self.scorer.is_open and self.folds.caller.is_open

    @property
    def runs(self) -> Path:
        """Where submissions are put for the folds that they run in."""
        return self.folder / "runs"

    def close(self) -> None:
        """End both, and forget the features."""
        self.scorer.close()
        self.folds.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Forkserver:
    """The process that imports the libraries of an environment, and what it says of itself."""

    caller: Caller
    process: subprocess.Popen[bytes]
    errors: Path | None  # None: the worker's own standard error
    has_served: bool = False

    def close(self) -> None:
        """End it; what it has forked goes on."""
        self.caller.close()
        self.process.kill()
        self.process.wait()


class Servers:
    """Starts what is needed when it is needed. Imports are paid once, data is read once per kit."""

    def __init__(self, threads: str, is_boxed: bool = True) -> None:
        if is_boxed:
            sandbox.check()
        self._is_boxed = is_boxed
        _sweep_scratch()
        self.scratch = Path(tempfile.mkdtemp(prefix="databoard-"))
        self._lock = _lock(self.scratch)
        self._environment = sandbox.environment(ROOT, self.scratch, threads)
        self._forkservers: dict[Path, Forkserver] = {}
        self._kits: dict[Place, KitServers] = {}
        self._too_slow: dict[Place, Signature] = {}
        self._opening = asyncio.Lock()

    def start(self, python: Path = PYTHON) -> Forkserver:
        """The forkserver of an environment; it begins to import at once, and serves when it is
        through.

        Raises PlatformFailed: the environment is not there.
        """
        known = self._forkservers.get(python)
        if known is not None and known.caller.is_open:
            return known
        if known is not None:
            known.close()
        if not python.exists():
            raise PlatformFailed(
                f"There is no environment {python.parents[2].name} on this machine; make it: "
                "inv environments --make"
            )
        ours, theirs = pair()
        errors = None if python == PYTHON else self.scratch / f"{python.parents[2].name}.errors"
        command = [str(python), "-m", "databoard.training.forkserver", str(theirs.fileno())]
        try:
            with theirs, open(errors, "wb") if errors else nullcontext() as stderr:
                process = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno()],
                    env=self._environment,
                    cwd=self.scratch,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # kits print
                    stderr=stderr,
                )
        except OSError as error:
            ours.close()
            raise PlatformFailed(
                f"The environment {python.parents[2].name} does not work: {error.strerror}"
            ) from error
        self._forkservers[python] = Forkserver(Caller(ours), process, errors)
        return self._forkservers[python]

    def stop(self) -> None:
        """End all processes; those of a fold end with its fold server."""
        for kit in self._kits.values():
            kit.close()
        for forkserver in self._forkservers.values():
            forkserver.close()
        self._kits.clear()
        self._forkservers.clear()

    def close(self) -> None:
        """End all, and remove the scratch folder."""
        self.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._lock.close()

    async def open(self, kit: Path, data: Path, python: Path = PYTHON) -> KitServers:
        """The servers of a kit in an environment, started again when its files have changed.

        Raises PlatformFailed (the kit or its environment cannot be loaded), ChannelClosed (a
        process died).
        """
        async with self._opening:
            place, signature = (kit, python), _signature(kit, data)
            servers = self._kits.get(place)
            is_good = (
                servers is not None and servers.scorer.is_open and servers.folds.caller.is_open
            )
            if servers is not None and is_good and servers.signature == signature:
                self._kits[place] = self._kits.pop(place)  # the latest used comes last
                return servers
            if self._too_slow.get(place) == signature:  # it holds up the others once
                raise PlatformFailed(*apart.too_slow(kit.name))
            # Servers go on for those who use them, and end with the last of these.
            if servers is not None:
                self._retire(place)
            idle = [known for known, other in self._kits.items() if other.users == 0]
            for known in idle[: max(0, len(self._kits) - MAX_KITS + 1)]:
                self._retire(known)
            for other in self._forkservers.keys() - {PYTHON, python, *(at[1] for at in self._kits)}:
                self._forkservers.pop(other).close()
            self._kits[place] = await self._open(kit, data, python, signature)
            return self._kits[place]

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

    def _retire(self, place: Place) -> None:
        servers = self._kits.pop(place)
        servers.is_retired = True
        if servers.users == 0:
            servers.close()

    async def _open(self, kit: Path, data: Path, python: Path, signature: Signature) -> KitServers:
        if not (kit / "problem.py").is_file():
            raise PlatformFailed(f"There is no kit in {kit}: it has no problem.py.")
        folder = Path(tempfile.mkdtemp(dir=self.scratch, prefix="kit-"))
        folder.chmod(0o755)  # what is above it is our own
        started: list[int] = []
        try:
            async with asyncio.timeout(apart.LOAD_SECONDS):
                return await self._load(kit, data, python, signature, folder, started)
        except BaseException as error:
            for pid in started:  # one that hangs does not see that its channel is closed
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, TimeoutError):
                self._too_slow[kit, python] = signature
                raise PlatformFailed(*apart.too_slow(kit.name)) from None
            raise

    async def _load(
        self,
        kit: Path,
        data: Path,
        python: Path,
        signature: Signature,
        folder: Path,
        started: list[int],
    ) -> KitServers:
        """Start both servers of a kit; `started` gets their process ids."""
        (folder / "runs").mkdir()
        sandbox.copy_code(kit, folder / kit.name)
        folds = self._start_folds(python, folder, [])  # it imports the libraries meanwhile
        started.append(folds.process.pid)
        scorer = await self._fork_scorer(python, started)
        request = {"kit": str(kit), "data": str(data), "features": str(folder / "features")}
        answer, _ = await scorer.call(request)
        if "error" in answer:
            scorer.close()
            folds.close()
            raise PlatformFailed(answer["error"])
        if answer["folders"] and self._is_boxed:  # which are not in its box yet
            folds.close()
            folds = self._start_folds(python, folder, [Path(name) for name in answer["folders"]])
            started.append(folds.process.pid)
        (folder / "features").chmod(0o644)
        kit_servers = KitServers(
            signature, folder, scorer, folds, answer["n_folds"], answer["folds_digest"], {}
        )
        try:
            opened, _ = await folds.caller.call(
                {
                    "code": str(folds.sees / kit.name),
                    "features": str(folds.sees / "features"),
                    "is_boxed": self._is_boxed,
                }
            )
        except BaseException:
            kit_servers.close()
            raise
        if "error" in opened:
            kit_servers.close()
            raise PlatformFailed(opened["error"])
        kit_servers.known = record.of_kit(folder / kit.name, python) | opened["record"]
        return kit_servers

    def _start_folds(self, python: Path, folder: Path, folders: list[Path]) -> Folds:
        ours, theirs = pair()
        box = sandbox.boxed(python, folder, folders) if self._is_boxed else []
        with theirs:
            process = subprocess.Popen(
                [*box, str(python), "-m", "databoard.training.fold", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # kits print
                start_new_session=True,  # Ctrl-C is the worker's: it ends the folds itself
            )
        sees = sandbox.KIT if self._is_boxed else folder
        return Folds(Caller(ours), process, sees, self._is_boxed)

    async def _fork_scorer(self, python: Path, started: list[int]) -> Caller:
        forkserver = self.start(python)
        ours, theirs = pair()
        with theirs:
            try:
                answer, _ = await forkserver.caller.call({}, [theirs.fileno()])
                started.append(answer["pid"])
            except ChannelClosed:
                ours.close()
                if forkserver.errors is None or forkserver.has_served:
                    raise
                said = forkserver.errors.read_text(errors="replace").strip().splitlines()
                raise PlatformFailed(
                    f"The environment {python.parents[2].name} does not work: "
                    f"{said[-1] if said else 'it ended at once'}"
                ) from None
        forkserver.has_served = True
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
