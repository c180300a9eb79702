"""Contributivity: the share of a submission in an event's blend, and of what it is made of."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from databoard.leaderboard import CONTRIBUTIVITIES, SUBMISSION, TEAM, Board, Column
from databoard.model.event import Event
from databoard.model.people import Team
from databoard.model.states import SCORED
from databoard.model.submission import FoldRun, Submission, SubmissionCredit


def store(
    session: Session, event: Event, blends: Sequence[Sequence[int]], used: Collection[int]
) -> None:
    """Store what submissions contribute to the folds' blends (of ids), in sum and historically.

    Those that are not `used` have none.
    """
    of_event = Submission.event_id == event.id
    runs = FoldRun.submission_id.in_(select(Submission.id).where(of_event))
    _set(session, Submission, of_event, contributivity=None)
    _set(session, Submission, Submission.id.in_(used), contributivity=0.0)
    _set(session, FoldRun, runs, contributivity=None)
    _set(session, FoldRun, FoldRun.submission_id.in_(used), contributivity=0.0)
    whole: dict[int, float] = defaultdict(float)
    for fold, blend in enumerate(blends):
        for id_, count in Counter(blend).items():
            share = count / len(blend)
            whole[id_] += share / len(blends)
            run = (FoldRun.submission_id == id_) & (FoldRun.fold == fold)
            _set(session, FoldRun, run, contributivity=share)
    for id_, share in whole.items():
        _set(session, Submission, Submission.id == id_, contributivity=share)
    store_historical(session, event)


def store_historical(session: Session, event: Event) -> None:
    """Pass the contributivities of an event's submissions on to those that they credit."""
    query = (
        select(Submission.id, Submission.contributivity)
        .where(
            Submission.event_id == event.id,
            Submission.state == SCORED,
            Submission.contributivity.is_not(None),  # who has not the one has not the other
        )
        .order_by(Submission.id.desc())  # credits go to lower ids
    )
    own = {row.id: row.contributivity for row in session.execute(query)}
    owed: dict[int, list[tuple[int, float]]] = defaultdict(list)
    of_event = select(Submission.id).where(Submission.event_id == event.id)
    for credit in session.scalars(
        select(SubmissionCredit)
        .where(SubmissionCredit.submission_id.in_(of_event))
        .order_by(SubmissionCredit.source_id)
    ):
        owed[credit.submission_id].append((credit.source_id, credit.share))
    _set(session, Submission, Submission.event_id == event.id, historical_contributivity=None)
    _set(session, Submission, Submission.id.in_(own), historical_contributivity=0.0)
    for id_, share in pass_on(own, owed).items():
        if share:
            _set(session, Submission, Submission.id == id_, historical_contributivity=share)


def forget(session: Session, event: Event) -> None:
    """Take back what the last blend of an event said, as when it was by another score."""
    event.valid_combined = event.test_combined = None
    event.valid_foldwise_best = event.test_foldwise_best = None
    of_event = Submission.event_id == event.id
    runs = FoldRun.submission_id.in_(select(Submission.id).where(of_event))
    _set(session, Submission, of_event, contributivity=None, historical_contributivity=None)
    _set(session, FoldRun, runs, contributivity=None)


def pass_on(
    newest_first: Mapping[int, float], owed: Mapping[int, Sequence[tuple[int, float]]]
) -> dict[int, float]:
    """Historical contributivities, from the newest submission's contributivity to the oldest's.

    Each passes on what it has got so far: `owed` are its sources with their shares. What is
    owed to a submission that is not there stays where it is.
    """
    shares = dict(newest_first)
    for id_ in newest_first:
        whole = shares[id_]
        sources = [(source, share) for source, share in owed.get(id_, ()) if source in shares]
        most = max(1.0, sum(share for _, share in sources))  # no more than there is
        for source, share in sources:
            shares[source] += whole * share / most
            shares[id_] -= whole * share / most
    return shares


def board(session: Session, event: Event) -> Board:
    """Who contributes what, the most first: in sum, historically, and to each fold's blend."""
    query = (
        select(
            Submission.id,
            Team.name,
            Submission.name,
            Submission.contributivity,
            Submission.historical_contributivity,
        )
        .join(Submission.team)
        .where(Submission.event_id == event.id, Submission.contributivity.is_not(None))
        .order_by(Submission.contributivity.desc(), Submission.id)
    )
    on_folds: dict[int, dict[int, float | None]] = defaultdict(dict)
    for run in session.scalars(
        select(FoldRun)
        .join(Submission, Submission.id == FoldRun.submission_id)
        .where(Submission.event_id == event.id)
    ):
        on_folds[run.submission_id][run.fold] = run.contributivity
    folds = range(event.n_folds)
    rows = [
        (*rest, *(on_folds[id_].get(fold) for fold in folds))
        for id_, *rest in session.execute(query)
    ]
    columns = [Column(f"fold_{fold}", f"fold {fold}", 3) for fold in folds]
    return Board(
        f"{event.title}: contributivity", (TEAM, SUBMISSION, *CONTRIBUTIVITIES, *columns), rows
    )


def summary(event: Event, with_test: bool) -> str | None:
    """A line with the scores of the blend and of each fold's best; None before there is any."""
    if event.valid_combined is None:
        return None
    digits = event.score_types[0].precision

    def shown(valid: float | None, test: float | None) -> str:
        sides = [("valid", valid), ("test", test)] if with_test else [("", valid)]
        return ", ".join(
            f"{side} {'-' if score is None else f'{score:.{digits}f}'}".strip()
            for side, score in sides
        )

    return (
        f"Ensemble, bagged {event.score_types[0].score_type.name}: "
        f"combined {shown(event.valid_combined, event.test_combined)}; "
        f"foldwise best {shown(event.valid_foldwise_best, event.test_foldwise_best)}"
    )


def aside(event: Event) -> str:
    """What to tell when a submission has left an event's ensemble; nothing before there is one."""
    if event.valid_combined is None:
        return ""
    return f"Contributivities are as before, until: inv compute-contributivity {event.name}"


def _set(session: Session, table: Any, which: ColumnElement[bool], **values: float | None) -> None:
    session.execute(
        update(table).where(which).values(**values).execution_options(synchronize_session=False)
    )
