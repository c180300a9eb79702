"""What needs no database: which snapshots are kept, the form of SHA256SUMS, places, ages."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databoard.backup import checksums, place, retention
from databoard.backup.checksums import Damaged, Watch, known, lines, records
from databoard.backup.place import Place
from databoard.backup.snapshot import (
    FORM,
    Manifest,
    Snapshot,
    Verification,
    next_name,
    read_manifest,
    read_verification,
    time_of,
)
from databoard.backup.take import base_of
from databoard.backup.verify import trouble
from databoard.errors import DataboardError
from databoard.names import as_age

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)


def manifest(family: str = "", missing: tuple[str, ...] = ()) -> Manifest:
    return Manifest(
        site="local",
        taken_at="2026-11-25T03:00:00Z",
        seconds=1.0,
        release="r",
        revision="0002",
        kind="sqlite",
        database="databoard.db",
        server="",
        rows={"submission": 3},
        n_files=1,
        size=2,
        added=1,
        sums="0" * 64,
        family=family,
        missing=missing,
    )


def snapshot(at: datetime, state: str = "", family: str = "") -> Snapshot:
    name = at.strftime(FORM)
    found = {
        "": None,
        "verified": Verification("2026-11-25T03:00:00Z"),
        "damaged": Verification("2026-11-25T03:00:00Z", ("x has changed",)),
    }
    if state == "unreadable":
        return Snapshot(name, None)
    return Snapshot(name, manifest(family or name), found[state])


def day(number: float, state: str = "", family: str = "") -> Snapshot:
    """One that is so many days old."""
    return snapshot(NOW - timedelta(days=number), state, family)


MANY = st.lists(
    st.builds(
        snapshot,
        st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)).map(
            lambda at: at.replace(microsecond=0, tzinfo=UTC)
        ),
        st.sampled_from(["", "", "verified", "damaged", "unreadable"]),
    ),
    unique_by=lambda each: each.name,
).map(lambda many: sorted(many, key=lambda each: each.name))


def test_seven_days_four_weeks_twelve_months() -> None:
    many = [day(number) for number in range(800, -1, -1)]
    kept = retention.kept_by(many)
    ages = {
        rule: [(NOW - each.at).days for each in many if rule in kept[each.name]]
        for rule in ("recent", "daily", "weekly", "monthly")
    }
    assert ages["recent"] == [0]
    assert ages["daily"] == [6, 5, 4, 3, 2, 1, 0]
    assert ages["weekly"] == [17, 10, 3, 0]  # Sundays; today is a Wednesday
    assert len(ages["monthly"]) == 12 and ages["monthly"][-2:] == [25, 0]
    assert len(many) - len(retention.superfluous(many)) == 7 + 2 + 11


def test_all_of_the_last_day_stay() -> None:
    many = [snapshot(NOW - timedelta(hours=hour)) for hour in range(40, -1, -1)]
    kept = [each for each in many if each not in retention.superfluous(many)]
    assert [(NOW - each.at) // timedelta(hours=1) for each in kept] == [28, *range(23, -1, -1)]


@given(MANY)
def test_the_last_good_one_is_never_removed(many: list[Snapshot]) -> None:
    gone = retention.superfluous(many)
    left = [each for each in many if each not in gone]
    for is_so in (
        lambda each: not each.is_damaged,
        lambda each: each.is_verified,
        lambda each: True,
    ):
        assert [each for each in many if is_so(each)][-1:] == [
            each for each in left if is_so(each)
        ][-1:] or not any(is_so(each) and not each.is_damaged for each in many)
    assert bool(left) == bool(many)
    assert retention.superfluous(left) == []  # again changes nothing


def test_no_link_is_made_into_a_damaged_family() -> None:
    first, second = day(2), day(1, family=day(2).name)
    assert base_of([first, second]) == second
    assert base_of([day(2, "damaged"), second]) is None
    assert base_of([first, day(1, "damaged", first.name)]) is None
    assert base_of([day(2, "damaged"), second, day(0)]) == day(0)
    assert base_of([first, day(1, "unreadable")]) is None
    assert base_of([]) is None


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
)
def test_names_go_on_whatever_the_clock_says(now: datetime, newest: datetime | None) -> None:
    before = newest.strftime(FORM) if newest else None
    name = next_name(now, before)
    assert before is None or name > before
    assert time_of(name).strftime(FORM) == name


# -- what is written is read


PATHS = st.binary(min_size=1, max_size=12).filter(lambda path: b"\0" not in path)
SUMS = st.dictionaries(PATHS, st.binary(min_size=32, max_size=32).map(bytes.hex)).map(
    lambda sums: sorted(sums.items())
)


@given(SUMS)
def test_checksums_are_read_as_they_were_written(sums: list[checksums.Sum]) -> None:
    text = b"".join(lines(sums))
    assert list(checksums.read(io.BytesIO(text))) == sums
    assert text.count(b"\n") == len(sums)


@given(SUMS, st.data())
def test_any_change_breaks_the_seal(sums: list[checksums.Sum], data: st.DataObject) -> None:
    text = b"".join(lines(sums))
    if not text:
        return
    at = data.draw(st.integers(0, len(text) - 1))
    other = bytearray(text)
    other[at] ^= 1 << data.draw(st.integers(0, 7))
    seal = checksums.seal(io.BytesIO(text))
    assert checksums.seal(io.BytesIO(bytes(other))) != seal
    assert checksums.seal([*io.BytesIO(text), b"0" * 64 + b"  manifest.json\n"]) == seal


@given(SUMS, st.data())
def test_known_sums_are_those_of_the_names(sums: list[checksums.Sum], data: st.DataObject) -> None:
    chosen = [each for each in sums if data.draw(st.booleans())]
    assert list(known([path for path, _ in chosen], sums)) == chosen


def test_an_unknown_name_is_told() -> None:
    sums = [(b"a", "0" * 64), (b"c", "0" * 64)]
    for name in (b"b", b"d"):
        with pytest.raises(DataboardError, match="The snapshot before has no checksum of"):
            list(known([name], sums))


@pytest.mark.parametrize(
    "text",
    [b"\n", b"0" * 64, b"0" * 64 + b"  a", b"0" * 64 + b" *a\n", b"0" * 63 + b"  a\n", b"\xff\n"],
)
def test_what_is_no_line_is_damage(text: bytes) -> None:
    with pytest.raises(Damaged, match="SHA256SUMS is damaged"):
        list(checksums.read(io.BytesIO(text)))


@given(st.lists(st.binary(max_size=5).filter(lambda each: b"\0" not in each and each != b"")))
def test_records_are_split_at_zero_bytes(names: list[bytes]) -> None:
    text = b"".join(name + b"\0" for name in names)
    assert list(records(io.BytesIO(text))) == names


def test_submissions_without_files_are_seen() -> None:
    paths = [
        b"files/ramp-kits/x",
        b"files/submissions/submission_000000001/files/a.py",
        b"files/submissions/submission_000000002/files-9/a.py",
        b"files/submissions/submission_000000003/predictions/1/x.npy",
        b"files/submissions/submission_000000005/\xff/a.py",
        b"files/submissions/submission_000000006/files/a.py",
        b"manifest.json",
    ]
    rows = [f"submission_{number:09d} {number}" for number in range(1, 8)]
    watch = Watch(rows)
    sums = [(path, "") for path in paths]
    assert list(watch.over(sums)) == sums
    assert watch.missing == [rows[number].split()[0] for number in (1, 2, 3, 4, 6)]


def test_manifests_are_read_as_they_were_written() -> None:
    whole = manifest("20261125T030000Z", ("submission_000000001",))
    assert read_manifest(whole.text()) == whole
    verification = Verification("2026-11-25T03:00:00Z", ("é has changed", "b"))
    assert read_verification(verification.text()) == verification
    for text in ("", "{}", "[]", "null", "1", "{", '{"at": 1, "more": 2}', "[" * 100_000):
        assert read_manifest(text) is None
        assert read_verification(text) is None


# -- what is typed


def test_places() -> None:
    assert place.read("/srv/x/", {}) == Place("/srv/x")
    there = place.read("ada@example.org:/srv/x", {})
    assert there == Place("/srv/x", "example.org", "ada")
    assert str(there) == "ada@example.org:/srv/x"
    with_port = place.read("ssh://ada@192.0.2.1:2222/srv", {})
    assert with_port == Place("/srv", "192.0.2.1", "ada", port=2222)
    assert place.read(str(with_port), {}) == with_port
    login = {"SCIENCEFS_LOGIN": "lovage", "SCIENCEFS_ID": "/keys/id"}
    assert place.read("ada@example.org:/srv", login) == Place(
        "/srv", "example.org", "lovage", Path("/keys/id")
    )
    assert place.read("/srv", login) == Place("/srv")


@pytest.mark.parametrize(
    ("typed", "seconds"), [("90m", 5400), ("26h", 93600), ("2d", 172800), ("0h", 0)]
)
def test_ages(typed: str, seconds: int) -> None:
    assert as_age("--max-age", typed).total_seconds() == seconds


# -- what monitoring says


@pytest.mark.parametrize(
    ("snapshots", "said"),
    [
        ([], "There is no snapshot."),
        ([day(1)], None),
        ([day(1.2)], "The newest snapshot, 20261123T221200Z, is 29 hours old."),
        ([day(5)], "The newest snapshot, 20261120T030000Z, is 5 days old."),
        ([day(1), day(0.5, "damaged")], "The newest snapshot, 20261124T150000Z, is damaged."),
        ([day(0.5, "unreadable")], "The newest snapshot, 20261124T150000Z, is damaged."),
        (
            [day(-1)],
            "The newest snapshot, 20261126T030000Z, is of the future: the clock went back.",
        ),
        ([day(10), day(0)], "No snapshot of the last 9 days was verified."),
        ([day(10), day(8, "verified"), day(0)], None),
        ([day(10), day(8, "damaged"), day(0)], "No snapshot of the last 9 days was verified."),
    ],
)
def test_monitoring(snapshots: list[Snapshot], said: str | None) -> None:
    assert trouble(snapshots, timedelta(hours=26), NOW) == said


def test_monitoring_tells_what_lacks_files() -> None:
    lacking = Snapshot("20261125T020000Z", manifest(missing=("submission_000000002",)))
    assert trouble([lacking], timedelta(hours=26), NOW) == (
        "The snapshot 20261125T020000Z lacks files of submission_000000002."
    )
