"""Commands of admins: settings of an event."""

from tasks.command import command, opened


@command(
    help={
        "event": "Name of the event; without a setting, its settings are shown.",
        "title": "Its title.",
        "max_members": "Members that a team may have.",
        "is_sign_up_controlled": "Whether an admin approves each sign-up (yes or no).",
        "is_public": "Whether everybody sees it (yes or no).",
        "is_competitive": "Whether code is hidden until the public opening (yes or no).",
        "min_seconds": "Seconds between two submissions of a team; admins are exempt.",
        "daily_quota": "Submissions of a team in 24 hours; or none.",
        "is_anonymous": "Whether boards hide the names of other teams (yes or no).",
        "frozen_at": "From when on boards show nothing new; or none.",
        "opening_at": "When submissions open: 2026-11-30T18:00 (UTC), or with +01:00; or none.",
        "public_opening_at": "When all see all code; or none.",
        "closing_at": "When submissions close; or none.",
        "official_score": "Name of the score type that ranks.",
        "score_kind": "Which score ranks: bag or mean.",
        "is_paused": "Whether nothing more of it is trained for now (yes or no).",
        "priority": "A whole number; events of a higher one are trained first.",
        "mails_submitted": "Whether admins get a mail on each submission (yes or no).",
        "mails_trained": "Whether teams get a mail when theirs is trained (yes or no).",
        "time_limit": "Seconds that all folds of a submission may run, together.",
        "memory_limit": "MB of memory that a fold may use.",
        "json": "Print all settings as JSON.",
    }
)
def update_event(
    ctx,
    event,
    title=None,
    max_members=None,
    is_sign_up_controlled=None,
    is_public=None,
    is_competitive=None,
    min_seconds=None,
    daily_quota=None,
    is_anonymous=None,
    frozen_at=None,
    opening_at=None,
    public_opening_at=None,
    closing_at=None,
    official_score=None,
    score_kind=None,
    is_paused=None,
    priority=None,
    mails_submitted=None,
    mails_trained=None,
    time_limit=None,
    memory_limit=None,
    json=False,
):
    """Change settings of an event, or show them."""
    typed = {
        name: value
        for name, value in locals().items()
        if name not in ("ctx", "event", "json") and value is not None
    }
    from databoard import events
    from databoard.database import reading, session_scope
    from databoard.event_settings import SETTINGS, settings_of
    from databoard.leaderboard import Board, Column, load_event
    from tasks.table import print_board, print_settings

    with opened() as (_, engine), (session_scope if typed else reading)(engine) as session:
        before = settings_of(load_event(session, event))
        after = before
        if typed:
            after = settings_of(events.update_event(session, event, **typed))
    if json:
        print_settings(after)
    elif typed:
        changed = [
            f"{name} {shown(before[name])} -> {shown(after[name])}"
            for name in after
            if before[name] != after[name]
        ]
        print(f"Changed the event {event}: {', '.join(changed) or 'nothing, it was so'}.")
    else:
        columns = (
            Column("setting", "setting"),
            Column("value", "value", wraps=True),
            Column("what", "what", wraps=True),
        )
        rows = [(name, shown(after[name]), SETTINGS[name].meaning) for name in after]
        print_board(Board(f"{event}: settings", columns, rows))


def shown(value) -> str:
    """A setting as it is typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
