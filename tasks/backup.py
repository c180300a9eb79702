"""Commands of ops and cron: snapshots, taken, verified, kept and restored."""

from contextlib import contextmanager
from functools import partial

from tasks.command import LEFT_OUT, command

backup_command = partial(command, auto_shortflags=False)

PLACES = {
    "target": "Do it there, on the host of the database. Default: on this machine.",
    "store": "As that machine sees it: /path, user@host:/path, ssh://user@host:port/path. "
    "Default: DATABOARD_BACKUPS.",
}


@backup_command(help=PLACES | {"new_store": "Make the store, which is a new or an empty folder."})
def backup(ctx, target="", store="", new_store=False):
    """Take a snapshot of database and files."""
    import sys

    from databoard.backup import take
    from databoard.errors import DataboardError

    if target:
        return run_there(target, "backup", store=store, new_store=new_store)
    with store_at(store) as (settings, there), showing() as report:
        if new_store:
            there.make()
        try:
            taken = take.take(settings, there, report)
        except take.Busy as busy:
            if busy.times >= 3:
                print(busy.message, file=sys.stderr)
            return None
    about = taken.manifest
    if sys.stdout.isatty():
        print(f"{taken.name}: {size(about.size)}, of it new {size(about.added)}.")
    if about.missing:
        raise DataboardError(
            f"The snapshot {taken.name} lacks the files of {len(about.missing)} submissions, which "
            f"are not in {settings.submissions_path}, first {about.missing[0]}."
        )


@backup_command(help=PLACES | {"json": "Print JSON."})
def backups(ctx, target="", store="", json=False):
    """List the snapshots, and why each is kept."""
    from dataclasses import asdict
    from datetime import UTC, datetime
    from json import dumps

    from databoard.backup import retention
    from databoard.backup.verify import hours

    if target:
        return run_there(target, "backups", store=store, json=json)
    with store_at(store) as (_, there):
        snapshots = there.snapshots()
    kept = retention.kept_by(snapshots)
    if json:
        print(dumps([asdict(each) | {"kept_by": kept[each.name]} for each in snapshots]))
        return
    now = datetime.now(UTC)
    rows = [
        (
            each.name,
            hours(now - each.at),
            size(each.manifest.size) if each.manifest else "?",
            size(each.manifest.added) if each.manifest else "?",
            "DAMAGED"
            if each.is_damaged
            else each.verification.at[:10]
            if each.verification
            else "-",
            ", ".join(kept[each.name]) or "no rule",
        )
        for each in reversed(snapshots)
    ]
    print_rows("", ("snapshot", "age", "size", "new", "verified", "kept by"), rows)


@backup_command(
    help=PLACES | {"snapshot": "Its name. Default: the newest.", "all": "All, the oldest first."}
)
def verify_backup(ctx, snapshot=LEFT_OUT, all=False, target="", store=""):
    """Check each byte, and restore it on trial."""
    import sys

    from databoard.backup.verify import verify
    from databoard.errors import DataboardError

    name = snapshot or "latest"
    if target:
        return run_there(target, "verify-backup", *([] if all else [name]), all=all, store=store)
    faults = []
    with store_at(store) as (settings, there), showing() as report:
        for each in there.snapshots() if all else [there.find(name)]:
            found = verify(settings, there, each, report)
            faults += [f"{each.name}: {fault}" for fault in found.faults]
            if sys.stdout.isatty() and not found.faults:
                print(f"{each.name} is good.")
    if faults:
        raise DataboardError(
            "Damaged:\n" + "\n".join(f"  {fault}" for fault in faults), "Take one: inv backup"
        )


@backup_command(help=PLACES | {"max_age": "Of the newest one: 26h, 2d."})
def check_backups(ctx, max_age="26h", target="", store=""):
    """Exit 1 with one line unless backups are fine."""
    from datetime import UTC, datetime

    from databoard.backup.verify import trouble
    from databoard.errors import DataboardError
    from databoard.names import as_age

    age = as_age("--max-age", max_age)
    if target:
        return run_there(target, "check-backups", max_age=max_age, store=store)
    with store_at(store) as (_, there):
        if told := trouble(there.snapshots(), age, datetime.now(UTC)):
            raise DataboardError(told)


@backup_command(help=PLACES | {"dry_run": "Show what would go."})
def prune_backups(ctx, dry_run=False, target="", store=""):
    """Remove snapshots that no rule keeps."""
    from databoard.backup import retention

    if target:
        return run_there(target, "prune-backups", dry_run=dry_run, store=store)
    with store_at(store) as (_, there):
        if dry_run:
            for each in retention.superfluous(there.snapshots()):
                print(f"{each.name} would go.")
            return
        with there.locked():
            for each in retention.superfluous(there.snapshots()):
                there.remove(each.name)
                print(f"{each.name} is gone.")


@backup_command(
    help=PLACES
    | {
        "snapshot": "Its name, or latest.",
        "yes": "Do it; without, what would be replaced is shown.",
        "really": "Production is restored with --really=production alone.",
    }
)
def restore(ctx, snapshot, yes=False, really="", target="", store=""):
    """Bring database and files back to a snapshot."""
    from invoke import Exit

    from databoard.backup import restore as restoring
    from databoard.errors import DataboardError

    options = {"really": really, "store": store}
    if target and yes:
        return restore_there(target, snapshot, options)
    if target:
        return run_there(target, "restore", snapshot, **options)
    with store_at(store) as (settings, there):
        found = there.find(snapshot)
        if yes:
            if really != settings.site and (really or settings.site == "production"):
                raise DataboardError(
                    f"The site that would be restored is {settings.site}.",
                    f"If you mean it: --really={settings.site}",
                )
            with showing() as report:
                kept = restoring.restore(settings, there, found, report)
            print(f"Restored {found.name}.")
            for what, where in (("database", kept.database), ("files", kept.files)):
                if where:
                    print(f"The {what} of before: {where}")
            return
        rows = [
            (table, "-" if here is None else str(here), str(then))
            for table, here, then in restoring.comparison(settings, restoring.usable(found))
            if here != then
        ]
    print(f"{found.name} would replace these rows:")
    print_rows("", ("table", "now", "then"), rows)
    raise Exit("Nothing was changed. What is there would be kept; to restore, add --yes.", code=1)


@contextmanager
def store_at(store):
    """The settings, and the store that is named."""
    from databoard import config
    from databoard.backup import place
    from databoard.backup.store import opened

    settings = config.load()
    where = place.read(store or settings.store)
    with opened(where, settings.site) as there:
        yield settings, there


def run_there(target, name, *words, variables=None, **options):
    """Run the command on the target's database host, with what it says and its exit code."""
    import sys

    from invoke import Exit

    from databoard.fleet import there
    from tasks.rollout import chosen_target

    def show(chunk):
        sys.stdout.buffer.write(chunk)
        sys.stdout.flush()

    line = [name, *words, *typed(options)]
    code = there.inv(chosen_target(target, ""), line, show, variables or {})
    if code:
        raise Exit(code=code)


def restore_there(target, snapshot, options):
    """Restore on a target, whose site is closed meanwhile."""
    from databoard.fleet import chores
    from databoard.fleet.restore import Restore
    from tasks.rollout import chosen_target, finish_chore, reporting

    chosen = chosen_target(target, "")
    words = ["restore", snapshot, "--yes", *typed(options)]
    with reporting() as reporter:
        steps = Restore(chosen, words).steps()
        outcome = chores.carry_out(chosen, "restore", steps, reporter, is_joint=True)
    finish_chore(chosen, outcome)


def typed(options):
    """Options as they are typed: those that say something."""
    words = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value:
            words.append(f"{flag}={value}")
    return words


@contextmanager
def showing():
    """What to tell the steps to: a line that moves on a terminal."""
    import sys

    if not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def size(count):
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def print_rows(title, names, rows):
    from tasks.report import print_table

    print_table(title, names, rows)
