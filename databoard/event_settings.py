"""The settings of an event: one table, for the command line, for manifests and for validation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from databoard import contributivity
from databoard.errors import DataboardError, InvalidValue, NotFound
from databoard.leaderboard import check_kind
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, TeamMember
from databoard.names import as_bool, as_count, as_time, check_title, printable


@dataclass(frozen=True)
class Setting:
    """A setting: its name (a flag, a key of manifests), its kind, what it does, its parser.

    The parser takes what is typed or a plain value, and raises InvalidValue.
    """

    name: str
    kind: str
    meaning: str
    read: Callable[[Any], Any]

    def of(self, event: Event) -> Any:
        """Its value; for the official score the name of the score type."""
        if self.name == "official_score":
            return event.score_types[0].score_type.name if event.score_types else None
        return getattr(event, self.name)


def _title(name: str, meaning: str) -> Setting:
    return Setting(name, "title", meaning, lambda value: check_title("event", str(value)))


def _flag(name: str, meaning: str) -> Setting:
    return Setting(name, "yes or no", meaning, lambda value: as_bool(_what(name), value))


def _count(name: str, meaning: str, least: int = 1) -> Setting:
    # By its text, as a manifest's 1.5 and true are no counts.
    def read(value: Any) -> int:
        return as_count(_what(name), str(value), least)

    return Setting(name, "whole number", meaning, read)


def _time(name: str, meaning: str) -> Setting:
    return Setting(name, "time or none", meaning, lambda value: as_time(_what(name), value))


def _read_quota(value: Any) -> int | None:
    if value is None or str(value).strip().lower() == "none":
        return None
    return as_count(_what("daily_quota"), str(value))


def _what(name: str) -> str:
    return f"The setting {name}"


_ALL = (
    _title("title", "its title"),
    _count("max_members", "members that a team may have"),
    _flag("is_sign_up_controlled", "whether an admin approves each sign-up"),
    _flag("is_public", "whether everybody sees it"),
    _flag("is_competitive", "whether code is hidden until the public opening"),
    _count("min_seconds", "seconds between two submissions of a team", least=0),
    Setting(
        "daily_quota",
        "whole number or none",
        "submissions that a team may make in 24 hours",
        _read_quota,
    ),
    _flag("is_anonymous", "whether boards hide the names of other teams"),
    _time("frozen_at", "from when on boards show nothing new"),
    _time("opening_at", "when submissions open"),
    _time("public_opening_at", "when all see all code"),
    _time("closing_at", "when submissions close"),
    Setting("official_score", "score type", "the score that ranks", str),
    Setting("score_kind", "bag or mean", "which score ranks", lambda value: check_kind(str(value))),
    _flag("is_paused", "whether nothing more of it is trained for now"),
    _count("priority", "events of a higher one are trained first", least=0),
    _flag("mails_submitted", "whether admins get a mail on each submission"),
    _flag("mails_trained", "whether a team gets a mail when its submission is trained"),
    _count("time_limit", "seconds that all folds of a submission may run"),
    _count("memory_limit", "MB of memory that a fold may use"),
)
SETTINGS = {setting.name: setting for setting in _ALL}


def read_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The values of settings, read. Raises InvalidValue: no such setting, or no such value."""
    for name in given:
        if name not in SETTINGS:
            from difflib import get_close_matches

            nearest = get_close_matches(name, SETTINGS, n=1)
            hint = f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(SETTINGS)}."
            raise InvalidValue(f"{printable(name)} is no setting of an event.", hint)
    return {name: SETTINGS[name].read(value) for name, value in given.items()}


def settings_of(event: Event) -> dict[str, Any]:
    """What the settings of an event are."""
    return {name: setting.of(event) for name, setting in SETTINGS.items()}


def update_event(session: Session, name: str, **settings: Any) -> Event:
    """Change settings of an event: those of `SETTINGS`, as typed or as plain values.

    Raises NotFound (event, score type), InvalidValue, DataboardError (the times are not in order,
    a team has more members).
    """
    event = find(session, Event, name)
    session.refresh(event, with_for_update=True)
    values = read_settings(settings)
    official = values.pop("official_score", None)
    for attribute, value in values.items():
        setattr(event, attribute, value)
    _check_times(event)
    if "max_members" in values:
        _check_teams(session, event)
    if official is not None and official != SETTINGS["official_score"].of(event):
        make_official(session, event, official)
    return event


def _check_times(event: Event) -> None:
    opening = event.opening_at
    for what, time in (("public opening", event.public_opening_at), ("closing", event.closing_at)):
        is_late = opening is not None and time is not None and time < opening
        if is_late or (what == "closing" and time is not None and time == opening):
            raise DataboardError(
                f"The {what} of {event.name} at {time:%Y-%m-%d %H:%M} UTC is not after its opening "
                f"at {opening:%Y-%m-%d %H:%M} UTC.",
                "Change both at once, or clear one with none.",
            )


def _check_teams(session: Session, event: Event) -> None:
    row = session.execute(
        select(Team.name, func.count())
        .join(TeamMember, TeamMember.team_id == Team.id)
        .join(EventTeam, EventTeam.team_id == Team.id)
        .where(EventTeam.event_id == event.id)
        .group_by(Team.name)
        .order_by(func.count().desc(), Team.name)
    ).first()
    if row is not None and row[1] > event.max_members:
        raise DataboardError(
            f"The team {row[0]} of {event.name} has {row[1]} members, more than "
            f"{event.max_members}.",
            f"Take it out first: inv delete-event-team {event.name} {row[0]}",
        )


def make_official(session: Session, event: Event, name: str) -> None:
    """Rank by that score; what ensembles said by another is forgotten. Raises NotFound."""
    names = [score.score_type.name for score in event.score_types]
    if name not in names:
        raise NotFound(
            f"The event {event.name} has no score type {printable(name)}.",
            f"It has {', '.join(names)}.",
        )
    order = sorted(event.score_types, key=lambda score: (score.score_type.name != name, score.id))
    for shift in (len(order), 0):  # a position is taken once, at each moment
        for position, score in enumerate(order):
            score.position = position + shift
        session.flush()
    session.refresh(event, ["score_types"])
    contributivity.forget(session, event)
