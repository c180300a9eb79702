"""What goes wrong while a snapshot is taken leaves the others, and says what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from databoard import config
from databoard.backup import take, verify
from databoard.backup.store import StoreError
from databoard.errors import DataboardError
from tests.backup.board import Board
from tests.training.deployment import until

INV = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT)]


def inv(board: Board, *words: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    env = os.environ | board.environment | environment
    done = subprocess.run(
        [*INV, *words], cwd=board.settings.deployment_path, env=env, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def check_good(board: Board) -> None:
    """The newest that is listed comes back, nothing half done is left, and a next one is taken."""
    assert not list(board.site_path.glob("*.partial"))
    with board.restored_elsewhere() as other:
        assert other.lacking() == []
    board.take()
    with board.restored_elsewhere() as other:
        assert other.rows() == board.rows()
        assert other.tree() == board.tree()


# -- the store


def test_a_store_that_is_not_mounted_is_not_written_into(board: Board) -> None:
    assert inv(board, "backup", "--new-store") == (0, "", "")
    (board.store_path).rename(board.store_path.with_name("disk"))
    board.store_path.mkdir()
    told = f"There is no store at {board.store_path}, or its disk is not mounted.\n"
    told += f"Mount it. If it is a new one: inv backup --new-store --store={board.store_path}\n"
    for words in (
        ["backup"],
        ["backups"],
        ["verify-backup"],
        ["check-backups"],
        ["prune-backups"],
        ["restore", "latest"],
        ["restore", "latest", "--yes"],
    ):
        assert inv(board, *words) == (1, "", told)
    assert not list(board.store_path.iterdir())
    board.store_path.rmdir()
    assert inv(board, "backup") == (1, "", told)
    assert not board.store_path.exists()


def test_the_default_store_is_made_once(board: Board) -> None:
    place = board.settings.deployment_path / "backups"
    default = {"DATABOARD_BACKUPS": ""}
    assert inv(board, "backups", **default)[0] == 1
    assert not place.exists()
    place.mkdir(0o700)  # as a rollout does
    assert inv(board, "backup", **default) == (0, "", "")
    assert (place / "databoard-store").exists()
    place.rename(place.with_name("disk"))
    place.mkdir()
    code, _, told = inv(board, "backup", **default)
    assert code == 1
    assert told.startswith(f"There is no store at {place}, or its disk is not mounted.\n")
    assert not list(place.iterdir())


def test_a_store_is_not_made_of_a_folder_with_other_things(board: Board) -> None:
    board.store_path.mkdir()
    (board.store_path / "mine").touch()
    told = (
        f"No store can be made: {board.store_path} is not empty.\nName a new or an empty folder.\n"
    )
    assert inv(board, "backup", "--new-store") == (1, "", told)
    assert [path.name for path in board.store_path.iterdir()] == ["mine"]


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
@pytest.mark.parametrize("what", ["dump", "files"])
def test_a_full_store(board: Board, what: str) -> None:
    large = board.settings.data_path / "large"
    with small_disk(board.store_path, "8m"):
        board.take()
        if what == "dump":
            filler = board.store_path / "filler"
            with filler.open("wb", 0) as file, pytest.raises(OSError):
                while True:
                    file.write(bytes(1 << 12))
        else:
            filler = large
            filler.write_bytes(os.urandom(9_000_000))
        for _ in range(2):
            code, said, told = inv(board, "backup")
            assert (code, said) == (1, "") and "No space left on device" in told.replace(
                "database or disk is full", "No space left on device"
            )
            assert "Traceback" not in told
        assert len(board.snapshots()) == 1
        filler.unlink()
        board.verify()
        check_good(board)


# -- the files


def test_a_file_that_cannot_be_read(board: Board) -> None:
    if os.geteuid() == 0:  # root may read all; a loop of links is for nobody to read
        code = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); "
    else:
        code = "import os, sys; "
    board.take()
    path = board.settings.data_path / "secret"
    path.touch(0o000)
    command = [sys.executable, "-c", code + "os.execvp(sys.argv[1], sys.argv[1:])"]
    rsync = ["rsync", "-r", f"{board.settings.data_path}/", "/nowhere/"]
    assert subprocess.run([*command, *rsync], capture_output=True).returncode != 0
    with pytest.raises(DataboardError) as told:
        unprivileged(board)
    assert told.value.message == (
        f'The files cannot be copied: send_files failed to open "{path}": Permission denied (13)'
    )
    path.chmod(0o600)
    check_good(board)


def unprivileged(board: Board) -> None:
    """Take one without root's right to read everything, in a process of its own."""
    if os.geteuid() != 0:
        board.take()
        return
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    drop += ["--securebits=+noroot"]
    done = subprocess.run(
        [*drop, *INV, "backup"],
        cwd=board.settings.deployment_path,
        env=os.environ | board.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and not done.stdout
    raise DataboardError(done.stderr.splitlines()[0])


# -- a second one


def test_a_second_backup_steps_aside(board: Board) -> None:
    board.take()
    others: list[tuple[int, str, str]] = []

    def meanwhile(step: str) -> None:
        if step.startswith("Compute"):
            others.extend(inv(board, "backup") for _ in range(4))
            others.append(inv(board, "restore", "latest", "--yes"))

    with board.store() as store:
        take.take(board.settings, store, meanwhile)
    line = "A backup is still running: this is number {} in a row to step aside.\n"
    assert others == [
        (0, "", ""),
        (0, "", ""),
        (0, "", line.format(3)),
        (0, "", line.format(4)),
        (
            1,
            "",
            "A backup or another restore of this deployment is running.\n"
            "Wait for it, then repeat the command.\n",
        ),
    ]
    assert len(board.snapshots()) == 2
    with board.store() as store:
        take.take(board.settings, store, lambda step: others.append(inv(board, "backup")))
    assert others[5] == (0, "", "")  # the count begins anew
    check_good(board)


def test_a_backup_waits_for_a_verification(board: Board) -> None:
    board.take()
    started: list[subprocess.Popen[bytes]] = []

    def meanwhile(step: str) -> None:
        if step.startswith("Compare"):
            started.append(subprocess.Popen([*INV, "backup"], env=os.environ | board.environment))
            process = psutil.Process(started[0].pid)
            until(lambda: "flock" in [each.name() for each in process.children(recursive=True)])

    with board.store() as store:
        verify.verify(board.settings, store, store.find("latest"), meanwhile)
    assert started[0].wait(60) == 0
    assert len(board.snapshots()) == 2


def test_another_deployment_waits_for_the_store(board: Board) -> None:
    with (
        board.store() as store,
        board.store() as other,
        store.locked(),
        other_patience(1),
        pytest.raises(StoreError) as told,
        other.locked(),
    ):
        pass
    assert told.value.message == f"Somebody else works on the store {board.store_path}."


@contextmanager
def other_patience(seconds: int) -> Iterator[None]:
    from databoard.backup import store

    patience, store.PATIENCE = store.PATIENCE, seconds
    try:
        yield
    finally:
        store.PATIENCE = patience


# -- a restore that was broken off


def test_no_backup_is_taken_of_what_is_half_restored(board: Board) -> None:
    taken = board.take()
    kept = board.settings.deployment_path / "before-restore-20260101T000000_000000.unfinished"
    kept.mkdir()
    with pytest.raises(DataboardError) as told:
        board.take()
    assert told.value.message == (f"A restore was broken off; the files of before are in {kept}.")
    assert board.snapshots() == [taken]
    board.restore()
    board.take()


# -- the commands


def test_a_restore_shows_what_it_replaces_and_asks_for_production(board: Board) -> None:
    production = {"DATABOARD_SITE": "production"}
    assert inv(board, "backup", "--new-store", **production) == (0, "", "")
    board.submit("later", "print('later')\n")
    rows, tree = board.rows(), board.tree()
    code, said, told = inv(board, "restore", "latest", **production)
    assert code == 1
    assert told == "Nothing was changed. What is there would be kept; to restore, add --yes.\n"
    assert " would replace these rows:\n" in said
    table = [line.split() for line in said.splitlines() if line.startswith("  ")]
    assert table == [["table", "now", "then"], ["submission", "4", "3"], ["(files)", "7", "6"]]
    told = "The site that would be restored is production.\nIf you mean it: --really=production\n"
    refused = (1, "", told)
    assert inv(board, "restore", "latest", "--yes", **production) == refused
    assert inv(board, "restore", "latest", "--yes", "--really=local", **production) == refused
    assert (board.rows(), board.tree()) == (rows, tree)
    board.engine.dispose()
    code, said, told = inv(board, "restore", "latest", "--yes", "--really=production", **production)
    assert (code, told) == (0, "")
    assert re.fullmatch(
        r"Restored \d{8}T\d{6}Z\.\n"
        r"The database of before: \S+before\S+\nThe files of before: \S+before-restore-\S+\n",
        said,
    )
    assert len(board.submitted()) == 3 and board.lacking() == []


def test_backups_are_listed_pruned_and_watched(board: Board) -> None:
    taken = board.take()
    old = "20260101T000000Z"
    shutil.copytree(board.site_path / taken.name, board.site_path / old)
    text = (board.site_path / old / "manifest.json").read_text().replace(taken.name, old)
    (board.site_path / old / "manifest.json").write_text(text)
    for number in range(1, 4):
        copy = f"2026010{number}T120000Z"
        shutil.copytree(board.site_path / old, board.site_path / copy)
    assert inv(board, "check-backups") == (
        1,
        "",
        "No snapshot of the last 9 days was verified.\n",
    )
    assert inv(board, "verify-backup") == (0, "", "")
    assert inv(board, "check-backups", "--max-age=26h") == (0, "", "")
    code, said, told = inv(board, "backups", "--json")
    listed = {each["name"]: each["kept_by"] for each in json.loads(said)}
    assert (code, told) == (0, "")
    assert listed[taken.name] == ["recent", "daily", "weekly", "monthly"]
    gone = sorted(name for name, rules in listed.items() if not rules)
    would = "".join(f"{name} would go.\n" for name in gone)
    assert inv(board, "prune-backups", "--dry-run") == (0, would, "")
    assert len(board.snapshots()) == 5
    assert inv(board, "prune-backups") == (0, would.replace("would go", "is gone"), "")
    assert len(board.snapshots()) == 5 - len(gone)
    assert inv(board, "prune-backups") == (0, "", "")
    code, said, _ = inv(board, "backups")
    assert said.splitlines()[1].split() == [
        "snapshot",
        "age",
        "size",
        "new",
        "verified",
        "kept",
        "by",
    ]
    assert said.split("─\n")[1].split()[0] == taken.name
