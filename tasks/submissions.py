"""Commands of admins: submissions and their states."""

from tasks.command import command, opened


@command(
    help={
        "event": "Name of the event.",
        "team": "Name of a team that is signed up.",
        "name": "Name of the submission.",
        "path": "Folder with its files, or the file where there is one.",
    }
)
def submit(ctx, event, team, name, path):
    """Submit files for a team."""
    from pathlib import Path

    from databoard import submissions
    from databoard.database import session_scope

    with opened() as (settings, engine), session_scope(engine) as session:
        submissions.submit(session, settings, event, team, name, Path(path).expanduser())
    print(f"Submitted {name} of {team} to {event}.")


@command(help={"event": "Name of the event.", "team": "Name of a team that is signed up."})
def submit_starting_kit(ctx, event, team):
    """Submit the starting kit for a team."""
    from databoard import submissions
    from databoard.database import session_scope

    with opened() as (settings, engine), session_scope(engine) as session:
        submissions.submit_starting_kit(session, settings, event, team)
    print(f"Submitted the starting kit for {team} to {event}.")


@command(
    help={
        "event": "Name of the event.",
        "team": "Name of the team.",
        "submission": "Name of the submission.",
        "state": "new (train again) or deleted.",
    }
)
def set_state(ctx, event, team, submission, state):
    """Put a submission back in the queue, or delete it."""
    from databoard import submissions
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        found = submissions.find_submission(session, event, team, submission)
        source = found.state
        submissions.set_state(session, found, state)
    print(f"{submission} of {team} in {event}: {source} -> {state}.")


@command(
    help={
        "event": "Name of the event.",
        "team": "Only of this team.",
        "state": "Only in this state; deleted ones are shown only so.",
        "errors": "Show the whole reason of each failure.",
    }
)
def print_submissions(ctx, event, team=None, state=None, errors=False):
    """List submissions with their states."""
    from databoard import submissions
    from databoard.database import reading
    from databoard.leaderboard import STATE, SUBMISSION, SUBMITTED_AT, TEAM, Board, Column
    from tasks.table import print_board

    with opened() as (_, engine), reading(engine) as session:
        found = submissions.list_submissions(session, event, team, None, state)
    columns = (Column("id", "id"), TEAM, SUBMISSION, STATE, Column("kind", "kind"), SUBMITTED_AT)
    rows = [
        (row.id, row.team.name, row.name, row.state, row.error_kind, row.submitted_at)
        for row in found
    ]
    print_board(Board(f"{event}: submissions", columns, rows))
    for row in found if errors else ():
        if row.error_message:
            fold = "" if row.error_fold is None else f", fold {row.error_fold}"
            print(f"\n{row.team.name}/{row.name}: {row.state}{fold}\n{row.error_message}")
