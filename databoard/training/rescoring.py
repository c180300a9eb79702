"""Scoring stored predictions again, without training, as when a kit's score was mended."""

from collections.abc import Callable

from sqlalchemy import ColumnElement, Engine, select

from databoard.config import Settings
from databoard.database import reading, session_scope
from databoard.model.states import SCORED, SCORING_ERROR
from databoard.model.submission import Submission
from databoard.training import queue
from databoard.training.channel import ChannelClosed
from databoard.training.engines.local import EngineDied, LocalEngine
from databoard.training.outcome import FoldOutcome, Scores, SubmissionFailed, Work
from databoard.training.worker import work_of


async def score_again(
    engine: Engine,
    settings: Settings,
    which: ColumnElement[bool],
    report: Callable[[Work, int, int], None] = lambda work, number, total: None,
) -> int:
    """Score what is scored among `which`, one after the other; returns how many.

    Each is stored whole or not at all; `report` is told each, its number and the total. Raises
    DataboardError: predictions are missing, or the kit's folds have changed.
    """
    query = select(Submission.id).where(which, Submission.state == SCORED).order_by(Submission.id)
    with reading(engine) as session:
        works = [work_of(session, settings, id_) for id_ in session.scalars(query).all()]
    async with LocalEngine(1, settings.threads, is_boxed=False) as trainer:  # no submission runs
        for number, work in enumerate(works, start=1):
            scores = await _scores(trainer, work)
            with session_scope(engine) as session:
                queue.score_again(session, work.submission_id, work.attempt, scores)
            report(work, number, len(works))
    return len(works)


async def _scores(trainer: LocalEngine, work: Work) -> Scores:
    """The scores of stored predictions, without those on training rows, and without times."""
    job = f"{work.submission_id}.{work.attempt}"
    try:
        scorer = (await trainer.open(work)).scorer
        request = {"do": "again", "job": job, "from": str(work.predictions)}
        scored, _ = await scorer.call(request)
        bag, _ = (scored, []) if "error" in scored else await scorer.call({"do": "bag", "job": job})
    except ChannelClosed as error:
        raise EngineDied("A process of the training engine died.") from error
    if "error" in bag:
        raise SubmissionFailed(SCORING_ERROR, "predictions", f"{work.label}: {bag['error']}")
    return Scores.of([FoldOutcome(0.0, 0.0, 0.0, 0.0, rows) for rows in scored["scores"]], bag)
