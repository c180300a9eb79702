"""Commands of ops: rolling the software and the problems out."""

from functools import partial

from tasks.command import command

ops_command = partial(command, auto_shortflags=False)  # -h is --help, not --hosts

TARGET = "An inventory: local, test, production. Default: DATABOARD_TARGET."
HOSTS = "Only these hosts, with commas between them."
DRY_RUN = "Show what would be done, and change nothing."
ON_HOSTS = {"target": TARGET, "hosts": HOSTS, "dry_run": DRY_RUN}
IN_BATCHES = {
    "serial": "From the switch on, so many hosts at a time.",
    "max_fail": "Go on when at most so many hosts fail.",
}


@ops_command(
    help=ON_HOSTS
    | IN_BATCHES
    | {
        "revision": "What to roll out, instead of HEAD.",
        "dirty": "Roll out the files as they are, committed or not.",
        "downtime": "Close the site for migrations that the serving release cannot bear.",
    }
)
def publish_software(
    ctx,
    target="",
    hosts="",
    revision="",
    dirty=False,
    serial="",
    max_fail="0",
    downtime=False,
    dry_run=False,
):
    """Roll the software out to a target."""
    from databoard.fleet import publish, source

    chosen, way = chosen_target(target, hosts), chosen_way(serial, max_fail, downtime)
    exported = source.export(revision, dirty)
    do = publish.plan_software if dry_run else publish.publish_software
    with reporting() as reporter:
        result = do(chosen, exported, way, reporter)
    finish(chosen, result)


@ops_command(help=ON_HOSTS | IN_BATCHES | {"to": "The release to go to, instead of the last one."})
def rollback(ctx, target="", hosts="", to="", serial="", max_fail="0", dry_run=False):
    """Go back to the release before this one."""
    from databoard.fleet import publish

    chosen, way = chosen_target(target, hosts), chosen_way(serial, max_fail)
    do = publish.plan_rollback if dry_run else publish.rollback
    with reporting() as reporter:
        result = do(chosen, to, way, reporter)
    finish(chosen, result)


@ops_command(help=ON_HOSTS)
def check(ctx, target="", hosts="", dry_run=False):
    """See whether hosts are ready for a rollout."""
    from databoard.fleet import publish

    chosen = chosen_target(target, hosts)
    with reporting() as reporter:
        publish.check(chosen, reporter)
    names = ", ".join(host.name for host in chosen.hosts)
    print(f"Ready for a rollout: {names}.")


@ops_command(help={"target": TARGET, "hosts": HOSTS, "json": "Print JSON."})
def releases(ctx, target="", hosts="", json=False):
    """List releases, and what was done lately."""
    from databoard.fleet import status
    from tasks.report import print_releases, print_releases_json

    chosen = chosen_target(target, hosts)
    found = status.look(chosen, wants=["audit"])
    (print_releases_json if json else print_releases)(found)
    refuse({each.host: each.problems[0] for each in found if each.problems})


def chosen_target(name, hosts):
    """The inventory that was named, with the hosts that were named."""
    from databoard.fleet import inventory
    from databoard.names import as_list

    target = inventory.load(inventory.chosen(name or None))
    return target.only(as_list("--hosts", hosts)) if hosts else target


def chosen_way(serial, max_fail, downtime=False):
    from databoard.fleet.publish import Way
    from databoard.names import as_count

    return Way(
        as_count("--serial", serial) if serial else None,
        as_count("--max-fail", max_fail, least=0),
        downtime,
    )


def finish(target, outcome):
    """Print a plan, or the table at the end; raises what failed."""
    from databoard.errors import DataboardError
    from databoard.fleet.plan import Plan
    from tasks.report import print_plan

    if isinstance(outcome, Plan):
        return print_plan(outcome)
    print_journeys(outcome.journeys)
    if outcome.error is not None:
        raise outcome.error
    failed = [host.name for host, journey in outcome.journeys.items() if journey.failure]
    if failed:
        raise DataboardError(
            f"{', '.join(failed)} stayed behind.", f"Look at it: inv status --target={target.name}"
        )
    print(f"{target.name} serves {outcome.release}.")


def finish_chore(target, outcome):
    """The table at the end; raises what failed."""
    from databoard.errors import DataboardError

    print_journeys(outcome.journeys)
    if outcome.error is not None:
        raise outcome.error
    failed = [
        f"{host.name}: {journey.failure}"
        for host, journey in outcome.journeys.items()
        if journey.failure
    ]
    if failed:
        raise DataboardError("\n".join(failed))


def print_steps(target, steps):
    """What would be done, and on which hosts."""
    from databoard.fleet.plan import steps_of
    from tasks.report import print_table

    rows = [(name, says, ", ".join(on)) for name, says, on in steps_of(steps, target.hosts)]
    print_table("", ("step", "what it does", "hosts"), rows)


def refuse(failures):
    """Raise what failed on hosts, if anything did."""
    from databoard.errors import DataboardError

    if failures:
        reasons = [f"{host.name}: {reason}" for host, reason in failures.items()]
        raise DataboardError("\n".join(reasons))


def reporting():
    from tasks import report

    return report.reporting()


def print_journeys(journeys):
    from tasks import report

    report.print_journeys(journeys)
