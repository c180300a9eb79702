"""Commands of ops: the database and its migrations."""

from tasks.command import command


@command()
def db_upgrade(ctx):
    """Make the database, or bring it up to date."""
    from databoard import config, database

    settings = config.load()
    database.upgrade(settings.db_url)
    settings.make_folders()
    engine = database.open_engine(settings.db_url)
    print(f"{database.shown(engine.url)} is at revision {database.current_revision(engine)}.")


@command(
    help={
        "message": "What the migration does, in a few words.",
        "compatible": "Today's code works after it, too: it may be rolled out while that serves.",
    }
)
def db_migrate(ctx, message, compatible=False):
    """Write a migration from database to models."""
    from databoard import config, database
    from databoard.names import check_title

    title = check_title("migration", message)
    path = database.new_migration(config.load().db_url, title, compatible)
    print(f"Wrote {path}. Read it, then: inv db-upgrade")


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
