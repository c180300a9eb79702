"""Ensembles: blending the submissions of an event, and storing what comes of it.

The blending is done by `databoard.blender`, in a process that has the kit. What came of it is
also kept in a file, so that it goes on from there when submissions were added.
"""

import fcntl
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.orm import Session

from databoard import contributivity, environments, kits
from databoard.blender import Blend, Blended, Candidate, Request, ask
from databoard.config import Settings
from databoard.database import reading, session_scope
from databoard.errors import DataboardError, InvalidValue
from databoard.leaderboard import load_event
from databoard.model.event import Event
from databoard.model.people import Team
from databoard.model.states import SCORED
from databoard.model.submission import FoldScore, Submission
from databoard.submissions import folder_of

MAX_TRIES = 5
SCORES = ("valid_combined", "test_combined", "valid_foldwise_best", "test_foldwise_best")
Attempts = dict[int, int]  # of the submissions that may take part, by id; the oldest first


@dataclass(frozen=True)
class Ensemble:
    """What came of blending. `left_out` are submissions (team/name), each with the reason."""

    n_submissions: int
    is_new: bool
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """What was blended last, and what came of it."""

    folds_digest: str
    score: str
    is_lower_the_better: bool
    min_improvement: float
    attempts: Attempts
    blended: Blended

    def is_of(self, event: Event, attempts: Attempts) -> bool:
        """Whether there is nothing new."""
        return self.is_alike(event) and self.attempts == attempts

    def start(
        self, event: Event, attempts: Attempts, min_improvement: float
    ) -> tuple[list[Blend], list[int]]:
        """Blends that hold for all but some new submissions, and these; none if they do not."""
        left_out = {id_ for id_, _ in self.blended.left_out}
        used = {pair for pair in self.attempts.items() if pair[0] not in left_out}
        gone = {id_ for id_, _ in used - attempts.items()}
        new = sorted(id_ for id_, _ in attempts.items() - used)
        if not self.is_alike(event) or self.min_improvement != min_improvement:
            return [], []
        if gone & {id_ for blend in self.blended.blends for id_ in blend}:
            return [], []
        # With a minimum, who wins a step may depend on those that come before and do not win.
        is_at_the_end = not gone and (not new or new[0] > max((id_ for id_, _ in used), default=0))
        return (self.blended.blends, new) if min_improvement == 0 or is_at_the_end else ([], [])

    def is_alike(self, event: Event) -> bool:
        """Whether the event's folds and official score are still the same."""
        mine = (self.folds_digest, self.score, self.is_lower_the_better)
        return mine == (event.folds_digest, *_official(event))


def compute(
    engine: Engine,
    settings: Settings,
    event_name: str,
    min_improvement: float | None = None,
    from_scratch: bool = False,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> Ensemble:
    """Blend an event's scored submissions; store contributivities and the event's scores.

    Without `min_improvement` it is that of the last time, at first 0. `report` gets the number
    of folds that are done, and of all. Raises NotFound, InvalidValue, KitError.
    """
    if min_improvement is not None and not 0 <= min_improvement < math.inf:
        raise InvalidValue(
            f"The minimum improvement is {min_improvement}.", "Use a number from 0 on."
        )
    with reading(engine) as session:
        path = _path(settings, load_event(session, event_name))
    with _alone(path):
        known = _recall(path)
        if min_improvement is None:
            min_improvement = known.min_improvement if known else 0.0
        for _ in range(MAX_TRIES):
            start = None if from_scratch else known
            found = _blend(engine, settings, event_name, min_improvement, start, report)
            ensemble = _store(engine, event_name, found, start)
            if ensemble is not None:
                _keep(path, found)
                return ensemble
    raise DataboardError(
        f"The submissions of {event_name} kept changing while they were blended.", "Try again."
    )


def is_current(session: Session, settings: Settings, event: Event) -> bool:
    """Whether nothing has changed since an event was blended, or there is nothing to blend."""
    known, attempts = _recall(_path(settings, event)), _attempts(session, event)
    if known is None:
        return not attempts
    return known.is_of(event, attempts) and known.blended.valid_combined == event.valid_combined


def _blend(
    engine: Engine,
    settings: Settings,
    event_name: str,
    min_improvement: float,
    known: Known | None,
    report: Callable[[int, int], None],
) -> Known:
    """Blend what there is now; what is known already, if nothing has changed."""
    with reading(engine) as session:
        event = load_event(session, event_name)
        attempts = _attempts(session, event)
        kit = kits.find_kit(event.problem.name, settings.kits_path)
        blends, new = known.start(event, attempts, min_improvement) if known else ([], [])
        if known is not None and blends and not new and len(known.attempts) == len(attempts):
            return known
        candidates = _candidates(session, settings, event, attempts)
    score, is_lower_the_better = _official(event)
    request = Request(
        kit=str(kit),
        data=str(kits.data_path_of(kit, settings.data_path)),
        folds_digest=event.folds_digest,
        score=score,
        min_improvement=min_improvement,
        candidates=candidates,
        known=blends,
        new=new,
    )
    blended = Blended([], [])
    if candidates:
        python = environments.ensure(settings, event.requirements)
        blended = ask(
            request, python, settings.threads, lambda fold: report(fold + 1, event.n_folds)
        )
    return Known(event.folds_digest, score, is_lower_the_better, min_improvement, attempts, blended)


def _store(engine: Engine, event_name: str, found: Known, known: Known | None) -> Ensemble | None:
    """Store it in one transaction; None when a submission has changed since it was read."""
    with session_scope(engine) as session:
        event = load_event(session, event_name)
        rows = session.execute(
            select(Submission.id, Submission.attempt, Team.name, Submission.name.label("own"))
            .join(Submission.team)
            .where(_may_take_part(event))
            .order_by(Submission.id)
            .with_for_update(of=Submission)
        ).all()
        now = {row.id: row.attempt for row in rows}
        if not found.attempts.items() <= now.items() or not found.is_alike(event):
            return None
        left_out = dict(found.blended.left_out)
        used = found.attempts.keys() - left_out.keys()
        contributivity.store(session, event, found.blended.blends, used)
        for score in SCORES:
            setattr(event, score, getattr(found.blended, score))
    labels = {row.id: f"{row.name}/{row.own}" for row in rows}
    reasons = [(labels[id_], reason) for id_, reason in left_out.items()]
    return Ensemble(len(used), found is not known, reasons)


def _may_take_part(event: Event) -> ColumnElement[bool]:
    """The submissions that may take part."""
    return (
        (Submission.event_id == event.id) & (Submission.state == SCORED) & Submission.is_in_ensemble
    )


def _attempts(session: Session, event: Event) -> Attempts:
    query = select(Submission.id, Submission.attempt).where(_may_take_part(event))
    return {row.id: row.attempt for row in session.execute(query.order_by(Submission.id))}


def _candidates(
    session: Session, settings: Settings, event: Event, attempts: Attempts
) -> list[Candidate]:
    """Where the predictions are, and the official scores that decide with whom to begin."""
    scores: dict[int, list[float | None]] = {id_: [None] * event.n_folds for id_ in attempts}
    for id_, fold, valid in session.execute(
        select(FoldScore.submission_id, FoldScore.fold, FoldScore.valid)
        .join(Submission, Submission.id == FoldScore.submission_id)
        .where(_may_take_part(event), FoldScore.event_score_type_id == event.score_types[0].id)
    ):
        if id_ in scores:  # not one that was scored in between
            scores[id_][fold] = valid
    return [
        Candidate(id_, str(folder_of(settings, id_) / "predictions" / str(attempt)), scores[id_])
        for id_, attempt in attempts.items()
    ]


def _official(event: Event) -> tuple[str, bool]:
    """The name of the score that ranks, and whether lower is better."""
    score_type = event.score_types[0].score_type
    return score_type.name, score_type.is_lower_the_better


def _path(settings: Settings, event: Event) -> Path:
    return settings.deployment_path / "ensembles" / f"event_{event.id:09d}.json"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until nobody else blends the event."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _keep(path: Path, known: Known) -> None:
    """Write the file, whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(known)))
    new.rename(path)


def _recall(path: Path) -> Known | None:
    """Read the file; None when it is not there, or not as it was written."""
    try:
        values = json.loads(path.read_text())
        values["attempts"] = {int(id_): n for id_, n in values["attempts"].items()}
        blended = values["blended"]
        blended["left_out"] = [(id_, reason) for id_, reason in blended["left_out"]]
        values["blended"] = Blended(**blended)
        return Known(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
