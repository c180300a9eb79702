"""Work on each host for itself: a host that fails does not keep the others from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from databoard.errors import DataboardError
from databoard.fleet import shell
from databoard.fleet.connect import Unreachable, opened, side_by_side
from databoard.fleet.inventory import ROLES, Host, Target
from databoard.fleet.lock import BREAK, Locks, Owner
from databoard.fleet.logs import Lines
from databoard.fleet.machine import Machine, Output
from databoard.fleet.publish import Outcome
from databoard.fleet.release import wait_for_health
from databoard.fleet.runbook import Action, Executor, Failed, Reporter, Run, Step
from databoard.fleet.scripts import MAINTENANCE, RELOAD, RESTART
from databoard.names import as_list


def restart(target: Target) -> list[Step]:
    """Stop Apache and the worker, start them, and wait until they serve."""
    return [
        Step("restart", "Restart Apache and the worker", lambda host: Run(RESTART)),
        Step("health", "Wait until it answers", lambda host: healthy(target, host)),
    ]


def reload(target: Target) -> list[Step]:
    """Let Apache read its configuration again, without failing a request."""
    script = shell.assign({"restarts_worker": 0}) + RELOAD + "reload"
    return [
        Step("reload", "Reload Apache", lambda host: Run(script) if is_web(host) else None),
        Step("health", "Wait until it answers", lambda host: healthy(target, host)),
    ]


def maintenance(is_on: bool) -> list[Step]:
    """Answer every page but /healthz with 503, or no longer."""
    script = shell.assign({"is_on": int(is_on)}) + MAINTENANCE
    says = "Close the site" if is_on else "Open the site"
    return [Step("maintenance", says, lambda host: Run(script) if is_web(host) else None)]


def is_web(host: Host) -> bool:
    return "web" in host.roles


def healthy(target: Target, host: Host) -> Action:
    """Wait until the host serves the release that `current` names."""
    return Run(wait_for_health(target, host, ""))


def carry_out(
    target: Target,
    what: str,
    steps: list[Step],
    reporter: Reporter,
    accept_new: bool = False,
    is_joint: bool = False,
) -> Outcome:
    """Run the steps on all hosts that can be reached, under their locks. Raises Locked.

    `is_joint`: on all of them or on none; when one fails, what was done is undone.
    """
    owner = Owner.me(what)
    with opened(target, accept_new=accept_new) as machines:
        there, left_out = reachable(machines)
        if is_joint and left_out:
            raise DataboardError("\n".join(left_out.values()), "Nothing was changed.")
        max_fail = 0 if is_joint else len(target.hosts)
        executor = Executor(target, there, owner, reporter, max_fail=max_fail, left_out=left_out)
        outcome = Outcome(journeys=executor.journeys)
        if there:
            locks = Locks(there, owner, target.silence)
            try:
                executor.run(steps)
            except Failed as error:
                outcome.error = error
            finally:
                locks.release(is_done=False)
        return outcome


def reachable(
    machines: Mapping[Host, Machine | Unreachable],
) -> tuple[dict[Host, Machine], dict[Host, str]]:
    """The machines that can be worked on, and why the others cannot."""
    there: dict[Host, Machine] = {}
    failures: dict[Host, str] = {}
    for host, machine in machines.items():
        if isinstance(machine, Unreachable):
            failures[host] = str(machine)
        else:
            there[host] = machine
    return there, failures


def on_each(
    target: Target, work: Callable[[Machine], Output]
) -> tuple[dict[Host, str], dict[Host, str]]:
    """What `work` prints on each host, and why it failed where it did."""
    with opened(target) as machines:
        there, failures = reachable(machines)
        answers: dict[Host, str] = {}

        def on(host: Host) -> None:
            try:
                output = work(there[host])
            except DataboardError as error:
                failures[host] = str(error)
                return
            answers[host] = output.text
            if output.code:
                failures[host] = f"exit code {output.code}"

        if there:
            side_by_side(on, list(there))
    return answers, failures


def unlock(target: Target, only_look: bool) -> tuple[dict[Host, str], dict[Host, str]]:
    """Break the locks. Returns who held each, and why some cannot be broken."""

    def break_lock(machine: Machine) -> Output:
        values = {"home": machine.host.home, "only_look": int(only_look)}
        return machine.run(shell.assign(values) + BREAK)

    answers, failures = on_each(target, break_lock)
    told, verb = {}, "is" if only_look else "was"
    for host, text in answers.items():
        owner = Owner.told(text)
        told[host] = (
            f"{verb} locked by {owner.who} since {owner.since}: {owner.what}"
            if owner
            else "is not locked"
        )
    return told, failures


def named(target: Target, hosts: str) -> Target:
    """The target with the hosts that are named: `all`, a role, or names with commas."""
    if hosts == "all":
        return target
    names = as_list("HOSTS", hosts)
    of_roles = [host.name for name in names for host in target.with_role(name)]
    return target.only([*of_roles, *(name for name in names if name not in ROLES)])


def run_on(target: Target, words: Sequence[str], sink: Callable[[str], None]) -> dict[Host, str]:
    """Run a command, as root; each line of what it prints goes to `sink`, after its host's name.

    Returns where it failed. One word is a line for the shell, several are a command.
    """
    script = words[0] if len(words) == 1 else shell.words(*words)
    lock = Lock()

    def work(machine: Machine) -> Output:
        splitter = Lines()

        def take(chunk: bytes) -> None:
            with lock:
                for line in splitter.add(chunk):
                    sink(f"{machine.host.name} {line}")

        output = machine.run(script, sink=take)
        take(b"\n" * splitter.is_open)
        return output

    return on_each(target, work)[1]
