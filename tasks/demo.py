"""The demo and the test set-up: a data challenge from an empty machine to its leaderboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.command import command

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from databoard.config import Settings

EVENTS = {"digits": "Autumn school: read these digits", "diabetes": "Clinic: one year ahead"}
ADMIN = "gardener"
TEAMS = ("saffron", "juniper", "tarragon", "lovage")
# event: [(team, submission)], in the order in which they come in
SUBMISSIONS = {
    "digits": [
        ("saffron", "starting_kit"),
        ("juniper", "pen_strokes"),
        ("tarragon", "wrong_axis"),
        ("lovage", "look_alikes"),
        ("tarragon", "starting_kit"),
    ],
    "diabetes": [
        ("juniper", "starting_kit"),
        ("saffron", "square_root"),
        ("lovage", "ridge"),
        ("saffron", "slow_boosting"),
    ],
}


@command()
def demo(ctx):
    """Watch a challenge: set up, trained, ranked."""
    show_challenge()
    print("\nSee it in a browser: ./inv serve, then http://127.0.0.1:8080/")


@command()
def test_setup(ctx):
    """Set up two test events (DATABOARD_TEST=True)."""
    from databoard import config
    from databoard.errors import DataboardError

    if not config.load().is_test:
        raise DataboardError(
            "test-setup fills the database with made-up teams.",
            "Switch to the test deployment first: export DATABOARD_TEST=True",
        )
    show_challenge()


def show_challenge() -> None:
    """Make what is not there yet, train what waits, print all leaderboards. Safe to repeat."""
    from databoard import config, database, leaderboard
    from databoard.training import sandbox
    from tasks.command import opened
    from tasks.table import print_board
    from tasks.training import train

    settings = config.load()
    database.upgrade(settings.db_url)
    settings.make_folders()
    with opened() as (_, engine):
        set_up(engine, settings)
        is_boxed = sandbox.fault() is None
        if not is_boxed:  # its submissions are our own
            print("Training without a box for each submission: Bubblewrap does not work here.")
        train(settings, engine, is_boxed=is_boxed)
        with database.reading(engine) as session:
            for name in EVENTS:
                event = leaderboard.load_event(session, name)
                for board in (
                    leaderboard.public(session, event),
                    leaderboard.private(session, event),
                    leaderboard.competition(session, event, with_private=True),
                    leaderboard.failed(session, event),
                ):
                    print_board(board)


def set_up(engine: Engine, settings: Settings) -> None:
    """The problems, events, people and submissions that are not there yet."""
    from sqlalchemy import select

    from databoard import events, kits, people, submissions
    from databoard.database import reading, session_scope
    from databoard.errors import DataboardError
    from databoard.model.event import Event
    from databoard.model.people import Team, User
    from databoard.model.problem import Problem
    from databoard.model.submission import Submission

    with reading(engine) as session:
        names = {
            table: set(session.scalars(select(table.name))) for table in (Problem, Event, User)
        }
        joined = Submission.__table__.join(Team.__table__).join(
            Event.__table__, Event.id == Submission.event_id
        )
        columns = select(Event.name, Team.name, Submission.name).select_from(joined)
        submitted = {tuple(row) for row in session.execute(columns)}
    if names[Event] and names[Event].isdisjoint(EVENTS):
        raise DataboardError(
            f"The database has events of its own: {', '.join(sorted(names[Event]))}.",
            "Choose an empty one for made-up teams, by DATABOARD_DB_URL or "
            "DATABOARD_DEPLOYMENT_PATH.",
        )
    for event, title in EVENTS.items():
        if event not in names[Problem]:
            print(f"Adding the problem {event} ...", flush=True)
            events.add_problem(engine, settings, event)
        if event not in names[Event]:
            print(f"Adding the event {event} ...", flush=True)
            events.add_event(engine, settings, event, event, title, is_public=True)
    with session_scope(engine) as session:
        for name in (ADMIN, *TEAMS):
            if name in names[User]:
                continue
            level = "admin" if name == ADMIN else "asked"
            people.create_user(session, name, f"{name}@example.org", access_level=level)
            if name in TEAMS:
                people.approve_user(session, name)
                for event in EVENTS:
                    people.sign_up_team(session, event, name)
        for event, entries in SUBMISSIONS.items():
            kit = kits.find_kit(event, settings.kits_path)
            for team, name in entries:
                if (event, team, name) not in submitted:
                    path = kit / "submissions" / name
                    submissions.submit(session, settings, event, team, name, path)
