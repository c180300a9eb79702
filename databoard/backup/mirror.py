"""Getting a snapshot of another site into a store of this machine: whole, and checked."""

from __future__ import annotations

from databoard.backup.snapshot import Snapshot
from databoard.backup.store import Store
from databoard.backup.take import Report
from databoard.backup.verify import wrong_sums
from databoard.errors import DataboardError


def choose(source: Store, name: str = "") -> Snapshot:
    """The snapshot of that name; without one the newest that was verified, or else the newest.

    Raises NotFound, DataboardError: it is damaged.
    """
    if name:
        found = source.find(name)
    else:
        verified = [each for each in source.snapshots() if each.is_verified]
        found = verified[-1] if verified else source.find("latest")
    if found.is_damaged:
        raise DataboardError(f"The snapshot {found.name} is damaged.", "Choose another one.")
    return found


def get(
    source: Store, destination: Store, snapshot: Snapshot, report: Report = lambda step: None
) -> bool:
    """Copy a snapshot, unless it is there; what was copied before becomes hard links.

    Returns whether it was copied. `destination` is on this machine, and of the same site. Raises
    DataboardError: what has come is not what its checksums say.
    """
    here, manifest = destination.here, snapshot.manifest
    assert here is not None and manifest is not None
    with source.locked(shared=True), destination.locked():
        there = destination.snapshots()
        if snapshot.name in (each.name for each in there):
            return False
        partial = destination.begin()
        try:
            report(f"Get {snapshot.name}")
            base = [f"--link-dest={here / each.name}" for each in there[-1:] if not each.is_damaged]
            source.pull(snapshot.name, here / partial, base)
            report("Compare the checksums")
            if wrong := wrong_sums(destination, partial, manifest):
                raise DataboardError(
                    f"{snapshot.name} did not come whole: {wrong[0]}.",
                    f"Verify it where it is: inv verify-backup {snapshot.name}",
                )
            destination.commit(partial, snapshot.name)
        except BaseException:
            destination.give_up(partial)
            raise
        if snapshot.verification:
            destination.mark(snapshot.name, snapshot.verification)
    return True
