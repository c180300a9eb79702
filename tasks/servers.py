"""Commands of ops: the servers of a target."""

from tasks.rollout import (
    HOSTS,
    ON_HOSTS,
    TARGET,
    chosen_target,
    finish_chore,
    ops_command,
    print_steps,
    refuse,
    reporting,
)

LOOKING = {"target": TARGET, "hosts": HOSTS}


@ops_command(help=LOOKING | {"json": "Print JSON."})
def status(ctx, target="", hosts="", json=False):
    """Show how the hosts are; exit 1 if wrong."""
    from databoard.errors import DataboardError
    from databoard.fleet import status as statuses
    from tasks.report import print_status, print_status_json

    chosen = chosen_target(target, hosts)
    found = statuses.status(chosen)
    (print_status_json if json else print_status)(chosen, found)
    wrong = [each.host.name for each in found if each.problems]
    if wrong:
        raise DataboardError(f"Something is wrong on {', '.join(wrong)}.")


@ops_command(help=ON_HOSTS)
def restart(ctx, target="", hosts="", dry_run=False):
    """Restart Apache and the worker."""
    from databoard.fleet import chores

    chosen = chosen_target(target, hosts)
    do_chore(chosen, "restart", chores.restart(chosen), dry_run)


@ops_command(help=ON_HOSTS)
def reload(ctx, target="", hosts="", dry_run=False):
    """Reload Apache without failing a request."""
    from databoard.fleet import chores

    chosen = chosen_target(target, hosts)
    do_chore(chosen, "reload", chores.reload(chosen), dry_run)


@ops_command(help=ON_HOSTS | {"state": "on or off."})
def maintenance(ctx, state, target="", hosts="", dry_run=False):
    """Close the site, or open it again."""
    from databoard.errors import InvalidValue
    from databoard.fleet import chores
    from databoard.names import printable

    if state not in ("on", "off"):
        raise InvalidValue(f"{printable(state)} is no state of maintenance.", "Say on or off.")
    chosen = chosen_target(target, hosts)
    do_chore(chosen, f"maintenance {state}", chores.maintenance(state == "on"), dry_run)


@ops_command(
    help=LOOKING | {"follow": "Go on with what is written, until stopped.", "lines": "Of each log."}
)
def logs(ctx, target="", hosts="", follow=False, lines="100"):
    """Show the logs of all hosts."""
    from databoard.fleet import logs as all_logs
    from databoard.names import as_count

    chosen, count = chosen_target(target, hosts), as_count("--lines", lines, least=0)
    if follow:
        failures = all_logs.follow(chosen, count, lambda line: print(line, flush=True))
    else:
        found, failures = all_logs.read(chosen, count)
        print(*found, sep="\n", end="\n" if found else "")
    refuse(failures)


@ops_command(help=ON_HOSTS)
def unlock(ctx, target="", hosts="", dry_run=False):
    """Break the locks of a rollout that hangs."""
    from databoard.fleet import chores

    chosen = chosen_target(target, hosts)
    answers, failures = chores.unlock(chosen, dry_run)
    for host, answer in answers.items():
        print(f"{host.name} {answer}")
    refuse(failures)


@ops_command(
    help=ON_HOSTS
    | {
        "accept_new": "Trust the host keys that are seen for the first time, and remember them.",
        "login": "Who logs in until the inventory's user is there, as root on a bare host.",
    }
)
def set_up_host(ctx, target="", hosts="", login="", accept_new=False, dry_run=False):
    """Make bare Debian 12 hosts ready for rollouts."""
    from databoard.fleet import chores, setup

    chosen = chosen_target(target, hosts)
    first, runbook = setup.set_up(chosen, login)
    if dry_run:
        return print_steps(first, runbook.steps())
    with reporting() as reporter:
        outcome = chores.carry_out(first, "set-up-host", runbook.steps(), reporter, accept_new)
    finish_chore(first, outcome)
    refuse(setup.check_login(chosen))
    print(f"Ready: inv publish-software --target={chosen.name}")


@ops_command(help=ON_HOSTS)
def install_cron(ctx, target="", hosts="", dry_run=False):
    """Install the cron jobs of backups."""
    from databoard.errors import DataboardError
    from databoard.fleet import cron

    chosen = chosen_target(target, hosts)
    if chosen.connection == "local":
        raise DataboardError(
            "The local target has no cron jobs.", "Run what you need yourself: inv backup"
        )
    if not dry_run:
        return do_chore(chosen, "install-cron", cron.steps(chosen), dry_run)
    found, failures = cron.diffs(chosen)
    for host, diff in found.items():
        print(f"{host.name}:\n{diff}" if diff else f"{host.name}: nothing would change")
    refuse(failures)


@ops_command(
    help={
        "hosts": "Names of hosts or a role, with commas between them, or all.",
        "target": TARGET,
        "dry_run": ON_HOSTS["dry_run"],
    }
)
def run_on(ctx, hosts, target="", dry_run=False):
    """Run a command on hosts, after --, as root."""
    import sys

    from databoard.errors import InvalidValue
    from databoard.fleet import chores

    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if not words:
        raise InvalidValue("No command is named.", "inv run-on web1,web2 -- uptime")
    chosen = chores.named(chosen_target(target, ""), hosts)
    if dry_run:
        print(*(f"{host.name}: {' '.join(words)}" for host in chosen.hosts), sep="\n")
        return
    refuse(chores.run_on(chosen, words, lambda line: print(line, flush=True)))


def do_chore(target, what, steps, dry_run):
    from databoard.fleet import chores

    if dry_run:
        return print_steps(target, steps)
    with reporting() as reporter:
        outcome = chores.carry_out(target, what, steps, reporter)
    finish_chore(target, outcome)
