"""Commands of admins: submissions and their states."""

from tasks.command import LEFT_OUT, command, opened


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
    """Put a submission back, or delete it."""
    from databoard import contributivity, submissions
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        found = submissions.find_submission(session, event, team, submission)
        source = found.state
        submissions.set_state(session, found, state)
        told = contributivity.aside(found.event)
    print(f"{submission} of {team} in {event}: {source} -> {state}.")
    if told:
        print(told)


ONE = {"event": "Name of the event.", "team": "Name of the team."}
ONE |= {"submission": "Name of the submission."}
SOME = {"event": "Name of the event.", "team": "Only of this team."}
SOME |= {"submission": "Only this submission."}


@command(help=ONE)
def withdraw(ctx, event, team, submission):
    """Take a submission back: it is hidden."""
    from databoard import contributivity, submissions
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        found = submissions.find_submission(session, event, team, submission)
        submissions.withdraw(session, found)
        told = contributivity.aside(found.event)
    print(f"Withdrew {submission} of {team} from {event}.")
    if told:
        print(told)


@command(help=SOME)
def cancel(ctx, event, team=LEFT_OUT, submission=LEFT_OUT):
    """End what is being trained, at once."""
    from databoard import submissions
    from databoard.database import session_scope
    from databoard.errors import DataboardError

    with opened() as (_, engine), session_scope(engine) as session:
        which = submissions.select_some(session, event, team, submission)
        count = submissions.cancel(session, which)
    if not count:
        raise DataboardError(
            "Nothing of that is being trained.",
            f"What waits is taken back with: inv withdraw {event} TEAM SUBMISSION",
        )
    print(f"Cancelled {count} of {event}.")


@command(help={**ONE, "back": "Let it into the ensemble again."})
def exclude_from_ensemble(ctx, event, team, submission, back=False):
    """Keep a submission out of the ensemble."""
    from databoard import contributivity, submissions
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        found = submissions.find_submission(session, event, team, submission)
        found.is_in_ensemble = back
        told = contributivity.aside(found.event)
    print(f"{submission} of {team} is {'again in' if back else 'out of'} the ensemble of {event}.")
    if told:
        print(told)


@command(
    help={
        **ONE,
        "sources": "TEAM/SUBMISSION=SHARE with commas between several, or none. Shows without it.",
    }
)
def credit(ctx, event, team, submission, sources=LEFT_OUT):
    """Say what a submission owes to older ones."""
    from databoard import contributivity, credits, submissions
    from databoard.database import session_scope

    typed = credits.read_credits(sources) if sources else None
    with opened() as (_, engine), session_scope(engine) as session:
        found = submissions.find_submission(session, event, team, submission)
        if typed is not None:
            credits.set_credits(session, found, typed)
            contributivity.store_historical(session, found.event)
        owed = credits.credits_of(session, found)
    shares = [f"{share:g} to {source}/{name}" for (source, name), share in owed.items()]
    print(f"{submission} of {team} owes {', '.join(shares) or 'nothing'}.")


@command(help=SOME)
def score_submission(ctx, event, team=LEFT_OUT, submission=LEFT_OUT):
    """Score stored predictions again, untrained."""
    import asyncio

    from databoard import submissions
    from databoard.database import reading
    from databoard.errors import DataboardError
    from databoard.training.rescoring import score_again
    from tasks.progress import counting

    with opened() as (settings, engine), counting() as report:
        with reading(engine) as session:
            which = submissions.select_some(session, event, team, submission)
        count = asyncio.run(score_again(engine, settings, which, report))
    if not count:
        raise DataboardError("Nothing of that is scored.", f"Train first: inv train-test {event}")
    print(f"Scored {count} of {event} again.")


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
