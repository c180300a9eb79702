"""Commands of admins: users, teams and sign-ups."""

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


def ask_password() -> str:
    """Twice on a terminal, else a line of standard input: never on a command line."""
    import sys
    from getpass import getpass

    from databoard.errors import InvalidValue

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    typed = getpass("Password: ")
    if typed != getpass("Again: "):
        raise InvalidValue("The two passwords differ.", "Type the same twice.")
    return typed
