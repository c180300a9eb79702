"""One submission in a worker's hands: trained, its lease kept meanwhile, its end stored."""

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from databoard import keeping
from databoard.errors import DataboardError, LeaseLost
from databoard.model.states import CHECKING_ERROR, SCORED, TRAINING
from databoard.submitted import SubmittedFile, digest_of
from databoard.training import queue
from databoard.training.engines.local import EngineDied, LocalEngine
from databoard.training.engines.servers import PlatformFailed
from databoard.training.outcome import Scores, SubmissionFailed, Work
from databoard.training.queue import Lease

RETRY_SECONDS = 1.0
WATCH_SECONDS = 0.5  # until it is seen that a person has ended it
Outcome = Scores | SubmissionFailed | EngineDied


@dataclass(frozen=True)
class Progress:
    """What happened to a submission: `claimed`, `done` (a fold), a state, `lost` or `released`."""

    work: Work
    what: str
    fold: int | None = None
    message: str = ""


class Database(Protocol):
    """Runs one transaction beside the event loop."""

    def __call__(
        self, do: Callable[[Session], None], reads_only: bool = False
    ) -> Awaitable[None]: ...


class Assignment:
    """One leased submission: trained, its lease kept meanwhile, its end stored."""

    def __init__(
        self,
        lease: Lease,
        work: Work,
        in_database: Database,
        report: Callable[[Progress], None],
        lease_seconds: float,
    ) -> None:
        self._lease, self._work = lease, work
        self._in_database, self._report, self._lease_seconds = in_database, report, lease_seconds
        self.queued = asyncio.Event()
        self._stored = self._reached = TRAINING
        self._is_over = False
        self._news = asyncio.Event()

    async def run(self, trainer: LocalEngine) -> None:
        """Take it from claimed to its end; give it back when cancelled."""
        self._tell("claimed")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_lease())
                outcome = await self._outcome(trainer)
                self._is_over = True
                self._news.set()
            await self._store(outcome)
        except* LeaseLost as lost:
            self._discard()
            self._tell("lost", message=str(lost.exceptions[0]))
        except* asyncio.CancelledError:
            self._discard()
            await self._in_database(lambda session: queue.release(session, self._lease))
            self._tell("released")

    async def _outcome(self, trainer: LocalEngine) -> Outcome:
        work = self._work
        try:
            await asyncio.to_thread(check_files, work)
            return await trainer.run(work, self._note, self.queued.set)
        except (SubmissionFailed, EngineDied) as failure:
            return failure
        except DataboardError as error:
            return SubmissionFailed(CHECKING_ERROR, "platform", error.message)
        except Exception as error:  # this one cannot be trained; the worker goes on
            return SubmissionFailed(CHECKING_ERROR, "platform", f"{type(error).__name__}: {error}")

    async def _keep_lease(self) -> None:
        """Store the states that are reached, and renew the lease, until it is over.

        In between, look whether it is still held: who cancels a submission takes its lease away.
        """
        clock, seconds = asyncio.get_running_loop().time, self._lease_seconds
        renewed = clock()
        while not self._is_over:
            left = renewed + seconds / 3 - clock()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(WATCH_SECONDS, max(left, 0))):
                    await self._news.wait()
            if self._is_over:
                return
            if left > WATCH_SECONDS and not self._news.is_set():
                with contextlib.suppress(OperationalError):
                    await self._in_database(partial(queue.check, lease=self._lease), True)
                continue
            self._news.clear()
            target = self._reached
            try:
                await self._in_database(
                    partial(
                        queue.renew,
                        lease=self._lease,
                        seconds=seconds,
                        source=self._stored,
                        target=target,
                    )
                )
            except OperationalError as error:  # the database is away: it may come back in time
                if clock() - renewed > seconds:
                    raise LeaseLost("The database was away for too long.") from error
                await asyncio.sleep(RETRY_SECONDS)
                self._news.set()
            else:
                self._stored, renewed = target, clock()

    async def _store(self, outcome: Outcome) -> None:
        """Store the end, in one transaction. Raises LeaseLost."""

        def store(session: Session) -> None:
            if isinstance(outcome, Scores):
                queue.finish(session, self._lease, self._stored, outcome)
            elif isinstance(outcome, SubmissionFailed):
                queue.fail(session, self._lease, self._stored, outcome)
            else:
                queue.lose(session, self._lease)

        for left in reversed(range(int(self._lease_seconds / RETRY_SECONDS) + 1)):
            try:
                await self._in_database(store)
                break
            except OperationalError as error:
                if not left:
                    raise LeaseLost("The database was away for too long.") from error
                await asyncio.sleep(RETRY_SECONDS)
        if isinstance(outcome, Scores):
            for old in self._work.predictions.parent.iterdir():
                if old != self._work.predictions:
                    with contextlib.suppress(OSError):
                        keeping.remove(self._work.predictions.parents[2], old)
            self._tell(SCORED)
        elif isinstance(outcome, SubmissionFailed):
            self._discard()
            self._tell(outcome.state, outcome.fold, outcome.message)
        else:
            self._discard()
            self._tell("lost", message=outcome.message)

    def _note(self, what: str, fold: int | None) -> None:
        self._tell(what, fold)
        if fold is None:
            self._reached = what
            self._news.set()

    def _tell(self, what: str, fold: int | None = None, message: str = "") -> None:
        self._report(Progress(self._work, what, fold, message))

    def _discard(self) -> None:
        shutil.rmtree(self._work.predictions, ignore_errors=True)
        with contextlib.suppress(OSError):  # when the submission was deleted meanwhile
            self._work.predictions.parent.rmdir()
            self._work.predictions.parent.parent.rmdir()


def check_files(work: Work) -> None:
    """What is not as it was submitted is not the team's fault. Raises PlatformFailed."""
    try:
        files = [SubmittedFile(path.name, path.read_bytes()) for path in work.files.iterdir()]
    except OSError as error:
        raise PlatformFailed(f"The submitted files are not in {work.files}.") from error
    if digest_of(files) != work.files_digest:
        raise PlatformFailed(f"The files in {work.files} are not as they were submitted.")
