"""The local engine: folds as processes on this machine, side by side up to a number of slots."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from databoard.errors import DataboardError
from databoard.model import states
from databoard.training import inside, record, sandbox
from databoard.training.channel import ChannelClosed
from databoard.training.engines.servers import KitServers, PlatformFailed, Servers
from databoard.training.outcome import FoldOutcome, Scores, SubmissionFailed, Work

STEPS = ("started", "trained", "validated", "tested", "done")
STATE_OF_STEP = {"trained": states.TRAINED, "validated": states.VALIDATED, "tested": states.TESTED}
ERROR_AFTER = {
    None: states.TRAINING_ERROR,
    "started": states.TRAINING_ERROR,
    "trained": states.VALIDATING_ERROR,
    "validated": states.TESTING_ERROR,
    "tested": states.SCORING_ERROR,
    "done": states.SCORING_ERROR,
}
TICK = 0.1
MAX_HINT = 256 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+(.+))", re.MULTILINE)


class Slots:
    """How many folds run at once."""

    def __init__(self, number: int) -> None:
        self._free, self._waiting = number, 0
        self._changed = asyncio.Condition()

    async def take(self) -> None:
        """Wait for a slot."""
        async with self._changed:
            self._waiting += 1
            try:
                await self._changed.wait_for(lambda: self._free > 0)
                self._free -= 1
            finally:
                self._waiting -= 1

    async def give(self) -> None:
        """Give a slot back."""
        async with self._changed:
            self._free += 1
            self._changed.notify_all()

    async def idle(self) -> None:
        """Wait until a slot is free that no fold waits for."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._free > self._waiting)


@dataclass
class Run:
    """A submission under way, and what its folds have used and reached."""

    work: Work
    kit: KitServers
    folder: Path
    reached: Callable[[str, int | None], None]
    running: dict[int, float] = field(default_factory=dict)  # request number: since when
    spent: float = 0.0
    is_out_of_time: bool = False
    steps: dict[str, int] = field(default_factory=dict)

    @property
    def job(self) -> str:
        """Its name for the scorer."""
        return f"{self.work.submission_id}.{self.work.attempt}"

    def note(self, step: str, fold: int) -> None:
        """A fold reached a step; when all have, the submission has reached a state."""
        self.steps[step] = self.steps.get(step, 0) + 1
        if step == "done":
            self.reached("done", fold)
        elif step in STATE_OF_STEP and self.steps[step] == self.work.n_folds:
            self.reached(STATE_OF_STEP[step], None)

    def seconds(self) -> float:
        """What its folds have run, together."""
        return self.spent + sum(time.monotonic() - since for since in self.running.values())

    def kill(self) -> None:
        """End all its folds."""
        for number in self.running:
            with contextlib.suppress(ChannelClosed):
                self.kit.folds.caller.tell({"do": "kill", "run": number})


class Status:
    """What a fold says of itself, line by line. It is hostile: known words, once, in order."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        asyncio.get_running_loop().add_reader(self.reader, self.read)
        self.times: dict[str, float] = {}
        self.failure: dict[str, Any] = {}
        self._note, self._rest, self._left = note, b"", 256 * 1024

    def read(self) -> None:
        """Take in what has come."""
        with contextlib.suppress(BlockingIOError):
            while self._left > 0 and (data := os.read(self.reader, 65536)):
                self._left -= len(data)
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._take(line)
            asyncio.get_running_loop().remove_reader(self.reader)

    def close(self) -> None:
        """Take in the rest; nothing more will come."""
        self.read()
        asyncio.get_running_loop().remove_reader(self.reader)
        os.close(self.reader)

    @property
    def last(self) -> str | None:
        """The last step reached."""
        return next(reversed(self.times), None)

    def seconds(self, step: str) -> float:
        """How long it took to reach a step from the one before."""
        return self.times[step] - self.times[STEPS[STEPS.index(step) - 1]]

    def _take(self, line: bytes) -> None:
        step = line.decode(errors="replace")
        if len(self.times) < len(STEPS) and step == STEPS[len(self.times)]:
            self.times[step] = time.monotonic()
            self._note(step)
        elif line.startswith(b"{") and not self.failure:
            with contextlib.suppress(ValueError, RecursionError):
                self.failure = json.loads(line)


class EngineDied(DataboardError):
    """A process of the engine is gone; nothing is known of the submission, try it again."""


class LocalEngine:
    """Trains submissions on this machine. Use it as `async with`."""

    def __init__(self, slots: int, threads: str = "1", is_boxed: bool = True) -> None:
        self.slots = Slots(slots)
        self._threads, self._is_boxed = threads, is_boxed

    async def __aenter__(self) -> "LocalEngine":
        self._servers = Servers(self._threads, self._is_boxed)
        self._servers.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._servers.close()

    async def run(
        self,
        work: Work,
        reached: Callable[[str, int | None], None],
        queued: Callable[[], None],
    ) -> Scores:
        """Train, predict and score all folds of a submission.

        `reached(state, None)` is called when all folds have reached a state, `reached("done",
        fold)` when one is through; `queued()` once all folds wait for their slots. Raises
        SubmissionFailed, PlatformFailed, EngineDied.
        """
        try:
            kit = await self.open(work)
            with self._servers.use(kit):
                folder = self._servers.scratch / f"{work.submission_id}.{work.attempt}"
                return await self._run(Run(work, kit, folder, reached), queued)
        except ChannelClosed as error:  # whoever comes next starts it afresh
            raise EngineDied("A process of the training engine died.") from error

    async def open(self, work: Work) -> KitServers:
        """The servers of a submission's kit. Raises PlatformFailed (its folds have changed)."""
        kit = await self._servers.open(work.kit, work.data, work.python)
        if (kit.n_folds, kit.folds_digest) != (work.n_folds, work.folds_digest):
            raise PlatformFailed(
                "The folds of the kit have changed since the event was added. To take them "
                f"over, and train all again: inv add-event {work.kit.name} {work.event} --force"
            )
        return kit

    async def _run(self, run: Run, queued: Callable[[], None]) -> Scores:
        kit, failure = run.kit, None
        kit.folds.caller.tell({"do": "preload", "modules": imported_modules(run.work.files)})
        try:
            async with asyncio.TaskGroup() as group:
                clock = group.create_task(_keep_time(run))
                tasks = [
                    group.create_task(self._fold(run, fold)) for fold in range(run.work.n_folds)
                ]
                await asyncio.sleep(0)  # now each of them waits for its slot
                queued()
                await asyncio.gather(*tasks)
                clock.cancel()
            answer, _ = await kit.scorer.call({"do": "bag", "job": run.job})
            run_record = await record.of_run(kit.known, kit.scorer, run.work.files_digest)
        except* (SubmissionFailed, PlatformFailed, ChannelClosed) as errors:
            # Raised below: Python before 3.11.4 wraps what is raised here in a group.
            first = errors.exceptions[0]
            failure = first.exceptions[0] if isinstance(first, ExceptionGroup) else first
        finally:
            with contextlib.suppress(ChannelClosed):
                kit.scorer.tell({"do": "drop", "job": run.job})
            for folder in (run.folder, kit.runs / run.job):
                shutil.rmtree(folder, ignore_errors=True)
        if failure is not None:
            raise failure
        if "error" in answer:
            raise SubmissionFailed(states.SCORING_ERROR, "predictions", answer["error"])
        return Scores.of([task.result() for task in tasks], answer, run_record)

    async def _fold(self, run: Run, fold: int) -> FoldOutcome:
        folder = run.folder / str(fold)
        await self.slots.take()
        try:
            status, answer = await _run_fold(run, fold, folder)
        finally:
            await self.slots.give()
        if status.last is None and status.failure.get("kind") == "platform":  # before its code runs
            raise PlatformFailed(str(status.failure.get("reason")))
        if "done" not in status.times or answer["exit"] != 0 or run.is_out_of_time:
            raise _failure(run, fold, status, answer)
        scored, _ = await run.kit.scorer.call(
            {
                "do": "score",
                "job": run.job,
                "fold": fold,
                "from": str(folder),
                "to": str(run.work.predictions),
            }
        )
        for done in (folder, run.kit.runs / run.job / str(fold)):
            shutil.rmtree(done)
        if "error" in scored:
            raise SubmissionFailed(states.SCORING_ERROR, "predictions", scored["error"], fold)
        return FoldOutcome(
            train_time=status.seconds("trained"),
            valid_time=status.seconds("validated"),
            test_time=status.seconds("tested"),
            max_memory=answer["max_memory"],
            scores=scored["scores"],
        )


async def _run_fold(run: Run, fold: int, folder: Path) -> tuple[Status, dict[str, Any]]:
    """Run a fold's process to its end, whatever that is; its predictions are in `folder`."""
    place = Path("runs", run.job, str(fold))
    sandbox.copy_files(run.work.files, run.kit.folder / place)
    (folder / "work").mkdir(parents=True)  # where there is no box
    _, labels = await run.kit.scorer.call({"do": "labels", "fold": fold})
    status = Status(lambda step: run.note(step, fold))
    files = [*labels, status.writer]
    sees = run.kit.folds.sees
    request = {
        "do": "run",
        "files": str(sees / place),
        "runs": str(sees / "runs"),
        "work": str(folder / "work"),
        "memory_limit": run.work.memory_limit,
    }
    try:
        try:
            for side in ("train", "test"):
                files.append(os.open(folder / f"{side}.npy", os.O_WRONLY | os.O_CREAT, 0o600))
            number = run.kit.folds.caller.begin(request, files)
        finally:
            for file in files:
                os.close(file)
        run.running[number] = time.monotonic()
        try:
            answer, _ = await run.kit.folds.caller.answer(number)
        except asyncio.CancelledError:
            run.kill()
            raise
        finally:
            run.spent += time.monotonic() - run.running.pop(number)
    finally:
        status.close()
    return status, answer


async def _keep_time(run: Run) -> None:
    """End all folds of a submission that is out of time, until cancelled."""
    while True:
        await asyncio.sleep(TICK)
        if run.seconds() >= run.work.time_limit:
            run.is_out_of_time = True
            run.kill()


def _failure(run: Run, fold: int, status: Status, answer: dict[str, Any]) -> SubmissionFailed:
    """Why a fold did not end well, in words for the participant."""
    state, limit = ERROR_AFTER[status.last], run.work.memory_limit
    if run.is_out_of_time:
        text = f"The submission ran longer than its {run.work.time_limit} seconds."
        return SubmissionFailed(state, "time", text, fold)
    if answer["too_much"]:
        text = f"The submission used more than its {limit} MB of memory."
        return SubmissionFailed(state, "memory", text, fold)
    kind, reason = status.failure.get("kind"), status.failure.get("reason")
    if kind in ("exception", "memory", "predictions") and isinstance(reason, str):
        text = _CONTROL.sub("�", reason)
        if kind == "memory":
            text += f"\nThe submission may use {limit} MB of memory."
        return SubmissionFailed(state, kind, text, fold)
    code = answer["exit"]
    if code == inside.ABORTED and run.kit.folds.is_boxed:
        code = -signal.SIGABRT
    how = f"with the exit code {code}"
    if code < 0:
        known = {number.value: number.name for number in signal.Signals}
        how = f"by the signal {known.get(-code, -code)}"
    return SubmissionFailed(state, "crash", f"The process of the submission ended {how}.", fold)


def imported_modules(files: Path) -> list[str]:
    """The modules that a submission seems to import: a hint. None of its code is run, or parsed,
    since Python's parser can be made to fail, and take its time.
    """
    names: set[str] = set()
    for file in files.glob("*.py"):
        with file.open("rb") as source:
            text = source.read(MAX_HINT).decode(errors="replace")
        for module, modules in _IMPORT.findall(text):
            names.update([module] if module else re.findall(r"(?:^|,)\s*([\w.]+)", modules))
    return sorted(name for name in names if not name.startswith("."))[:200]
