"""Commands of ops: problems on the servers."""

from tasks.kits import PACKAGES, needed
from tasks.rollout import ON_HOSTS, chosen_target, finish_chore, ops_command, reporting


@ops_command(
    help=ON_HOSTS
    | {
        "problem": "Name of the kit, a folder in ramp-kits here or one shipped with Databoard.",
        "force": "Replace the data under events of the problem.",
    }
    | PACKAGES
)
def publish_problem(
    ctx, problem, target="", hosts="", force=False, dry_run=False, requirements=None
):
    """Send a kit and its data to a target."""
    from databoard import config
    from databoard.fleet import problem as problems

    chosen, settings = chosen_target(target, hosts), config.load()
    wanted = needed(problem, requirements)
    if dry_run:
        with reporting() as reporter:
            plan = problems.plan_problem(chosen, problem, settings, force, reporter, wanted)
        return print_plan(problem, plan)
    with reporting() as reporter:
        outcome = problems.publish_problem(chosen, problem, settings, force, reporter, wanted)
    for note in outcome.notes:
        print(f"{problem}: {note}")
    finish_chore(chosen, outcome)
    print(f"{chosen.name} has {problem} in version {outcome.release}.")
    if outcome.next_steps:
        print("Its events have folds and scores of the old data still. Renew them with:")
        print("  " + "\n  ".join(outcome.next_steps))


def print_plan(problem, plan):
    """Steps, and what rsync would send."""
    from tasks.report import grouped, print_table

    rows = [(name, says, ", ".join(hosts)) for name, says, hosts in plan.steps]
    print_table(f"would publish {problem}", ("step", "what it does", "hosts"), rows)
    for note in plan.notes:
        print(f"\n{problem}: {note}")
    for text, hosts in grouped(plan.sent).items():
        print(f"\nFiles that rsync would send, {', '.join(hosts)}:")
        print(text or "  nothing differs")
