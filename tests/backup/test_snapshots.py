"""A snapshot is all there was in one moment, and comes back the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from databoard import config, database, keeping
from databoard.backup import restore, take, verify
from databoard.backup.place import Place
from databoard.backup.snapshot import Snapshot
from databoard.backup.store import opened
from databoard.errors import DataboardError
from tests.backup.board import Board


def test_what_is_restored_is_what_was_there(board: Board) -> None:
    rows, tree = board.rows(), board.tree()
    taken = board.take()
    board.submit("fourth")
    board.delete("first")
    with board.restored_elsewhere() as other:
        assert other.rows() == rows
        assert other.tree() == tree
        assert other.lacking() == []
    kept = board.restore(taken.name)
    board.engine.dispose()
    assert board.rows() == rows
    assert board.tree() == tree
    assert kept.files is not None and (kept.files / "submissions" / "submission_000000004").is_dir()
    if board.cluster is not None:
        assert kept.database is not None
        board.cluster.execute(f'DROP DATABASE "{kept.database}"')
    else:
        assert kept.database is not None and Path(kept.database).stat().st_mode & 0o777 == 0o600


def test_a_manifest_tells_what_is_there(board: Board) -> None:
    taken = board.take()
    about = taken.manifest
    folder = board.site_path / taken.name
    assert about is not None and board.snapshots() == [taken]
    assert about.rows == {name: len(rows) for name, rows in board.rows().items()}
    assert about.revision == database.head_revision() and about.release == "development"
    files = [path for path in folder.rglob("*") if path.is_file()]
    in_files = [path for path in files if path.is_relative_to(folder / "files")]
    own = sum((folder / name).stat().st_size for name in ("manifest.json", "owners", "SHA256SUMS"))
    assert about.n_files == len(in_files)
    assert about.size == about.added == sum(path.stat().st_size for path in files) - own
    assert set(about.tools) >= {"python", "rsync"}
    assert about.missing == ()
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=folder, check=False).returncode == 0
    assert len((folder / "SHA256SUMS").read_bytes().splitlines()) == len(files) - 1
    modes = {path.stat().st_mode & 0o077 for path in (folder, board.site_path)}
    assert modes == {0}  # it has what others may not read


def test_what_has_not_changed_is_a_link(board: Board) -> None:
    first = board.take()
    second = board.take()
    board.submit("fourth", "print(4)\n")
    third = board.take()
    assert first.name < second.name < third.name
    inodes = []
    for each in (first, second, third):
        files = board.site_path / each.name / "files"
        inodes.append({path.stat().st_ino for path in files.rglob("*") if path.is_file()})
    assert inodes[0] == inodes[1] < inodes[2] and len(inodes[2]) == len(inodes[1]) + 1
    assert second.manifest is not None and first.manifest is not None
    assert second.manifest.added < first.manifest.added
    for each in (first, second, third):
        assert board.verify(each.name).faults == ()


def test_a_change_within_a_second_to_the_same_size_is_seen(board: Board) -> None:
    kit = board.settings.kits_path / "small" / "problem.py"
    status = kit.stat()
    board.take()
    kit.write_text(kit.read_text().replace("Small", "Other"))
    os.utime(kit, ns=(status.st_atime_ns, status.st_mtime_ns // 10**9 * 10**9 + 1))
    assert kit.stat().st_size == status.st_size
    taken = board.take()
    copy = board.site_path / taken.name / "files" / "ramp-kits" / "small" / "problem.py"
    assert "Other" in copy.read_text()


NAMES = [b"a b", b"new\nline", b"back\\slash", b"\xff\xfe", b"-rf", "é".encode(), b"\xe2\x80\xa8"]
NAMES += [b"tab\t", b"*", b"$(id)", b"'", b'"', b"#", b"cr\r", b"x  manifest.json", b".hidden"]


def test_any_name_and_any_kind_of_file(board: Board) -> None:
    data = os.fsencode(board.settings.data_path)
    for name in NAMES:
        os.makedirs(os.path.join(data, name, name))
        with open(os.path.join(data, name, name, name), "wb") as file:
            file.write(name)
        os.symlink(name, os.path.join(data, b"to " + name))
    deep = board.settings.data_path.joinpath(*["deep" * 10] * 40)
    deep.mkdir(parents=True)
    (deep / "empty").touch()
    os.mkdir(os.path.join(os.fsencode(board.folder(1)), b"\xff"))
    Path(os.fsdecode(os.path.join(os.fsencode(board.folder(1)), b"\xff", b"\xff"))).touch()
    (board.settings.data_path / "out").symlink_to("/etc")
    (board.settings.data_path / "dangling").symlink_to("nowhere")
    (board.settings.data_path / "no files").mkdir()
    board.settings.submissions_path.chmod(0o2770)
    (deep / "empty").chmod(0o600)
    (deep.parent / "program").touch(0o755)
    tree = board.tree()
    first = board.take()
    second = board.take()
    for each in (first, second):
        assert each.manifest is not None
        assert each.manifest.n_files == sum(kind == "file" for kind, _, _ in tree.values())
        assert board.verify(each.name).faults == ()
        with board.restored_elsewhere(each.name) as other:
            assert other.tree() == tree


def test_a_deployment_in_an_odd_folder(migrated_sqlite: Path, tmp_path: Path) -> None:
    odd = tmp_path / "it's 100%41 #1"
    settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(odd)})
    settings.make_folders()
    shutil.copyfile(migrated_sqlite, odd / "databoard.db")
    place = Place(str(tmp_path / "store"))
    with opened(place, settings.site) as store:
        store.make()
        taken = take.take(settings, store)
        assert verify.verify(settings, store, taken).faults == ()
        (odd / "databoard.db").unlink()
        assert restore.restore(settings, store, taken).database is None
    assert (odd / "databoard.db").stat().st_size > 0


def test_a_folder_that_is_a_link_is_kept_as_one(board: Board, tmp_path: Path) -> None:
    board.settings.data_path.rmdir()
    board.settings.data_path.symlink_to(tmp_path)
    board.take()
    with board.restored_elsewhere() as other:
        assert os.readlink(other.settings.data_path) == str(tmp_path)


def test_owners_come_back(board: Board) -> None:
    if os.geteuid() != 0:
        return
    path = board.settings.data_path / "theirs"
    path.mkdir()
    (path / "file").touch()
    (path / "mine").touch()
    path.chmod(0o2775)
    os.chown(path, 1, 2)
    path.chmod(0o2775)
    os.chown(path / "file", 1, 2)
    board.take()
    with board.restored_elsewhere() as other:
        there = other.settings.data_path / "theirs"
        assert (there.stat().st_uid, there.stat().st_gid) == (1, 2)
        assert ((there / "file").stat().st_uid, (there / "file").stat().st_gid) == (1, 2)
        assert ((there / "mine").stat().st_uid, (there / "mine").stat().st_gid) == (0, 0)
        assert there.stat().st_mode & 0o7777 == 0o2775


def test_the_clock_may_go_back(board: Board) -> None:
    first = board.take()
    later = "20990101T000000Z"
    (board.site_path / first.name).rename(board.site_path / later)
    assert [each.name for each in board.snapshots()] == [later]
    second = board.take()
    assert second.name == "20990101T000001Z"
    assert second.manifest is not None and not second.manifest.taken_at.startswith("2099")
    with board.restored_elsewhere() as other:
        assert other.lacking() == []


# -- what changes meanwhile


def during(board: Board, step: str, change: object) -> Snapshot:
    """Take a snapshot; when it comes to a step, something else happens first."""
    assert callable(change)
    with board.store() as store:
        return take.take(
            board.settings, store, lambda told: change() if told.startswith(step) else None
        )


def test_submissions_that_come_and_go_meanwhile(board: Board) -> None:
    before = board.submitted()

    def change() -> None:
        board.submit("fourth", "print(4)\n")
        board.delete("first")
        board.submit("second", "print('best')\n")

    tree = board.tree()
    taken = during(board, "Copy the files", change)
    assert board.submitted() != before
    assert taken.manifest is not None and taken.manifest.missing == ()
    with board.restored_elsewhere() as other:
        assert other.submitted() == before
        assert other.lacking() == []
        theirs = other.tree()
        assert {path: theirs[path] for path in tree} == tree
    # what was removed meanwhile has gone afterwards
    assert not board.folder(1).exists()
    assert not list((board.settings.submissions_path / keeping.NOTES).iterdir())
    assert board.lacking() == []


def test_a_file_that_changes_meanwhile_is_copied_again(board: Board) -> None:
    path = board.settings.data_path / "growing"
    path.write_text("1")
    steps = []

    def change() -> None:
        steps.append(path.write_text("22"))

    taken = during(board, "Compute", change)
    folder = board.site_path / taken.name / "files" / "ramp-data" / "growing"
    assert steps and folder.read_text() == "1"
    assert board.verify().faults == ()


def test_files_that_vanish_and_change_while_they_are_copied(board: Board) -> None:
    busy = board.settings.data_path / "busy"
    busy.mkdir()
    script = """
i=0
while [ -d busy ]; do
    i=$((i + 1))
    echo $i >busy/new.$i; rm -f busy/new.$((i - 20)); echo $i >busy/same
done
"""
    with subprocess.Popen(
        ["sh", "-c", script], cwd=busy.parent, stderr=subprocess.DEVNULL
    ) as other:
        try:
            with pytest.raises(DataboardError) as told:
                for _ in range(20):  # now and then nothing has changed
                    board.take()
        finally:
            other.kill()
    assert told.value.message.startswith("The files change all the time while they are copied, ")
    assert told.value.hint == "Repeat the command when nobody works on them."
    assert not list(board.site_path.glob("*.partial"))
    for each in board.snapshots():
        assert board.verify(each.name).faults == ()
    board.take()
    with board.restored_elsewhere() as restored:
        assert restored.tree() == board.tree()


def test_lost_files_are_told(board: Board) -> None:
    for path in board.folder(2).rglob("*"):
        if path.is_file():
            path.unlink()
    taken = board.take()
    assert taken.manifest is not None
    assert taken.manifest.missing == ("submission_000000002",)
    assert board.verify().faults == ()
    with board.restored_elsewhere() as other:
        assert other.lacking() == [2]


# -- removal is deferred


def test_what_goes_while_a_snapshot_is_taken_goes_afterwards(tmp_path: Path) -> None:
    folder, again, link = tmp_path / "x", tmp_path / "again", tmp_path / "link"
    for path in (folder, again):
        path.mkdir()
        (path / "file").touch()
    link.symlink_to("x")
    with keeping.keeping(tmp_path):
        for path in (folder, again, link, tmp_path / "nothing"):
            keeping.remove(tmp_path, path)
        assert folder.is_dir() and again.is_dir() and link.is_symlink()
        (again / "file").unlink()
        again.rmdir()
        again.mkdir()  # something else of that name
    assert not folder.exists() and not link.is_symlink()
    assert again.is_dir()
    assert not list((tmp_path / keeping.NOTES).iterdir())
    keeping.remove(tmp_path, again)
    assert not again.exists()


def test_notes_remove_nothing_elsewhere(tmp_path: Path) -> None:
    """Who may write to the folder of submissions may not have others remove what he cannot."""
    deployment, outside = tmp_path / "deployment", tmp_path / "outside"
    submissions = deployment / "submissions"
    for path in (submissions, outside):
        path.mkdir(parents=True)
    submissions.chmod(0o2770)
    (deployment / "link").symlink_to(outside)
    with keeping.keeping(submissions):
        keeping.remove(submissions, submissions / "none")
        notes = submissions / keeping.NOTES
        assert notes.stat().st_mode == submissions.stat().st_mode
        for number, path in enumerate((outside, deployment / "link" / ".." / "outside", "/")):
            status = os.lstat(path)
            about = {"path": str(path), "is": [status.st_ino, status.st_mtime_ns]}
            (notes / f"note{number}").write_text(json.dumps(about))
        for number, note in enumerate(("", "[]", "{}", '{"path": 1, "is": 1}')):
            (notes / f"odd{number}").write_text(note)
    assert outside.is_dir()
