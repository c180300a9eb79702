"""Rolling out and rolling back: what `inv publish-software` and `inv rollback` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from databoard.errors import DataboardError, NotFound
from databoard.fleet.connect import Unreachable, opened, side_by_side
from databoard.fleet.inventory import Host, Target
from databoard.fleet.lock import Locks, Owner
from databoard.fleet.machine import Machine
from databoard.fleet.plan import Plan, place, plan, steps_of
from databoard.fleet.preflight import check_host, wanted_space
from databoard.fleet.release import Change
from databoard.fleet.render import File, rendered
from databoard.fleet.rollout import Rollout, migrating_host, new_id
from databoard.fleet.runbook import Executor, Failed, Journey, Reporter, run_hooks
from databoard.fleet.source import Source
from databoard.fleet.survey import Facts, Wish, survey
from databoard.fleet.wheels import download

if TYPE_CHECKING:
    from databoard.migration import Migration


@dataclass(frozen=True)
class Way:
    """How a change goes through the hosts."""

    serial: int | None = None  # so many at a time from the switch on; None: all
    max_fail: int = 0  # go on without so many
    downtime: bool = False  # the site may be closed for migrations


@dataclass
class Outcome:
    """What became of each host. `error` is None when all of them have the release."""

    release: str = ""
    journeys: dict[Host, Journey] = field(default_factory=dict)
    error: DataboardError | None = None


def publish_software(target: Target, source: Source, way: Way, reporter: Reporter) -> Outcome:
    """Roll a source out. What goes wrong once it has begun is in the outcome.

    Raises DataboardError: hosts that are not ready, or locked.
    """
    owner = Owner.me(f"publish-software {source.revision[:12]}")
    with opened(target) as machines:
        run_hooks(target, owner, "before-preflight")
        ready = Preflight(target, way, reporter, source).run(machines)
        run_hooks(target, owner, "after-preflight")
        change = new_rollout(target, source, ready, owner)
        if change.closes and not way.downtime:
            raise DataboardError(
                "The release that serves does not work after the migrations that are pending.",
                "Close the site while they are made, and open it with the new release: --downtime",
            )
        for host, facts in ready.facts.items():
            key = change.key(host)
            if key not in facts.environments and key not in change.wheels:
                assert facts.platform is not None
                reporter.begins("download", "Download the packages", 1)
                change.wheels[key] = download(source.lock, facts.platform)
                reporter.ends("download")
        return carry_out(change, ready, owner, way, reporter)


def plan_software(target: Target, source: Source, way: Way, reporter: Reporter) -> Plan:
    """What `publish_software` would do; nothing is changed. Raises as it does."""
    with opened(target) as machines:
        ready = Preflight(target, way, reporter, source, reads_files=True).run(machines)
        return plan(new_rollout(target, source, ready, Owner.me("plan")), ready.machines)


def check(target: Target, reporter: Reporter) -> None:
    """Raise Failed unless all hosts are ready for a rollout; no secret or template is missing."""
    with opened(target) as machines:
        for host in target.hosts:
            rendered(target, host)
        Preflight(target, Way(), reporter).run(machines)


def new_rollout(target: Target, source: Source, ready: Ready, owner: Owner) -> Rollout:
    """The runbook for hosts that are ready."""
    on_database = ready.facts.get(migrating_host(target))
    revision = (on_database.database or {}).get("database") if on_database else None
    pending = source.migrations(after=revision or "")  # all of them when it is not known
    change = Rollout(
        target=target,
        facts=ready.facts,
        id=new_id(source.revision, source.is_dirty),
        source=source,
        files=ready.files,
        wheels={},
        pending=pending,
        breaking=breaking_migrations(pending, on_database),
        by=owner.who,
    )
    serving = {facts.stable for facts in ready.facts.values()}
    if len(serving) == 1 and all(map(change.is_unchanged, ready.facts)):
        return replace(change, id=serving.pop())  # the same again: whatever has drifted is mended
    return change


def rollback(target: Target, to: str, way: Way, reporter: Reporter) -> Outcome:
    """Go back to the release before the serving one, or to the one that is named.

    Raises NotFound when a host does not have it.
    """
    owner = Owner.me(f"rollback {to}".strip())
    with opened(target) as machines:
        ready = Preflight(target, way, reporter).run(machines)
        return carry_out(change_to(to, target, ready.facts), ready, owner, way, reporter)


def plan_rollback(target: Target, to: str, way: Way, reporter: Reporter) -> Plan:
    """What `rollback` would do; nothing is changed. Raises as it does."""
    with opened(target) as machines:
        ready = Preflight(target, way, reporter).run(machines)
        change = change_to(to, target, ready.facts)
        steps = [*change.steps(), *change.last_steps()]
        return Plan(change.id, steps_of(steps, list(ready.machines)))


def change_to(release: str, target: Target, facts_of: Mapping[Host, Facts]) -> Change:
    """The runbook that goes to a release that all hosts have; empty: to the one before."""
    wanted = release or release_before(facts_of)
    for host, facts in facts_of.items():
        if not facts.release(wanted):
            there = ", ".join(str(each["id"]) for each in facts.releases) or "none"
            raise NotFound(
                f"{host.name} has no release {wanted}.", f"Choose one of those there: {there}."
            )
    return Change(target, facts_of, wanted)


def release_before(facts: Mapping[Host, Facts]) -> str:
    """The release to go back to: of a rollout that was cut off the one it began from, else the
    newest that is older than the one that serves. Raises NotFound."""
    cut_off = {each.before for each in facts.values() if each.before}
    if cut_off:
        return max(cut_off)
    serving = max((each.current for each in facts.values()), default="")
    shared = [{str(release["id"]) for release in each.releases} for each in facts.values()]
    older = [name for name in set.intersection(*shared) if name < serving]
    if not older:
        raise NotFound(
            f"There is no release before {serving or 'the first one'}.", "See: inv releases"
        )
    return max(older)


def breaking_migrations(pending: Sequence[Migration], facts: Facts | None) -> list[Migration]:
    """Those after which the release that serves does not work."""
    code = (facts.database or {}).get("code") if facts and facts.stable else None
    return [each for each in pending if code and each.oldest_code > code]


@dataclass
class Ready:
    """Hosts that can be worked on, and what there is on them."""

    machines: dict[Host, Machine]
    facts: dict[Host, Facts]
    files: dict[Host, list[File]]  # what a release would render for them
    left_out: dict[Host, str]


@dataclass(frozen=True)
class Preflight:
    """Is every host there and ready? Nothing is changed by finding out."""

    target: Target
    way: Way
    reporter: Reporter
    source: Source | None = None  # what is to be rolled out, if anything
    reads_files: bool = False

    def run(self, machines: Mapping[Host, Machine | Unreachable]) -> Ready:
        """Raises Failed when more hosts are not ready than may be; InvalidValue when a secret or
        a template is not there."""
        files = {host: rendered(self.target, host) if self.source else [] for host in machines}
        self.reporter.begins("preflight", "Look at the hosts", len(machines))

        def look(host: Host) -> Facts | str:
            machine = machines[host]
            if isinstance(machine, Unreachable):
                return str(machine)
            wants: list[Wish] = ["test"]
            if self.source and host == migrating_host(self.target):
                wants.append("database")
            paths = [place(host, file) for file in files[host]] if self.reads_files else []
            try:
                facts = survey(self.target, machine, wants, paths)
            except DataboardError as error:
                return error.message
            self.reporter.host_done("preflight", host)
            return check_host(self.target, host, facts, wanted_space(self.source)) or facts

        hosts = list(machines)
        ready = Ready({}, {}, files, {})
        for host, found in zip(hosts, side_by_side(look, hosts), strict=True):
            machine = machines[host]
            if isinstance(found, str):
                ready.left_out[host] = found
            elif not isinstance(machine, Unreachable):
                ready.machines[host], ready.facts[host] = machine, found
        self.reporter.ends("preflight")
        if len(ready.left_out) > self.way.max_fail or not ready.machines:
            failures = {host.name: reason for host, reason in ready.left_out.items()}
            raise Failed("preflight", failures, "Nothing was changed on any host.")
        return ready


def carry_out(change: Change, ready: Ready, owner: Owner, way: Way, reporter: Reporter) -> Outcome:
    """Take the locks, and change the hosts."""
    executor = Executor(
        change.target, ready.machines, owner, reporter, way.serial, way.max_fail, ready.left_out
    )
    outcome = Outcome(change.id, executor.journeys)
    run_hooks(change.target, owner, "before-lock")
    locks = Locks(ready.machines, owner, change.target.silence, is_rollout=True)
    is_done = False
    try:
        run_hooks(change.target, owner, "after-lock")
        check_same(change.facts, locks.before)
        executor.run(change.steps())
        is_done = True
        executor.commit()
        executor.run(change.last_steps())
        run_hooks(change.target, owner, "before-unlock")
    except DataboardError as error:
        outcome.error = error
    except BaseException:
        locks.release(is_done=False)  # the hosts remember that it was cut off
        raise
    ended = is_done or isinstance(outcome.error, Failed)
    unfinished = [
        host
        for host in ready.machines
        if executor.journeys[host].is_stuck
        or (not ended and locks.before[host] != change.facts[host].current)
    ]
    locks.release(is_done=False, hosts=unfinished)
    locks.release(is_done=True)
    if outcome.error is None:
        run_hooks(change.target, owner, "after-unlock")
    return outcome


def check_same(facts: Mapping[Host, Facts], before: Mapping[Host, str]) -> None:
    """Raise DataboardError when somebody has changed a host since it was looked at."""
    for host, release in before.items():
        if release != facts[host].stable:
            raise DataboardError(
                f"Somebody rolled out to {host.name} just now.", "Look at it: inv status"
            )
