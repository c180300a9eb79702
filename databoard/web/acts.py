"""What may be done with a submission from the pages, by whom, and when."""

from __future__ import annotations

from sqlalchemy.orm import Session

from databoard import removal, submissions
from databoard.access import Viewer, has_closed
from databoard.config import Settings
from databoard.errors import DataboardError
from databoard.model.states import DELETED, FAILED, LEASED, NEW, SCORED
from databoard.model.submission import Submission

# What is noted of each, and said.
NOTES = {
    "cancel": "cancelled",
    "withdraw": "withdrawn",
    "credit": "credits changed",
    "continue": "copied to the sandbox",
    "train again": "put back into the queue",
    "exclude": "excluded from the ensemble",
    "include": "included in the ensemble",
    "delete": "deleted for good",
}


def possible(viewer: Viewer, submission: Submission) -> list[str]:
    """What the viewer may do with it now."""
    state, event = submission.state, submission.event
    is_owner, is_admin = viewer.owns(submission), viewer.is_admin_of(event)
    is_there = state != DELETED
    may = {
        "continue": viewer.team_in(event) is not None and viewer.sees_code(submission),
        "credit": is_owner and is_there,
        "cancel": (is_owner or is_admin) and state in LEASED,
        "withdraw": is_there and (is_admin or (is_owner and not has_closed(event, viewer.now))),
        "train again": is_admin and state in (SCORED, DELETED, *FAILED),
        "exclude": is_admin and submission.is_in_ensemble,
        "include": is_admin and not submission.is_in_ensemble,
        "delete": is_admin and state not in LEASED,
    }
    return [action for action, is_possible in may.items() if is_possible]


def carry_out(session: Session, settings: Settings, submission: Submission, action: str) -> None:
    """Do it. Raises DataboardError."""
    own = Submission.id == submission.id
    if action == "cancel":
        if not submissions.cancel(session, own):
            raise DataboardError("It has ended already.")
    elif action == "withdraw":
        submissions.withdraw(session, submission)
    elif action == "train again":
        submissions.set_state(session, submission, NEW)
    elif action in ("exclude", "include"):
        submission.is_in_ensemble = action == "include"
    else:
        event, team = submission.event.name, submission.team.name
        found = removal.of_submission(session, settings, event, team, submission.name)
        removal.carry_out(session, found)
