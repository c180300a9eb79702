"""What waits for an admin: of the whole site, or of the events that one administers."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, render_template, request
from sqlalchemy import ColumnElement, func, select

from databoard import events, joining, leaderboard
from databoard.errors import NotFound
from databoard.model.event import Event
from databoard.model.people import User
from databoard.model.states import CHECKING_ERROR, LEASED, NEW
from databoard.model.submission import Submission
from databoard.names import check_name
from databoard.web.session import reading, viewer

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


def check_site_admin() -> None:
    """Raise NotFound unless the viewer is an admin of the whole site."""
    if not viewer().is_admin:
        raise NotFound("There is no such page.")


def find_own_event(name: str) -> Event:
    """An event that the viewer administers. Raises NotFound."""
    event = leaderboard.load_event(reading(), check_name("event", name))
    if not viewer().is_admin_of(event):
        raise NotFound("There is no such page.")
    return event


def own_events() -> list[Event]:
    """The events that the viewer administers, the newest first. Raises NotFound: there are none."""
    if not viewer().is_some_admin:
        raise NotFound("There is no such page.")
    return [event for event, _ in events.list_events(reading()) if viewer().is_admin_of(event)]


def of_own_events() -> ColumnElement[bool]:
    """What selects the submissions of the events that the viewer administers. Raises NotFound."""
    return Submission.event_id.in_([event.id for event in own_events()])


def typed_text(name: str) -> str:
    """What is looked for: no database takes a NUL."""
    return request.args.get(name, "").strip()[:100]


@blueprint.get("")
def show() -> str:
    """What waits for an answer, and where to go."""
    mine = own_events()
    ids = {event.id for event in mine}
    asked = select(func.count()).where(User.access_level == "asked")
    wanted = Submission.state.in_((NEW, CHECKING_ERROR, *LEASED))
    states = select(Submission.event_id, Submission.state, func.count()).where(wanted)
    rows = reading().execute(states.group_by(Submission.event_id, Submission.state)).tuples()
    counts: Counter[str] = Counter()
    broken: Counter[int] = Counter()
    for event_id, state, count in rows:
        if event_id in ids:
            counts[state] += count
            if state == CHECKING_ERROR:
                broken[event_id] += count
    return render_template(
        "admin.html",
        events=mine,
        n_asked=reading().scalar(asked) if viewer().is_admin else None,
        n_requests=sum(each.event_id in ids for each in joining.requests(reading())),
        n_waiting=counts[NEW],
        n_running=sum(counts[state] for state in LEASED),
        broken=broken,
    )
