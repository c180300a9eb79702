"""Commands of admins: users, teams and sign-ups."""

from contextlib import contextmanager

from tasks.command import command, opened


@command(
    help={
        "name": "Login name, and the name of the user's own team.",
        "email": "Mail address.",
        "firstname": "First name.",
        "lastname": "Last name.",
        "admin": "Approve at once, as an admin.",
        "password": "Ask for a password; without one the user cannot log in yet.",
    }
)
def create_user(ctx, name, email, firstname="", lastname="", admin=False, password=False):
    """Add a user and the team of the same name."""
    from databoard import people
    from databoard.database import session_scope

    typed = ask_password() if password else None
    level = "admin" if admin else "asked"
    with opened() as (_, engine), session_scope(engine) as session:
        people.create_user(session, name, email, firstname, lastname, typed, level)
    print(f"Added the user {name}." + ("" if admin else f" Approve: inv approve-user {name}"))


@command(help={"name": "Login name."})
def approve_user(ctx, name):
    """Let a user in who asked for an account."""
    from databoard import people
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        people.approve_user(session, name)
    print(f"Approved the user {name}.")


@command(help={"event": "Name of the event.", "team": "Name of the team."})
def sign_up_team(ctx, event, team):
    """Sign a team up to an event."""
    from databoard import people
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        people.sign_up_team(session, event, team)
    print(f"Signed {team} up to {event}.")


@command(help={"name": "Name of the team.", "members": "Users, with commas between them."})
def add_team(ctx, name, members):
    """Add a team of several users."""
    from databoard import teams
    from databoard.database import session_scope
    from databoard.names import as_list

    users = as_list("The list of members", members)
    with opened() as (_, engine), session_scope(engine) as session:
        teams.add_team(session, name, users)
    print(f"Added the team {name}: {', '.join(users)}.")


@command(help={"team": "Name of a team that add-team made.", "user": "Name of the user."})
def add_member(ctx, team, user):
    """Add a user to a team."""
    from databoard import teams
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        teams.add_member(session, team, user)
    print(f"Added {user} to the team {team}.")


@command(help={"name": "Login name.", "level": "not_confirmed, asked, user or admin."})
def set_access_level(ctx, name, level):
    """Change what a user may do."""
    from databoard import teams
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        before = teams.set_access_level(session, name, level)
    print(f"{name}: {before} -> {level}.")


@command(help={"event": "Name of the event.", "user": "Name of the user."})
def make_event_admin(ctx, event, user):
    """Make a user an admin of one event."""
    from databoard import teams
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        teams.make_event_admin(session, event, user)
    print(f"{user} is an admin of {event}.")


@command()
def generate_single_password(ctx):
    """Print a password that nobody can guess."""
    from databoard import roster

    print(roster.new_password())


@command(help={"file": "Table of people.", "out": "A new file, for you alone."})
def generate_passwords(ctx, file, out):
    """Make a password for each person of a file."""
    from pathlib import Path

    from databoard import roster
    from databoard.names import counted

    found = read_people(file)
    roster.write_passwords(found, Path(out).expanduser())
    print(f"Wrote {counted(len(found.rows), 'password')} to {out}.")


@command(help={"file": "Table of people.", "passwords": "What generate-passwords wrote."})
def add_users_from_file(ctx, file, passwords):
    """Add the people of a file as users."""
    from pathlib import Path

    from databoard import batch, roster

    found = read_people(file)
    secret = roster.read(Path(passwords).expanduser(), with_passwords=True)
    with opened() as (_, engine), showing_count("Hash the passwords", len(found.rows)) as report:
        outcome = batch.add_users(engine, found, secret, report)
    finish_batch(outcome, "Added", "user")


@command(help={"file": "Table of people.", "event": "Name of the event."})
def sign_up_event_users_from_file(ctx, file, event):
    """Sign the users of a file up."""
    from databoard import batch
    from databoard.database import session_scope

    found = read_people(file)
    with opened() as (_, engine), session_scope(engine) as session:
        outcome = batch.sign_up(session, found, event)
    finish_batch(outcome, "Signed up", "team")


@command(help={"out": "A new file with the passwords, for you alone.", "count": "How many."})
def add_test_users(ctx, out, count="3"):
    """Add made-up users, to try things with."""
    from pathlib import Path

    from databoard import batch
    from databoard.names import as_count

    wanted = as_count("The number of users", count, most=batch.MADE_UP)
    with opened() as (_, engine):
        outcome = batch.add_made_up(engine, wanted, Path(out).expanduser())
    finish_batch(outcome, "Added", "user")


@command(help={"name": "Login name."})
def send_password_mail(ctx, name):
    """Mail a user a new password."""
    import os

    from databoard import mail, smtp

    server = smtp.server(os.environ)
    with opened() as (_, engine):
        mail.send_password(engine, server, name)
    print(f"Sent {name} a new password.")


@command(
    help={
        "passwords": "What generate-passwords wrote.",
        "dry-run": "Show one mail, and to whom all would go.",
    }
)
def send_password_mails(ctx, passwords, dry_run=False):
    """Mail the users of a file their passwords."""
    import os
    from pathlib import Path

    from databoard import mail, roster, smtp

    secret = roster.read(Path(passwords).expanduser(), with_passwords=True)
    server = smtp.server(os.environ)
    with opened() as (_, engine):
        if dry_run:
            due, outcome = mail.plan_passwords(engine, server, secret)
            for message in due[:1]:
                print(message.as_string())
            for message in due:
                print(message["To"])
        else:
            with showing_count("Send the mails", len(secret.rows)) as report:
                outcome = mail.send_passwords(engine, server, secret, report)
    finish_batch(outcome, "Would send" if dry_run else "Sent", "mail", "sent before")


def read_people(file):
    """The people in a file; says when it is not in UTF-8."""
    from pathlib import Path

    from databoard import roster

    found = roster.read(Path(file).expanduser())
    if found.is_latin:
        print(f"{file} is not in UTF-8: it was read as Latin-1.")
    return found


@contextmanager
def showing_count(what: str, total: int):
    """A bar on a terminal; what to tell how many are done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.update(task, completed=count)


def finish_batch(outcome, done: str, noun: str, before: str = "there already") -> None:
    """Say what became of all rows. Raises DataboardError when some were skipped."""
    from databoard.errors import DataboardError
    from databoard.names import counted

    print(f"{done} {counted(outcome.done, noun)}; {before}: {outcome.before}.")
    if outcome.skipped:
        listed = "\n  ".join(outcome.skipped)
        raise DataboardError(
            f"Skipped {len(outcome.skipped)}:\n  {listed}",
            "Mend these, and repeat the command: it changes nothing for the others.",
        )


def ask_password() -> str:
    """Twice on a terminal, else a line of standard input: never on a command line."""
    import sys
    from getpass import getpass

    from databoard.errors import InvalidValue

    if sys.stdin is None:  # closed
        raise InvalidValue("There is no password.", "Type it, or give it by standard input.")
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    typed = getpass("Password: ")
    if typed != getpass("Again: "):
        raise InvalidValue("The two passwords differ.", "Type the same twice.")
    return typed
