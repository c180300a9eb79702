"""A worker: claims submissions, has an engine train them, and stores what comes of it.

It holds the database and never runs a kit's or a submission's code itself.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, joinedload

from databoard import kits
from databoard.config import Settings
from databoard.database import session_scope
from databoard.errors import DataboardError, LeaseLost
from databoard.model import Event, Submission
from databoard.model.states import CHECKING_ERROR, SCORED, TRAINING
from databoard.submissions import folder_of
from databoard.training import queue
from databoard.training.engines.local import LocalEngine
from databoard.training.engines.servers import PlatformFailed
from databoard.training.outcome import Scores, SubmissionFailed, Work
from databoard.training.queue import Lease

LEASE_SECONDS = 60.0
RETRY_SECONDS = 1.0
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Progress:
    """What happened to a submission: `claimed`, `done` (a fold), a state, `lost` or `released`."""

    work: Work
    what: str
    fold: int | None = None
    message: str = ""


class Worker:
    """Trains what is in the queue, or the part of it that `which` selects."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        jobs: int | None = None,
        which: ColumnElement[bool] | None = None,
        report: Callable[[Progress], None] = lambda progress: None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.report, self.lease_seconds = report, lease_seconds
        self._engine, self._settings, self._which = engine, settings, which
        self._jobs = jobs or os.cpu_count() or 1
        self._tasks: set[asyncio.Task[None]] = set()

    async def drain(self) -> None:
        """Train until nothing waits."""
        async with self._open() as trainer:
            while True:
                if not await self._begin_next(trainer):
                    if not self._tasks:
                        return
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def serve(self, pause: float) -> None:
        """Train until cancelled; look again after `pause` seconds when nothing waits."""
        async with self._open() as trainer:
            while True:
                if not await self._begin_next(trainer):
                    await asyncio.sleep(pause)

    async def in_database(self, do: Callable[[Session], Answer]) -> Answer:
        """Run one transaction beside the event loop."""

        def transact() -> Answer:
            with session_scope(self._engine) as session:
                return do(session)

        return await asyncio.to_thread(transact)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[LocalEngine]:
        async with LocalEngine(self._jobs, self._settings.threads) as trainer:
            try:
                yield trainer
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin_next(self, trainer: LocalEngine) -> bool:
        """Once a slot is free, claim a submission and start on it; False when none waits."""
        await trainer.slots.idle()
        claimed = await self.in_database(self._claim)
        if claimed is None:
            return False
        assignment = Assignment(self, *claimed)
        task = asyncio.create_task(assignment.run(trainer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not before its folds stand in line does a free slot mean that there is too little work.
        queued = asyncio.create_task(assignment.queued.wait())
        await asyncio.wait((task, queued), return_when=asyncio.FIRST_COMPLETED)
        queued.cancel()
        return True

    def _claim(self, session: Session) -> tuple[Lease, Work] | None:
        queue.sweep(session)
        lease = queue.claim(session, self.name, self.lease_seconds, self._which)
        if lease is None:
            return None
        submission = session.scalars(
            select(Submission)
            .where(Submission.id == lease.submission_id)
            .options(
                joinedload(Submission.team), joinedload(Submission.event).joinedload(Event.problem)
            )
        ).one()
        event, settings = submission.event, self._settings
        folder = folder_of(settings, submission.id)
        kit = settings.kits_path / event.problem.name
        return lease, Work(
            submission_id=lease.submission_id,
            attempt=lease.attempt,
            label=f"{event.name}/{submission.team.name}/{submission.name}",
            kit=kit,
            data=kits.data_path_of(kit, settings.data_path),
            files=folder / "files",
            predictions=folder / "predictions" / str(lease.attempt),
            n_folds=event.n_folds,
            folds_digest=event.folds_digest,
            time_limit=event.time_limit,
            memory_limit=event.memory_limit,
        )


class Assignment:
    """One leased submission: trained, its lease kept meanwhile, its end stored."""

    def __init__(self, worker: Worker, lease: Lease, work: Work) -> None:
        self._worker, self._lease, self._work = worker, lease, work
        self.queued = asyncio.Event()
        self._stored = self._reached = TRAINING
        self._news = asyncio.Event()

    async def run(self, trainer: LocalEngine) -> None:
        """Take it from claimed to its end; give it back when cancelled."""
        self._tell("claimed")
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep_lease())
                outcome = await self._outcome(trainer)
                keeper.cancel()
            await self._store(outcome)
        except* LeaseLost:
            self._discard()
            self._tell("lost")
        except* asyncio.CancelledError:
            self._discard()
            await self._worker.in_database(lambda session: queue.release(session, self._lease))
            self._tell("released")

    async def _outcome(self, trainer: LocalEngine) -> Scores | SubmissionFailed:
        work = self._work
        try:
            if not work.files.is_dir():
                raise PlatformFailed(f"The submitted files are not in {work.files}.")
            return await trainer.run(work, self._note, self.queued.set)
        except SubmissionFailed as failure:
            return failure
        except DataboardError as error:
            return SubmissionFailed(CHECKING_ERROR, "platform", error.message)
        except Exception as error:  # this one cannot be trained; the worker goes on
            return SubmissionFailed(CHECKING_ERROR, "platform", f"{type(error).__name__}: {error}")

    async def _keep_lease(self) -> None:
        """Store the states that are reached, and renew the lease, until cancelled."""
        clock, seconds = asyncio.get_running_loop().time, self._worker.lease_seconds
        renewed = clock()
        while True:
            try:
                async with asyncio.timeout(seconds / 3):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            source, target = self._stored, self._reached
            try:
                await self._worker.in_database(
                    lambda session, source=source, target=target: queue.renew(  # type: ignore[misc]
                        session, self._lease, seconds, source, target
                    )
                )
            except OperationalError as error:  # the database is away: it may come back in time
                if clock() - renewed > seconds:
                    raise LeaseLost("The database was away for too long.") from error
                await asyncio.sleep(RETRY_SECONDS)
                self._news.set()
            else:
                self._stored, renewed = target, clock()

    async def _store(self, outcome: Scores | SubmissionFailed) -> None:
        """Store the end, in one transaction. Raises LeaseLost."""

        def store(session: Session) -> None:
            if isinstance(outcome, Scores):
                queue.finish(session, self._lease, self._stored, outcome)
            else:
                queue.fail(session, self._lease, self._stored, outcome)

        for left in reversed(range(int(self._worker.lease_seconds / RETRY_SECONDS) + 1)):
            try:
                await self._worker.in_database(store)
                break
            except OperationalError as error:
                if not left:
                    raise LeaseLost("The database was away for too long.") from error
                await asyncio.sleep(RETRY_SECONDS)
        if isinstance(outcome, Scores):
            for old in self._work.predictions.parent.iterdir():
                if old != self._work.predictions:
                    shutil.rmtree(old, ignore_errors=True)
            self._tell(SCORED)
        else:
            self._discard()
            self._tell(outcome.state, outcome.fold, outcome.message)

    def _note(self, what: str, fold: int | None) -> None:
        self._tell(what, fold)
        if fold is None:
            self._reached = what
            self._news.set()

    def _tell(self, what: str, fold: int | None = None, message: str = "") -> None:
        self._worker.report(Progress(self._work, what, fold, message))

    def _discard(self) -> None:
        shutil.rmtree(self._work.predictions, ignore_errors=True)
