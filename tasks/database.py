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


@command(help={"message": "What the migration does, in a few words."})
def db_migrate(ctx, message):
    """Write a migration from database to models."""
    from databoard import config, database
    from databoard.names import check_title

    path = database.new_migration(config.load().db_url, check_title("migration", message))
    print(f"Wrote {path}. Read it, then: inv db-upgrade")


@command()
def db_current(ctx):
    """Print the revisions of database and code."""
    from databoard import config, database

    engine = database.open_engine(config.load().db_url)
    here = database.current_revision(engine)
    print(f"database: {here or 'none'}, code: {database.head_revision()}")
