"""Damage in a store is found, named, and never handed on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from databoard.backup.snapshot import Snapshot
from databoard.errors import DataboardError
from tests.backup.board import Board

DICE = random.Random(3)


def flip(path: Path, at: int | None = None) -> None:
    """One bit of a stored file is another."""
    content = bytearray(path.read_bytes())
    at = DICE.randrange(len(content)) if at is None else at
    content[at] ^= 1 << DICE.randrange(8)
    path.write_bytes(content)


def names_of_dump(folder: Path) -> list[str]:
    return [f"database/{path.name}" for path in sorted((folder / "database").iterdir())]


KINDS = [
    "files/submissions/submission_000000001/files/estimator.py",
    "files/submissions/submission_000000003/predictions/1/fold_0_valid.npy",
    "files/ramp-kits/small/problem.py",
    "SHA256SUMS",
    "manifest.json",
    "owners",
]


def test_a_flipped_bit_is_named_in_every_kind_of_file(board: Board) -> None:
    (board.settings.data_path / "theirs").touch()
    taken = board.take()
    folder = board.site_path / taken.name
    if not (folder / "owners").read_bytes():
        (folder / "owners").unlink()  # all is one's own
        KINDS_HERE = KINDS[:-1]
    else:
        KINDS_HERE = KINDS
    for name in [*KINDS_HERE, *names_of_dump(folder)]:
        path = folder / name
        whole = path.read_bytes()
        flip(path)
        verified = board.verify(taken.name)
        assert any(name in fault for fault in verified.faults), (name, verified)
        (listed,) = board.snapshots()
        assert listed.is_damaged and not listed.is_verified
        path.write_bytes(whole)
    assert board.verify(taken.name).faults == ()
    (listed,) = board.snapshots()
    assert listed.is_verified


def test_any_flipped_bit_of_what_describes_a_snapshot_is_found(board: Board) -> None:
    if board.cluster is not None:
        return  # nothing here is of its kind
    taken = board.take()
    folder = board.site_path / taken.name
    for name in ("manifest.json", "SHA256SUMS"):
        path = folder / name
        whole = path.read_bytes()
        for at in DICE.sample(range(len(whole)), 40):
            flip(path, at)
            faults = board.verify(taken.name).faults
            assert any(name in fault for fault in faults), (name, at, faults)
            path.write_bytes(whole)


@pytest.mark.parametrize("keep", [0, 100])
def test_a_truncated_dump_is_named(board: Board, keep: int) -> None:
    taken = board.take()
    folder = board.site_path / taken.name
    for name in names_of_dump(folder):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: min(keep, len(whole) - 1)])
        assert f"{name} has changed" in board.verify(taken.name).faults
        (folder / name).unlink()
        assert f"{name} is missing" in board.verify(taken.name).faults
        (folder / name).write_bytes(whole)
    assert board.verify(taken.name).faults == ()


def test_what_is_too_much_or_missing_is_named(board: Board) -> None:
    taken = board.take()
    folder = board.site_path / taken.name
    (folder / "files" / "ramp-kits" / "more\n").touch()
    (folder / "files" / "ramp-kits" / "small" / "problem.py").unlink()
    assert set(board.verify(taken.name).faults) == {
        """"b'files/ramp-kits/more\\\\n'" is not among the checksums""",
        "files/ramp-kits/small/problem.py is missing",
    }
    (folder / "SHA256SUMS").unlink()
    assert board.verify(taken.name).faults == ("SHA256SUMS is damaged",)
    (folder / "manifest.json").unlink()
    assert board.verify(taken.name).faults == ("manifest.json is damaged",)


def test_no_row_is_lost_unseen(board: Board) -> None:
    """The rows that were counted when it was dumped are those that are restored."""
    taken = board.take()
    folder = board.site_path / taken.name
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"submission": 3', '"submission": 4'))
    faults = board.verify(taken.name).faults
    assert "the table submission has 3 rows, not 4" in faults


def test_damage_that_nobody_has_looked_for_is_not_restored(board: Board) -> None:
    good = board.take()
    board.submit("later", "print('later')\n")
    bad = board.take()
    flip(board.site_path / bad.name / "files/submissions/submission_000000004/files/estimator.py")
    rows, tree = board.rows(), board.tree()
    with pytest.raises(DataboardError) as told:
        board.restore()
    assert told.value.message == (
        f"The snapshot {bad.name} is damaged: "
        "files/submissions/submission_000000004/files/estimator.py has changed."
    )
    assert (board.rows(), board.tree()) == (rows, tree)
    with board.store() as store:
        assert store.find("latest") == good


def test_a_damaged_snapshot_is_not_restored_nor_linked_to(board: Board) -> None:
    good, bad = board.take(), board.take()
    flip(board.site_path / bad.name / "files" / "ramp-kits" / "small" / "problem.py")
    assert board.verify(bad.name).faults == ("files/ramp-kits/small/problem.py has changed",)
    with pytest.raises(DataboardError) as told:
        board.restore(bad.name)
    assert told.value.message == (
        f"The snapshot {bad.name} is damaged: files/ramp-kits/small/problem.py has changed."
    )
    assert board.verify(good.name).faults  # a hard link: the same file
    new = board.take()
    assert new.manifest is not None and new.manifest.added > new.manifest.size * 0.9
    assert board.verify(new.name).faults == ()
    with board.restored_elsewhere() as other:
        assert other.tree() == board.tree()


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json"])
def test_the_next_snapshot_takes_nothing_from_what_is_damaged(board: Board, name: str) -> None:
    """Even when nobody has verified it yet."""
    before = board.take()
    folder = board.site_path / before.name
    for at in (5, -20):
        flip(folder / name, at)
        if name == "SHA256SUMS":
            assert not board.snapshots()[0].is_damaged
        new = board.take()
        assert board.verify(new.name).faults == ()
        with board.restored_elsewhere() as other:
            assert other.tree() == board.tree()
        before = new
        folder = board.site_path / before.name
    (folder / name).unlink()
    assert board.verify(board.take().name).faults == ()


def test_monitoring_and_listing_bear_a_damaged_manifest(board: Board) -> None:
    taken = board.take()
    for text in (b"", b"\xff\n\tnonsense\n@20261101T000000Z\t{}\n", b"[" * 100_000, b"{}", b"[1]"):
        (board.site_path / taken.name / "manifest.json").write_bytes(text)
        assert [(each.name, each.manifest) for each in board.snapshots()] == [(taken.name, None)]


def test_a_cut_connection_is_no_damage(board: Board) -> None:
    """What cannot be tried says nothing about a snapshot."""
    taken = board.take()
    if board.cluster is None:
        return
    from dataclasses import replace

    from databoard.backup import verify

    nowhere = board.cluster.url("nowhere").replace(str(board.cluster.port), "1")
    with (
        board.store() as store,
        pytest.raises(DataboardError, match="does not answer"),
    ):
        verify.verify(replace(board.settings, db_url=nowhere), store, taken)
    assert board.snapshots() == [Snapshot(taken.name, taken.manifest)]
