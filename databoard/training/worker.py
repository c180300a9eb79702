"""A worker: claims submissions, has an engine train them, and stores what comes of it.

It holds the database and never runs a kit's or a submission's code itself.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, joinedload

from databoard import environments, kits, notices
from databoard.config import Settings
from databoard.database import reading, session_scope
from databoard.model.event import Event
from databoard.model.states import FAILED, SCORED
from databoard.model.submission import Submission
from databoard.submissions import files_of, folder_of
from databoard.training import queue
from databoard.training.assignment import Assignment, Progress
from databoard.training.engines.local import LocalEngine
from databoard.training.outcome import Work
from databoard.training.queue import Lease

LEASE_SECONDS = 60.0
Answer = TypeVar("Answer")


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
        is_boxed: bool = True,
    ) -> None:
        self._is_boxed = is_boxed
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._report, self._lease_seconds = report, lease_seconds
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
                has_begun = False
                with contextlib.suppress(OperationalError):  # the database will come back
                    has_begun = await self._begin_next(trainer)
                if not has_begun:
                    await asyncio.sleep(pause)

    async def in_database(
        self, do: Callable[[Session], Answer], reads_only: bool = False
    ) -> Answer:
        """Run one transaction beside the event loop."""

        def transact() -> Answer:
            with (reading if reads_only else session_scope)(self._engine) as session:
                return do(session)

        return await asyncio.to_thread(transact)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[LocalEngine]:
        self._postman = notices.Postman(self._engine, os.environ)
        async with LocalEngine(self._jobs, self._settings.threads, self._is_boxed) as trainer:
            try:
                yield trainer
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await asyncio.to_thread(self._postman.close)

    async def _begin_next(self, trainer: LocalEngine) -> bool:
        """Once a slot is free, claim a submission and start on it; False when none waits."""
        await trainer.slots.idle()
        lost, claimed = await self.in_database(self._claim)
        for submission_id, attempt in lost:  # by workers that died; for the last time, perhaps
            self._postman.tell(submission_id, attempt)
        if claimed is None:
            return False
        assignment = Assignment(*claimed, self.in_database, self._tell, self._lease_seconds)
        task = asyncio.create_task(assignment.run(trainer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not before its folds stand in line does a free slot mean that there is too little work.
        queued = asyncio.create_task(assignment.queued.wait())
        await asyncio.wait((task, queued), return_when=asyncio.FIRST_COMPLETED)
        queued.cancel()
        return True

    def _tell(self, progress: Progress) -> None:
        """Report, and when it has ended tell those who want to know."""
        self._report(progress)
        if progress.what in (SCORED, *FAILED, "lost"):  # which may have been the last time
            self._postman.tell(progress.work.submission_id, progress.work.attempt)

    def _claim(self, session: Session) -> tuple[list[tuple[int, int]], tuple[Lease, Work] | None]:
        lost = queue.sweep(session)
        lease = queue.claim(session, self.name, self._lease_seconds, self._which)
        if lease is None:
            return lost, None
        return lost, (lease, work_of(session, self._settings, lease.submission_id))


def work_of(session: Session, settings: Settings, submission_id: int) -> Work:
    """A submission as an engine needs to know it."""
    submission = session.scalars(
        select(Submission)
        .where(Submission.id == submission_id)
        .options(
            joinedload(Submission.team), joinedload(Submission.event).joinedload(Event.problem)
        )
    ).one()
    event, folder = submission.event, folder_of(settings, submission_id)
    kit = settings.kits_path / event.problem.name
    return Work(
        submission_id=submission_id,
        attempt=submission.attempt,
        event=event.name,
        label=f"{event.name}/{submission.team.name}/{submission.name}",
        kit=kit,
        data=kits.data_path_of(kit, settings.data_path),
        files=files_of(settings, submission),
        files_digest=submission.files_digest,
        predictions=folder / "predictions" / str(submission.attempt),
        n_folds=event.n_folds,
        folds_digest=event.folds_digest,
        time_limit=event.time_limit,
        memory_limit=event.memory_limit,
        python=environments.python_of(settings, event.requirements),
    )
