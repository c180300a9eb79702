"""Commands of ops: production's data on other sites."""

from contextlib import contextmanager

from tasks.backup import backup_command, run_there, showing
from tasks.rollout import TARGET

DUMP = "A snapshot of production. Default: prod_db_dump, else the newest that was verified."
MOUNT, NAMED_DUMP = "mount_path", "prod_db_dump"  # of the environment


@backup_command(help={"dump": DUMP})
def get_prod_db(ctx, dump=""):
    """Copy a snapshot of production here."""
    import os

    from databoard.backup import mirror

    with showing() as report, production_store() as source, own_store(settings_here()) as there:
        there.make()
        snapshot = mirror.choose(source, dump or os.environ.get(NAMED_DUMP, ""))
        is_new = mirror.get(source, there, snapshot, report)
    state = "is here now" if is_new else "was here already"
    print(f"{snapshot.name} {state}: {there.here / snapshot.name}")


@backup_command(
    help={
        "dump": DUMP,
        "target": f"{TARGET} Without any: this machine.",
        "admins": "Users of production who keep name and password, with commas between them.",
        "store": "Production's store, as the target sees it. Default: that of its inventory.",
    }
)
def prod_db_to_test(ctx, dump="", target="", admins="", store=""):
    """Give a test site production's data, unnamed."""
    import time

    from databoard.backup.testcopy import copy_to_test
    from databoard.names import as_list

    if target:
        return copy_there(target, dump=dump, admins=admins, store=store)
    began, settings = time.monotonic(), settings_here()
    names = as_list("--admins", admins) if admins else []
    with showing() as report, snapshot_of_production(settings, dump, store) as (there, snapshot):
        copied = copy_to_test(settings, there, snapshot, names, report)
    about = copied.pseudonymised
    print(f"{settings.site} has the data of {snapshot.name}, in {time.monotonic() - began:.0f} s:")
    print(f"  {about.n_users} users and {about.n_teams} teams under pseudonyms")
    print(f"  {copied.rows['event']} events, {copied.rows['submission']} submissions")
    for what, where in (("database", copied.database_before), ("files", copied.files_before)):
        if where:
            print(f"  The {what} of before, until the next copy: {where}")


@contextmanager
def snapshot_of_production(settings, dump, store):
    """The store with the snapshot to copy, and the snapshot: here, or where production keeps it."""
    import os

    from databoard.backup import mirror, testcopy

    testcopy.refuse_site(settings)
    name = dump or os.environ.get(NAMED_DUMP, "")
    with own_store(settings) as there:
        if name and name in there.names():
            yield there, mirror.choose(there, name)
            return
    with production_store(store) as source:
        yield source, mirror.choose(source, name)


def own_store(settings):
    """The store on this machine that has what get-prod-db got."""
    from databoard.backup.place import Place
    from databoard.backup.store import opened

    return opened(Place(settings.own_store), "production")


@contextmanager
def production_store(store=""):
    """Where production keeps its snapshots; behind sshfs when mount_path says so."""
    import os
    from contextlib import nullcontext
    from pathlib import Path

    from databoard.backup import place
    from databoard.backup.mount import mounted
    from databoard.backup.store import opened
    from databoard.fleet import inventory

    where = place.read(store) if store else place.of_target(inventory.load("production"))
    folder = os.environ.get(MOUNT)
    is_mounted = folder and where.host and not where.through
    with (
        mounted(where, Path(folder)) if is_mounted else nullcontext(where) as seen,
        opened(seen, "production") as source,
    ):
        yield source


def settings_here():
    """The settings; with DATABOARD_PATH those of the application there."""
    import os

    from databoard import config

    env = dict(os.environ)
    if path := env.get("DATABOARD_PATH"):
        env.setdefault("DATABOARD_DEPLOYMENT_PATH", f"{path}/datacamp/databoard/shared")
    return config.load(env)


def copy_there(target, **options):
    """The same on a target, as root: files are given to their owners."""
    import os

    from databoard.backup import place
    from databoard.errors import DataboardError
    from databoard.fleet import inventory
    from tasks.rollout import chosen_target

    chosen = chosen_target(target, "")
    if chosen.name == "production":
        raise DataboardError(
            "Production is never the destination.",
            "Name a test site: inv prod-db-to-test --target=test",
        )
    if not options["store"]:
        where = place.of_target(inventory.load("production"))
        if where.through is not None:
            raise DataboardError(
                "Production keeps its snapshots on its own disk, where other hosts do not come.",
                "Let `backups` in inventories/production.yml name a store: user@host:/path",
            )
        options["store"] = str(where)
    options["dump"] = options["dump"] or os.environ.get(NAMED_DUMP, "")
    run_there(target, "prod-db-to-test", variables={"DATABOARD_AS_ROOT": "1"}, **options)
