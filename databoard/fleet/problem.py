"""Publishing a problem: its kit and its data on all hosts, changed by one rename on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from databoard import kits
from databoard.config import Settings
from databoard.errors import DataboardError
from databoard.fleet import problem_scripts as scripts
from databoard.fleet import shell
from databoard.fleet.connect import opened, side_by_side
from databoard.fleet.inventory import Host, Target
from databoard.fleet.lock import Locks, Owner
from databoard.fleet.machine import Machine
from databoard.fleet.plan import Plan, steps_of
from databoard.fleet.preflight import SPARE
from databoard.fleet.problem_survey import Seen, events_of, script, see
from databoard.fleet.publish import Outcome, Preflight, Ready, Way
from databoard.fleet.rollout import migrating_host
from databoard.fleet.runbook import Action, Executor, Failed, Push, Reporter, Run, Step, run_hooks
from databoard.kitdata import ways
from databoard.kitpack import Pack, packed
from databoard.kittree import PRIVATE


@dataclass
class Published(Outcome):
    """What became of each host; `release` is the version of the problem."""

    notes: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()  # commands for events that have other data now


@dataclass
class ProblemPlan(Plan):
    """What would be done."""

    notes: tuple[str, ...] = ()


def publish_problem(
    target: Target,
    name: str,
    settings: Settings,
    force: bool,
    reporter: Reporter,
    requirements: str | None = None,
) -> Published:
    """Send a kit and its data to all hosts or to none. What goes wrong once it has begun is in
    the outcome. The kit is loaded in the environment of `requirements`; there, if it is there.

    Raises DataboardError: the kit is not good, hosts are not ready or locked, or events would get
    other data and `force` is not given.
    """
    kit = find_kit(name, settings)
    owner = Owner.me(f"publish-problem {name}")
    with packing(name, kit, settings, reporter, requirements) as pack, opened(target) as machines:
        run_hooks(target, owner, "before-preflight")
        ready = Preflight(target, Way(), reporter).run(machines)
        change = new_change(target, pack, ready, owner.id, force)
        run_hooks(target, owner, "after-preflight")
        outcome = carry_out(change, ready.machines, owner, reporter)
    outcome.notes = pack.notes
    if outcome.error is None:
        on = migrating_host(target)
        run = f"inv run-on {on.name} --target={target.name} -- {on.home}/bin/inv"
        outcome.next_steps = tuple(
            f"{run} {command} --force"
            for event in change.disturbed
            for command in (f"add-event {name} {event}", f"train-test {event}")
        )
    return outcome


def plan_problem(
    target: Target,
    name: str,
    settings: Settings,
    force: bool,
    reporter: Reporter,
    requirements: str | None = None,
) -> ProblemPlan:
    """What `publish_problem` would do; nothing is changed, here or there. Raises as it does."""
    kit = find_kit(name, settings)
    id_ = Owner.me("plan").id
    if to_run := ways(kit, settings.data_path):
        unknown = Change(
            target, Pack(name, kit, "", 0), {host: Seen() for host in target.hosts}, id_
        )
        note = f"its data would be made first, with {' and '.join(to_run)}; nothing was checked yet"
        return ProblemPlan(id_, steps_of(unknown.all_steps(), target.hosts), notes=(note,))
    with packing(name, kit, settings, reporter, requirements) as pack, opened(target) as machines:
        ready = Preflight(target, Way(), reporter).run(machines)
        change = new_change(target, pack, ready, id_, force)
        hosts = list(ready.machines)
        result = ProblemPlan(id_, steps_of(change.all_steps(), hosts), notes=pack.notes)
        sent = side_by_side(lambda host: change.itemised(host, ready.machines[host]), hosts)
        result.sent = dict(zip(hosts, sent, strict=True))
        return result


def find_kit(name: str, settings: Settings) -> Path:
    """The kit on this machine. Raises InvalidValue, KitError."""
    return kits.find_kit(name, settings.kits_path)


@contextmanager
def packing(
    name: str, kit: Path, settings: Settings, reporter: Reporter, requirements: str | None
) -> Iterator[Pack]:
    """The packed kit, meanwhile."""
    reporter.begins("pack", "Check the kit, and pack it", 1)
    with packed(name, kit, settings, requirements) as pack:
        reporter.ends("pack")
        yield pack


@dataclass(frozen=True)
class Change:
    """The change to the version `id` of a problem. Each method gives the action of a step on one
    host, or None."""

    target: Target
    pack: Pack
    seen: Mapping[Host, Seen]
    id: str
    disturbed: Sequence[str] = ()  # the events that get other data

    def steps(self) -> list[Step]:
        """Up to the switch."""
        return [
            Step("upload", "Send the kit and its data", self.upload, self.remove),
            Step("prepare", "Set who may read what", self.prepare),
            Step("try", "Load the kit as the worker will", self.try_out),
            Step("switch", "Switch to the new kit and data", self.switch, self.back),
        ]

    def last_steps(self) -> list[Step]:
        """What is done once the change stays."""
        return [Step("prune", "Remove old versions", self.prune)]

    def all_steps(self) -> list[Step]:
        return [*self.steps(), *self.last_steps()]

    def upload(self, host: Host) -> Action | None:
        place, seen = self.place(host), self.seen[host]
        before = f"before-{self.id}" if seen.is_foreign else seen.version
        # What is the same becomes a hard link, and nothing is ever written into one.
        options = (f"--link-dest={place}/{before}",) if before else ()
        script = self.script(host, scripts.UPLOAD)
        return Push(self.pack.folder, f"{place}/{self.id}.partial", options, script)

    def remove(self, host: Host) -> Action | None:
        return Run(self.script(host, scripts.REMOVE))

    def prepare(self, host: Host) -> Action | None:
        private = " ".join(f"kit/{path}" for path in PRIVATE)
        return Run(shell.assign({"private": private}) + self.script(host, scripts.PREPARE))

    def try_out(self, host: Host) -> Action | None:
        if "worker" not in host.roles:
            return None
        code = shell.assign({"code": scripts.LOAD, "requirements": self.pack.requirements or ""})
        return Run(code + self.script(host, scripts.AS_WORKER + scripts.TRY))

    def switch(self, host: Host) -> Action | None:
        return Run(self.script(host, scripts.SWITCH))

    def back(self, host: Host) -> Action | None:
        return Run(self.script(host, scripts.BACK))

    def prune(self, host: Host) -> Action | None:
        return Run(self.script(host, scripts.PRUNE))

    def itemised(self, host: Host, machine: Machine) -> list[str]:
        """What rsync would send, against the version that is served."""
        seen = self.seen[host]
        if seen.is_foreign or not seen.version:
            files = [path for path in self.pack.folder.rglob("*") if path.is_file()]
            instead = ", in place of what was put there by hand" if seen.is_foreign else ""
            return [f"everything: {len(files)} files{instead}"]
        options = ("--delete", "--dry-run", "--itemize-changes")
        there = f"{self.place(host)}/{seen.version}"
        output = machine.push(self.pack.folder, there, options)
        if output.code:
            raise DataboardError(f"rsync to {host.name} failed: {output.last}.")
        lines = output.text.splitlines()
        return [line for line in lines if line.strip() and not line.startswith(".d")]

    def place(self, host: Host) -> str:
        """Where the problem's versions are."""
        return f"{host.home}/shared/problems/{self.pack.name}"

    def script(self, host: Host, text: str) -> str:
        was = self.seen[host].version
        return script(self.target, {"name": self.pack.name, "id": self.id, "was": was}, text)


def new_change(target: Target, pack: Pack, ready: Ready, id_: str, force: bool) -> Change:
    """The runbook for hosts that are ready.

    Raises DataboardError: events would get other data and `force` is not given; Failed: a host's
    disk is too full.
    """
    machines = ready.machines
    events = events_of(target, machines[migrating_host(target)], pack.name)
    looked = side_by_side(
        lambda machine: see(target, machine, pack.name, bool(events)), list(machines.values())
    )
    seen = dict(zip(machines, looked, strict=True))
    full = {
        host.name: f"{ready.facts[host].disk_free >> 20} MB are free, and {wanted >> 20} MB needed"
        for host in machines
        if ready.facts[host].disk_free < (wanted := SPARE + pack.size * (not seen[host].version))
    }
    if full:
        raise Failed("preflight", full, "Nothing was changed on any host.")
    others = [
        host.name
        for host in machines
        if (seen[host].version or seen[host].is_foreign) and seen[host].digest != pack.digest
    ]
    if events and others and not force:
        raise DataboardError(
            f"{', '.join(events)} {'is an event' if len(events) == 1 else 'are events'} of "
            f"{pack.name}, whose problem.py or data here is not that on {', '.join(others)}.",
            "Replace it with --force; what was scored has to be trained again then.",
        )
    return Change(target, pack, seen, id_, events if others else ())


def carry_out(
    change: Change, machines: Mapping[Host, Machine], owner: Owner, reporter: Reporter
) -> Published:
    """Take the locks, and change the hosts."""
    executor = Executor(change.target, machines, owner, reporter)
    outcome = Published(change.id, executor.journeys)
    run_hooks(change.target, owner, "before-lock")
    locks = Locks(machines, owner, change.target.silence)
    try:
        run_hooks(change.target, owner, "after-lock")
        executor.run(change.steps())
        executor.commit()
        executor.run(change.last_steps())
        run_hooks(change.target, owner, "before-unlock")
    except DataboardError as error:
        outcome.error = error
    finally:
        locks.release(is_done=False)
    if outcome.error is None:
        run_hooks(change.target, owner, "after-unlock")
    return outcome
