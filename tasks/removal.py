"""Commands of admins: deleting for good."""

from tasks.command import command, opened

YES = {"yes": "Delete it; without, what would go is shown."}


@command(
    help={
        "event": "Name of the event.",
        "team": "Name of the team.",
        "submission": "Name of the submission.",
        **YES,
    }
)
def delete_submission(ctx, event, team, submission, yes=False):
    """Delete a submission for good."""
    remove("of_submission", event, team, submission, yes=yes, event_that_stays=event)


@command(help={"event": "Name of the event.", "team": "Name of the team.", **YES})
def delete_event_team(ctx, event, team, yes=False):
    """Delete a sign-up with its submissions."""
    remove("of_event_team", event, team, yes=yes, event_that_stays=event)


@command(help={"event": "Name of the event.", **YES})
def delete_event(ctx, event, yes=False):
    """Delete an event with its submissions."""
    remove("of_event", event, yes=yes)


@command(
    help={
        "problem": "Name of the problem.",
        "from_disk": "Delete its kit and data, too.",
        **YES,
    }
)
def delete_problem(ctx, problem, from_disk=False, yes=False):
    """Delete a problem with its events."""
    remove("of_problem", problem, yes=yes, from_disk=from_disk)


@command(help={"name": "Login name.", **YES})
def delete_user(ctx, name, yes=False):
    """Delete a user with all submissions."""
    remove("of_user", name, yes=yes)


def remove(kind: str, *names: str, yes: bool, event_that_stays: str = "", **options) -> None:
    """Show what goes, and with `yes` delete it."""
    from invoke import Exit

    from databoard import contributivity, leaderboard, removal
    from databoard.database import session_scope

    told = ""
    with opened() as (settings, engine), session_scope(engine) as session:
        found = getattr(removal, kind)(session, settings, *names, **options)
        print(f"{'Deleting' if yes else 'This would delete'} {found.what}")
        for line in found.lines:
            print(f"  with {line}")
        if yes:
            removal.carry_out(session, found)
            if event_that_stays:
                event = leaderboard.load_event(session, event_that_stays)
                told = contributivity.aside(event)
    if not yes:
        raise Exit("Nothing was deleted. If it shall be, add --yes.", code=1)
    print("Deleted.")
    if told:
        print(told)
