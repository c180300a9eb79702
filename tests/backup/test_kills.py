"""Backups and restores that are killed at any moment leave nothing that only looks good."""

from __future__ import annotations

import os
import random
import subprocess
import time
from itertools import count
from pathlib import Path

import pytest

from databoard import database
from databoard.backup import exchange, restore, scratch, take
from databoard.backup.copying import UNFINISHED
from databoard.backup.snapshot import Snapshot
from databoard.errors import DataboardError
from tests.backup.board import Board
from tests.backup.child import Children, children
from tests.training.deployment import is_there, until

N_KILLS, EACH = 105, 25  # for each dialect


@pytest.mark.slow
def test_backups_killed_at_random_moments(board: Board) -> None:
    """The parent submits, replaces and deletes; what is listed is whole, and as it was once."""
    dice, states, seen = random.Random(41), [board.submitted()], set[str]()
    names: list[str] = ["first", "second"]
    kills = whole = bad = 0
    with children(board) as backups:
        board.take()
        longest = timed(board, backups, dice, names)
        states.append(board.submitted())
        while kills < N_KILLS:
            pid = backups.start()
            end = time.monotonic() + dice.random() * longest
            while time.monotonic() < end:
                change(board, dice, names)
                states.append(board.submitted())
            code = backups.kill(pid)
            assert code in (0, -9), backups.said()
            kills += code == -9
            whole += code == 0
            listed = board.snapshots()
            for each in listed:
                if each.name not in seen:
                    seen.add(each.name)
                    bad += not is_whole(board, each)
            assert bad == 0
            if (kills + whole) % EACH == 0:
                check_restores(board, states)
        assert whole > 0 and len(seen) >= whole
        taken = board.take()  # nothing is in the way of the next one
    assert not list(board.site_path.glob("*.partial"))
    assert not list(board.settings.submissions_path.glob(f"{scratch.PREFIX}*"))
    for each in board.snapshots():
        assert board.verify(each.name).faults == (), each.name
    with board.restored_elsewhere(taken.name) as other:
        assert other.rows() == board.rows()
        assert other.tree() == board.tree()
        assert other.lacking() == []
    kind = board.engine.dialect.name
    print(f"\n{kind}: {kills} kills, {whole} not in time, {len(seen)} snapshots, {bad} bad")


def timed(board: Board, backups: Children, dice: random.Random, names: list[str]) -> float:
    """How long one takes while all that goes on, and a little more: some shall come through."""
    began = time.monotonic()
    pid = backups.start()
    while is_there(pid):
        change(board, dice, names)
    assert backups.end() == 0
    return (time.monotonic() - began) * 1.2


def change(board: Board, dice: random.Random, names: list[str]) -> None:
    """Submit, replace or delete."""
    time.sleep(0.01)  # it leaves the backup some of the machine
    what = dice.random()
    if what < 0.4:
        names.append(f"s{dice.getrandbits(60)}")
        board.submit(names[-1], f"print({dice.random()})\n")
    elif what < 0.7 and names:
        board.submit(dice.choice(names), f"print({dice.random()})\n")
    elif len(names) > 1:
        board.delete(names.pop(dice.randrange(len(names))))


def is_whole(board: Board, snapshot: Snapshot) -> bool:
    command = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=board.site_path / snapshot.name, check=False)
    return done.returncode == 0 and snapshot.manifest is not None


def check_restores(board: Board, states: list[frozenset[tuple[int, str, str]]]) -> None:
    """The newest comes back as the database was in one moment, and each row has its files."""
    with board.restored_elsewhere() as other:
        assert other.submitted() in states
        assert other.lacking() == []


SLOW_SYNC = """#!/bin/sh
[ ! -e "{held}" ] || exec {sync} "$@"
touch "{held}"
while [ ! -e "{let_go}" ]; do sleep 0.02; done
{sync} "$@"
touch "{done}"
"""


def test_what_a_killed_backup_has_started_commits_nothing_of_the_next(
    board: Board, tmp_path: Path
) -> None:
    """Its last script, which waits for the disk, goes on after it."""
    held, let_go, done = (tmp_path / name for name in ("held", "let go", "done"))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "sync"
    sync = subprocess.run(["which", "sync"], check=True, capture_output=True, text=True).stdout
    text = SLOW_SYNC.format(held=held, let_go=let_go, done=done, sync=sync.strip())
    program.write_text(text)
    program.chmod(0o755)
    with children(board, PATH=f"{program.parent}:{os.environ['PATH']}") as backups:
        pid = backups.start()
        until(held.exists)
        assert backups.kill(pid) == -9
        assert board.snapshots() == []
        with board.store() as store:
            taken = take.take(
                board.settings,
                store,
                lambda step: let_go.touch() if step.startswith("Compute") else None,
            )
        until(done.exists)
    assert [each.name for each in board.snapshots()] == [taken.name]
    assert board.verify().faults == ()


@pytest.mark.slow
def test_restores_killed_at_random_moments(board: Board) -> None:
    """What serves is the old or the new, and the next restore brings all of it back."""
    board.take()
    restored = board.submitted()
    board.submit("later", "print('later')\n")
    dice, kills = random.Random(43), 0
    board.restore()
    began = time.monotonic()
    board.restore()
    longest = (time.monotonic() - began) * 1.1
    with children(board) as restores:
        while kills < 20:
            board.engine.dispose()
            board.submit(f"later{kills}", "print('later')\n")
            now = board.submitted()
            board.engine.dispose()
            pid = restores.start("restore")
            time.sleep(dice.random() * longest)
            code = restores.kill(pid)
            assert code in (0, -9)
            kills += code == -9
            board.engine.dispose()
            assert board.submitted() in (now, restored)
    board.restore()
    board.engine.dispose()
    assert board.submitted() == restored and board.lacking() == []
    remains = [path.name for path in board.settings.deployment_path.iterdir()]
    assert not [name for name in remains if name.endswith(UNFINISHED)]
    assert exchange.STAGED not in remains
    drop_kept(board)


@pytest.mark.slow
def test_backups_killed_at_each_step(board: Board) -> None:
    before = board.take()
    with children(board) as backups:
        for step in count(1):
            backups.start(f"take {step}")
            if backups.end() == 0:
                break
            for each in board.snapshots():
                if each != before:  # it died when the new one was there already
                    assert is_whole(board, each)
    assert step > 20
    assert board.verify().faults == ()
    print(f"\n{board.engine.dialect.name}: {step - 1} steps of a backup")


@pytest.mark.slow
def test_restores_killed_at_each_step(board: Board) -> None:
    """The old database serves with its files once a next restore has been tried, or the new one."""
    board.take()
    old, old_tree = board.rows(), board.tree()
    with children(board) as restores:
        for step in count(1):
            board.engine.dispose()
            board.submit("later", f"print({step})\n")
            now, now_tree = board.rows(), board.tree()
            board.engine.dispose()
            restores.start(f"restore {step}")
            code = restores.end()
            served = board.rows()
            assert served in (now, old)
            board.engine.dispose()
            if code == 0:
                break
            with pytest.raises(DataboardError), board.store() as store:  # which comes to nothing
                restore.restore(board.settings, store, store.find("latest"), fail)
            assert board.rows() == served
            assert board.tree() == (now_tree if served == now else old_tree)
    assert step > 20 and board.rows() == old and board.tree() == old_tree
    board.take()  # nothing is left that is in its way
    print(f"\n{board.engine.dialect.name}: {step - 1} steps of a restore")
    drop_kept(board)


def fail(step: str) -> None:
    raise DataboardError("no")


def drop_kept(board: Board) -> None:
    """The databases that restores have kept."""
    if board.cluster is None:
        return
    url = database.open_engine(board.settings.db_url).url
    from databoard.backup import server

    with server.connected(url) as connection:
        for name in server._named(connection, f"{url.database}_before_"):
            server.drop(connection, name)
