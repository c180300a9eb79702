"""Which snapshots are kept: by day, by week, by month, and the last good one always."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from databoard.backup.snapshot import Snapshot

RECENT = timedelta(days=1)  # before the newest: what was taken before a mistake is not replaced
DAILY, WEEKLY, MONTHLY = 7, 4, 12

_RULES: dict[str, tuple[int, Callable[[datetime], object]]] = {
    "daily": (DAILY, lambda at: at.date()),
    "weekly": (WEEKLY, lambda at: at.isocalendar()[:2]),
    "monthly": (MONTHLY, lambda at: (at.year, at.month)),
}


def kept_by(snapshots: Sequence[Snapshot]) -> dict[str, list[str]]:
    """The rules that keep each snapshot, by its name; none: it may go.

    A rule keeps the newest of each of the latest days (weeks, months) that have one, in UTC.
    Damaged ones are kept by no rule, unless there is no other.
    """
    newest_first = sorted(snapshots, key=lambda each: each.name, reverse=True)
    good = [each for each in newest_first if not each.is_damaged]
    kept: dict[str, list[str]] = {each.name: [] for each in snapshots}
    for each in good:
        if each.at > good[0].at - RECENT:
            kept[each.name].append("recent")
    for rule, (count, period_of) in _RULES.items():
        seen: list[object] = []
        for each in good:
            period = period_of(each.at)
            if period not in seen and len(seen) < count:
                seen.append(period)
                kept[each.name].append(rule)
    verified = [each for each in good if each.is_verified]
    for rule, which in (("newest", newest_first), ("last verified", verified)):
        if which and not kept[which[0].name]:
            kept[which[0].name].append(rule)
    # Links to what is damaged there may be in those of its family: no new ones shall be made.
    families = {_family(each) for each in snapshots if kept[each.name] and not each.is_damaged}
    for each in snapshots:
        if each.is_damaged and not kept[each.name] and _family(each) in families:
            kept[each.name].append("damaged")
    return kept


def _family(snapshot: Snapshot) -> str:
    return snapshot.manifest.family if snapshot.manifest else snapshot.name


def superfluous(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Those that no rule keeps, the oldest first."""
    kept = kept_by(snapshots)
    return [each for each in snapshots if not kept[each.name]]
