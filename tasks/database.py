"""Commands of ops: the database and its migrations."""

from tasks.command import command

TARGET = "Do it there. Default: on this machine."


@command(
    help={
        "target": f"{TARGET} There a snapshot is taken first.",
        "with_backup": "Take a snapshot first, if there is a database.",
    }
)
def db_upgrade(ctx, target="", with_backup=False):
    """Make the database, or bring it up to date."""
    from databoard import config, database

    if target:
        from tasks.backup import run_there

        return run_there(target, "db-upgrade", with_backup=True)
    settings = config.load()
    if with_backup and database.current_revision(database.open_engine(settings.db_url)):
        from databoard.backup import take
        from tasks.backup import showing, store_at

        with store_at("") as (_, store), showing() as report:
            print(f"Took {take.take(settings, store, report).name}.")
    database.upgrade(settings.db_url)
    settings.make_folders()
    engine = database.open_engine(settings.db_url)
    print(f"{database.shown(engine.url)} is at revision {database.current_revision(engine)}.")


@command(
    help={
        "message": "What the migration does, in a few words.",
        "compatible": "Today's code works after it, too: it may be rolled out while that serves.",
        "target": "From the database there, through SSH. Default: the one of this machine.",
    }
)
def db_migrate(ctx, message, compatible=False, target=""):
    """Write a migration from database to models."""
    from contextlib import nullcontext

    from databoard import config, database
    from databoard.names import check_title

    title = check_title("migration", message)
    with through(target) if target else nullcontext(config.load().db_url) as url:
        path = database.new_migration(url, title, compatible)
    print(f"Wrote {path}. Read it, then: inv db-upgrade")


def through(target):
    """The URL of a target's database while a tunnel leads there."""
    from databoard.fleet.tunnel import database_url
    from tasks.rollout import chosen_target

    return database_url(chosen_target(target, ""))


@command(help={"json": "Print JSON."})
def db_current(ctx, json=False):
    """Print the revisions, and what is pending."""
    from databoard import config, database

    engine = database.open_engine(config.load().db_url)
    here, code = database.current_revision(engine), database.head_revision()
    pending = database.pending(engine)
    if json:
        from dataclasses import asdict
        from json import dumps

        said = {"database": here, "code": code, "pending": [asdict(each) for each in pending]}
        print(dumps(said | {"compatible": database.may_serve(engine)}))
        return
    print(f"database: {here or 'none'}, code: {code}")
    for each in pending:
        print(f"pending: {each.id} {each.title} (code from {each.oldest_code} on works after it)")


@command(help={"path": "The file to write.", "force": "Replace it when it is there."})
def db_dump(ctx, path, force=False):
    """Write the database to a file."""
    from pathlib import Path

    from databoard import config, dump

    dump.dump(config.load().db_url, Path(path).resolve(), force)


@command(
    help={
        "path": "A file that db-dump has written.",
        "force": "Do it: what is in the database now is lost.",
    }
)
def db_restore(ctx, path, force=False):
    """Bring the database back to a dump."""
    from pathlib import Path

    from databoard import config, dump
    from databoard.errors import DataboardError

    if not force:
        raise DataboardError(
            "What is in the database now would be lost.", "Dump it first; then add --force."
        )
    dump.restore(config.load().db_url, Path(path).resolve())
    print(f"Restored {path}.")
