"""Running a scored submission again, and comparing each score to the last digit."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from databoard.config import Settings
from databoard.database import reading
from databoard.errors import DataboardError
from databoard.leaderboard import Board, Column
from databoard.model.event import EventScoreType
from databoard.model.problem import ScoreType
from databoard.model.states import SCORED
from databoard.model.submission import FoldScore, Submission, SubmissionScore
from databoard.submissions import find_submission, record_of
from databoard.training.assignment import check_files
from databoard.training.engines.local import LocalEngine
from databoard.training.outcome import Scores, SubmissionFailed, Work
from databoard.training.record import DIGESTS, Parts, Record, parts_of
from databoard.training.worker import work_of

OF_FOLD = ("train", "valid", "test", "valid_bag", "test_bag")
MEANS = tuple(f"{side}_{kind}" for kind in ("mean", "std") for side in OF_FOLD[:3])
OVERALL = ("valid_bag", "test_bag", *MEANS)
Key = tuple[str, int | None, str]  # the score, the fold (None: over all), the column
Values = dict[Key, float | None]
COLUMNS = tuple(
    Column(name, name) for name in ("score", "fold", "what", "stored", "now", "difference")
)


@dataclass(frozen=True)
class Reproduction:
    """The scores and the run record of a submission, as they are stored and as they are now."""

    label: str
    stored: Values
    now: Values
    stored_parts: Parts
    parts: Parts

    def board(self) -> Board:
        """The scores that differ."""
        rows = [
            (*key, old, new, None if old is None or new is None else new - old)
            for key, old in self.stored.items()
            if (new := self.now[key]) != old
        ]
        return Board(f"{self.label}: what differs", COLUMNS, rows)

    def record(self) -> list[tuple[str, str | None, str | None]]:
        """The parts of the run record that differ: stored, now."""
        names = dict.fromkeys([*self.stored_parts, *self.parts])
        pairs = [(name, self.stored_parts.get(name), self.parts.get(name)) for name in names]
        return [each for each in pairs if each[1] != each[2]]

    def changed(self) -> str:
        """The same in words; of digests it is of no use to read them."""
        return ", ".join(
            part if part in DIGESTS else f"{part} ({old}, now {new})"
            for part, old, new in self.record()
        )


async def reproduce(
    engine: Engine,
    settings: Settings,
    event: str,
    team: str,
    name: str,
    report: Callable[[int, int], None] = lambda done, total: None,
    is_boxed: bool = True,
) -> Reproduction:
    """Run a scored submission again; nothing that is stored is changed.

    `report` is told how many folds are done, of how many. Raises DataboardError: it is not scored,
    has no run record, its files are not as they were submitted, or it cannot be run any more.
    """
    with reading(engine) as session:
        submission = find_submission(session, event, team, name)
        record = _record(session, submission, event, team)
        stored = _stored(session, submission)
        work = work_of(session, settings, submission.id)
    check_files(work)
    with tempfile.TemporaryDirectory() as folder:
        scores = await _run(replace(work, predictions=Path(folder)), settings, report, is_boxed)
    names = list(dict.fromkeys(key[0] for key in stored))
    if len(scores.overall) != len(names):
        raise DataboardError(
            f"The kit {work.kit.name} has other scores than the event {event}.",
            f"To take them over, and train all again: inv add-event {work.kit.name} {event} "
            "--force",
        )
    parts = parts_of(scores.record or {})
    return Reproduction(work.label, stored, _values(names, scores), parts_of(record), parts)


def _record(session: Session, submission: Submission, event: str, team: str) -> Record:
    """The run record of what is scored. Raises DataboardError."""
    name, record = submission.name, record_of(session, submission)
    if submission.state != SCORED:
        raise DataboardError(
            f"The submission {name} of {team} is {submission.state}, not scored.",
            f"See: inv print-submissions {event}",
        )
    if record is None:
        raise DataboardError(
            f"The submission {name} of {team} was scored before run records were kept.",
            f"Train it again, which replaces its scores: inv set-state {event} {team} {name} new",
        )
    return record


async def _run(
    work: Work, settings: Settings, report: Callable[[int, int], None], is_boxed: bool
) -> Scores:
    n_done = 0

    def reached(what: str, fold: int | None) -> None:
        nonlocal n_done
        n_done += fold is not None
        report(n_done, work.n_folds)

    try:
        async with LocalEngine(os.cpu_count() or 1, settings.threads, is_boxed) as trainer:
            return await trainer.run(work, reached, lambda: None)
    except SubmissionFailed as failure:
        reason = failure.message.strip().rpartition("\n")[2]
        raise DataboardError(
            f"{work.label} is scored, but run again it ends as {failure.state}: {reason}",
            "Its scores are as they were.",
        ) from failure


def _stored(session: Session, submission: Submission) -> Values:
    """What is in the database, the scores in the kit's order."""
    values: Values = {}
    for table, columns in ((SubmissionScore, OVERALL), (FoldScore, OF_FOLD)):
        query = (
            select(table, ScoreType.name)
            .join(EventScoreType, EventScoreType.id == table.event_score_type_id)
            .join(EventScoreType.score_type)
            .where(table.submission_id == submission.id)
            .order_by(table.event_score_type_id, *table.__table__.primary_key)
        )
        for row, name in session.execute(query):
            fold = getattr(row, "fold", None)
            values |= {(name, fold, column): getattr(row, column) for column in columns}
    return values


def _values(names: list[str], scores: Scores) -> Values:
    """What a run gives."""
    values: Values = {}
    for index, name in enumerate(names):
        values |= {(name, None, column): scores.overall[index][column] for column in OVERALL}
        for fold, outcome in enumerate(scores.folds):
            of_fold = zip(OF_FOLD, outcome.scores[index], strict=True)
            values |= {(name, fold, column): value for column, value in of_fold}
    return values
