"""Credits: which share of a submission is owed to others."""

import math
from collections.abc import Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from databoard.errors import DataboardError, InvalidValue
from databoard.model.people import Team
from databoard.model.states import DELETED
from databoard.model.submission import Submission, SubmissionCredit
from databoard.names import as_number, printable

ROUNDING = 1e-9  # three thirds are at most 1


def read_credits(text: str) -> dict[tuple[str, str], float]:
    """Read `TEAM/SUBMISSION=SHARE,...`; `none` is no credit at all. Raises InvalidValue."""
    if text.strip().lower() == "none":
        return {}
    credits: dict[tuple[str, str], float] = {}
    for item in text.split(","):
        source, _, share = item.strip().rpartition("=")
        team, slash, name = source.partition("/")
        if not (slash and team and name) or (team, name) in credits:
            raise InvalidValue(
                f"{printable(item.strip())} is no credit.",
                "Write TEAM/SUBMISSION=SHARE, with commas between several, each once; or none.",
            )
        credits[team, name] = check_share(source, as_number(f"The share of {source}", share))
    return credits


def check_share(source: str, share: float) -> float:
    """Return `share` if it is one. Raises InvalidValue."""
    if not 0 < share <= 1:
        raise InvalidValue(
            f"The share of {printable(source)} is {share:g}.", "Use a number above 0, at most 1."
        )
    return share


def set_credits(
    session: Session, submission: Submission, credits: Mapping[tuple[str, str], float]
) -> None:
    """Replace what a submission owes: shares by (team, submission); the rest is its own.

    Only submissions of its event that were there before it can be owed something, so credits never
    go round in a circle. Raises InvalidValue, DataboardError.
    """
    for (team, name), share in credits.items():
        check_share(f"{team}/{name}", share)
    total = math.fsum(credits.values())
    if total > 1 + ROUNDING:
        raise InvalidValue(f"The shares add up to {total:g}.", "They are at most 1 together.")
    session.refresh(submission, with_for_update=True)  # one after the other
    older = {
        (team, name): id_
        for id_, team, name in session.execute(
            select(Submission.id, Team.name, Submission.name)
            .join(Submission.team)
            .where(
                Submission.event_id == submission.event_id,
                Submission.id < submission.id,
                Submission.state != DELETED,
            )
        )
    }
    for team, name in credits:
        if (team, name) not in older:
            raise DataboardError(
                f"{printable(f'{team}/{name}')} is no submission from before {submission.name}.",
                f"Credit what was there before it: inv print-submissions {submission.event.name}",
            )
    own = SubmissionCredit.submission_id == submission.id
    session.execute(delete(SubmissionCredit).where(own))
    if credits:
        rows = [
            {"submission_id": submission.id, "source_id": older[source], "share": share}
            for source, share in credits.items()
        ]
        session.execute(insert(SubmissionCredit), rows)


def credits_of(session: Session, submission: Submission) -> dict[tuple[str, str], float]:
    """What a submission owes, the oldest source first."""
    rows = session.execute(
        select(Team.name, Submission.name, SubmissionCredit.share)
        .join(Submission, Submission.id == SubmissionCredit.source_id)
        .join(Team, Team.id == Submission.team_id)
        .where(SubmissionCredit.submission_id == submission.id)
        .order_by(Submission.id)
    )
    return {(team, name): share for team, name, share in rows}
