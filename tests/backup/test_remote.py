"""A store behind a real sshd: the same snapshots, and a link that is cut at any moment."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from databoard.backup import take
from databoard.backup.place import Place, read
from databoard.backup.store import StoreError
from databoard.errors import DataboardError
from databoard.fleet.connect import Unreachable
from tests.backup.board import Board
from tests.backup.child import children
from tests.lab.loopback import Loopback, loopback


@pytest.fixture(scope="module")
def sshd(
    need: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loopback]:
    need("sshd")
    with loopback(tmp_path_factory.mktemp("sshd")) as host:
        yield host


@pytest.fixture
def place(board: Board, sshd: Loopback, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """The board's store, behind SSH."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(sshd.known_hosts.read_text())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCIENCEFS_ID", str(sshd.key))
    return read(f"ssh://{sshd.user}@{sshd.address}:{sshd.port}{board.store_path}")


def test_what_is_restored_is_what_was_there(board: Board, place: Place) -> None:
    odd = board.settings.data_path / "a b\n\\"
    odd.mkdir()
    (odd / "-é").write_text("1")
    rows, tree = board.rows(), board.tree()
    first = board.take(place)
    second = board.take(place)
    assert second.manifest is not None and first.manifest is not None
    assert second.manifest.added < first.manifest.added
    for each in (first, second):
        assert board.verify(each.name, place).faults == ()
        assert board.verify(each.name).faults == ()  # as seen from there
    with board.restored_elsewhere(place=place) as other:
        assert (other.rows(), other.tree()) == (rows, tree)
    modes = {
        path.stat().st_mode & 0o077 for path in (board.site_path, board.site_path / first.name)
    }
    assert modes == {0}


@pytest.mark.parametrize(
    "name",
    ["files/ramp-kits/small/problem.py", "SHA256SUMS", "manifest.json", "database"],
)
def test_a_flipped_bit_is_named(board: Board, place: Place, name: str) -> None:
    taken = board.take(place)
    path = board.site_path / taken.name / name
    if path.is_dir():
        path = max(path.iterdir(), key=lambda each: each.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    faults = board.verify(taken.name, place).faults
    assert any(path.name in fault for fault in faults), faults


def test_a_store_that_is_not_mounted_is_not_written_into(board: Board, place: Place) -> None:
    board.take(place)
    board.store_path.rename(board.store_path.with_name("disk"))
    board.store_path.mkdir()
    from databoard.backup.store import opened

    with opened(place, board.settings.site) as store, pytest.raises(StoreError) as told:
        take.take(board.settings, store)
    assert told.value.message == (
        f"There is no store at {board.store_path}, or its disk is not mounted."
    )
    assert told.value.hint == (
        f"Mount it. If it is a new one: inv backup --new-store --store={place}"
    )
    assert not list(board.store_path.iterdir())


def test_who_is_not_known_is_not_spoken_to(board: Board, place: Place, tmp_path: Path) -> None:
    (tmp_path / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(Unreachable, match="is not known yet"):
        board.take(place)


def connections(sshd: Loopback) -> list[psutil.Process]:
    """The processes of sshd that have a connection, not the one that listens."""
    listening = int((sshd.folder / "sshd.pid").read_text())
    return psutil.Process(listening).children(recursive=True)


@pytest.mark.slow
def test_a_link_that_is_cut_at_random_moments(board: Board, place: Place, sshd: Loopback) -> None:
    """By killing what has the connection at the other end, while the backup goes on here."""
    dice, cuts, seen = random.Random(47), 0, set[str]()
    (board.settings.data_path / "large").write_bytes(os.urandom(3_000_000))
    began = time.monotonic()
    board.take(place)
    longest = time.monotonic() - began
    with children(board, DATABOARD_BACKUPS=str(place)) as backups:
        while cuts < 12:
            (board.settings.data_path / "large").write_bytes(os.urandom(3_000_000))
            backups.start()
            time.sleep(dice.random() * longest)
            for each in connections(sshd):
                with suppress(psutil.NoSuchProcess):
                    if each.name().startswith("sshd"):
                        each.send_signal(signal.SIGKILL)
            code = backups.end()
            if code:
                assert code == 1
                said = backups.said()
                assert any(
                    what in said
                    for what in ("was lost", "cannot be reached", "lets root not in", "fails")
                ), said
            cuts += code == 1
            for snapshot in board.snapshots():
                if snapshot.name not in seen:
                    seen.add(snapshot.name)
                    assert board.verify(snapshot.name).faults == ()
    board.take(place)
    assert not list(board.site_path.glob("*.partial"))
    with board.restored_elsewhere(place=place) as other:
        assert other.tree() == board.tree()


def test_a_cut_link_is_no_damage(board: Board, place: Place, sshd: Loopback) -> None:
    taken = board.take(place)
    verify = board.verify

    def cut(step: str) -> None:
        for each in connections(sshd) if step.startswith("Compare") else []:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    from databoard.backup.verify import verify as verifying

    with board.store(place) as store, pytest.raises(DataboardError, match="was lost"):
        verifying(board.settings, store, taken, cut)
    assert board.snapshots() == [taken]
    assert verify(taken.name, place).faults == ()
