"""Who may see what: one place, asked by every page."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from databoard.model.event import Event, EventAdmin, EventTeam, SignUpRequest
from databoard.model.people import Team, TeamMember, User
from databoard.model.states import DELETED
from databoard.model.submission import Submission
from databoard.people import APPROVED


class Seen(Protocol):
    """What of an event decides who sees it: an `Event`, or a row with these columns."""

    @property
    def id(self) -> int: ...
    @property
    def is_public(self) -> bool: ...
    @property
    def is_competitive(self) -> bool: ...
    @property
    def is_anonymous(self) -> bool: ...
    @property
    def opening_at(self) -> datetime | None: ...
    @property
    def public_opening_at(self) -> datetime | None: ...
    @property
    def closing_at(self) -> datetime | None: ...
    @property
    def frozen_at(self) -> datetime | None: ...


class Viewer:
    """Who looks: a user, or nobody in particular. What is asked is looked up once.

    | | of a public event | of another one |
    | --- | --- | --- |
    | its pages, its public boards | everybody | its teams, its admins |
    | its private boards | who sees the event, once it has closed; its admins | the same |
    | the code of a submission | its team, the event's admins; the event's teams when it is open | |
    | what is deleted | the event's admins | the same |

    Code is open from `public_opening_at` on; without that time, always, but in competitive events.
    """

    def __init__(self, session: Session, user: User | None, now: datetime | None = None) -> None:
        self.session, self.user = session, user
        self.now = now or datetime.now(UTC)
        self._teams: dict[int, Team | None] = {}

    @property
    def name(self) -> str | None:
        return self.user.name if self.user else None

    @property
    def is_approved(self) -> bool:
        """Whether the user may take part in events."""
        return self.user is not None and self.user.access_level in APPROVED

    @property
    def is_admin(self) -> bool:
        return self.user is not None and self.user.access_level == "admin"

    @cached_property
    def _admin_of(self) -> frozenset[int]:
        if self.user is None or not self.is_approved:
            return frozenset()
        mine = select(EventAdmin.event_id).where(EventAdmin.user_id == self.user.id)
        return frozenset(self.session.scalars(mine))

    @cached_property
    def _own_teams(self) -> frozenset[int]:
        if self.user is None or not self.is_approved:
            return frozenset()
        mine = select(TeamMember.team_id).where(TeamMember.user_id == self.user.id)
        return frozenset(self.session.scalars(mine))

    @property
    def is_some_admin(self) -> bool:
        """Whether there is anything that the user administers."""
        return self.is_admin or bool(self._admin_of)

    def is_admin_of(self, event: Seen) -> bool:
        return self.is_admin or event.id in self._admin_of

    def team_in(self, event: Seen) -> Team | None:
        """The user's team in an event. Of several, the one that signed up last."""
        if self.user is None or not self.is_approved:
            return None
        if event.id not in self._teams:
            self._teams[event.id] = self.session.scalar(
                select(Team)
                .join(EventTeam, EventTeam.team_id == Team.id)
                .join(TeamMember, TeamMember.team_id == Team.id)
                .where(EventTeam.event_id == event.id, TeamMember.user_id == self.user.id)
                .order_by(EventTeam.signed_up_at.desc(), Team.id.desc())
                .limit(1)
            )
        return self._teams[event.id]

    def has_asked(self, event: Event) -> bool:
        """Whether a team of the user waits to be signed up."""
        if self.user is None:
            return False
        asked = (
            select(SignUpRequest.team_id)
            .join(TeamMember, TeamMember.team_id == SignUpRequest.team_id)
            .where(SignUpRequest.event_id == event.id, TeamMember.user_id == self.user.id)
        )
        return self.session.scalar(asked.limit(1)) is not None

    def sees(self, event: Seen) -> bool:
        return event.is_public or self.is_admin_of(event) or self.team_in(event) is not None

    def sees_private_boards(self, event: Seen) -> bool:
        return self.is_admin_of(event) or (self.sees(event) and has_closed(event, self.now))

    def sees_frozen(self, event: Seen) -> bool:
        """Whether boards show what was there when they were frozen, and nothing later."""
        is_frozen = event.frozen_at is not None and event.frozen_at <= self.now
        return is_frozen and not self.is_admin_of(event) and not has_closed(event, self.now)

    def sees_names(self, event: Seen) -> bool:
        """Whether boards name other teams and their submissions."""
        return not event.is_anonymous or self.is_admin_of(event)

    def sees_submission(self, submission: Submission) -> bool:
        """Whether its page is there for the user: its scores and its state."""
        event = submission.event
        if not self.sees(event):
            return False
        if self.is_admin_of(event):
            return True
        if submission.state == DELETED:
            return False
        if self.owns(submission):
            return True
        is_later = event.frozen_at is not None and submission.submitted_at > event.frozen_at
        return submission.state == "scored" and not (is_later and self.sees_frozen(event))

    def owns(self, submission: Submission) -> bool:
        """Whether it is of the user's team, or of another one that the user is in."""
        return submission.team_id in self._own_teams

    def sees_code(self, submission: Submission) -> bool:
        if not self.sees_submission(submission):
            return False
        event = submission.event
        if self.is_admin_of(event) or self.owns(submission):
            return True
        return self.team_in(event) is not None and is_code_open(event, self.now)


def has_opened(event: Seen, now: datetime) -> bool:
    return event.opening_at is None or event.opening_at <= now


def has_closed(event: Seen, now: datetime) -> bool:
    return event.closing_at is not None and event.closing_at <= now


def is_code_open(event: Seen, now: datetime) -> bool:
    """Whether teams see the code of others."""
    if event.public_opening_at is not None:
        return event.public_opening_at <= now
    return not event.is_competitive
