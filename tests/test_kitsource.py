"""Fetching kits with a real git: whole or not at all, and nothing of a person's is overwritten."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from databoard import kitsource
from databoard.config import Settings
from databoard.errors import DataboardError, InvalidValue, KitError
from databoard.kitsource import Fetched

AS = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *AS, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def origin(tmp_path: Path, make_kit: Callable[..., Path]) -> Path:
    """A repository with the kit `small`, tagged one."""
    folder = make_kit(tmp_path / "origins")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "one")
    git(folder, "tag", "one")
    return folder


def commit(folder: Path, said: str) -> str:
    (folder / "README.md").write_text(said)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", said)
    return git(folder, "rev-parse", "HEAD")


def test_a_kit_is_cloned_and_brought_up_to_date(settings: Settings, origin: Path) -> None:
    place, first = settings.kits_path / "small", git(origin, "rev-parse", "HEAD")
    assert kitsource.fetch(settings, "small", str(origin)) == Fetched(place, first)
    assert (place / "README.md").read_text() == "one"
    assert kitsource.fetch(settings, "small") == Fetched(place, first, first)
    second = commit(origin, "two")
    assert kitsource.fetch(settings, "small") == Fetched(place, second, first)
    assert (place / "README.md").read_text() == "two"
    assert kitsource.fetch(settings, "small", revision="one") == Fetched(place, first, second)
    git(origin, "checkout", "--quiet", "-b", "other")
    third = commit(origin, "three")
    assert kitsource.fetch(settings, "small", revision="other").revision == third
    assert sorted(path.name for path in settings.kits_path.iterdir()) == ["small"]


def test_a_revision_is_fetched_at_once(settings: Settings, origin: Path) -> None:
    commit(origin, "two")
    fetched = kitsource.fetch(settings, "small", f"file://{origin}", "one")
    assert (fetched.folder / "README.md").read_text() == "one"


def test_data_that_was_made_there_stays(settings: Settings, origin: Path) -> None:
    place = kitsource.fetch(settings, "small", str(origin)).folder
    (place / "data").mkdir()
    (place / "data/train.csv").write_text("1")
    commit(origin, "two")
    kitsource.fetch(settings, "small")
    assert (place / "data/train.csv").read_text() == "1"


def test_changes_of_its_own_are_not_overwritten(settings: Settings, origin: Path) -> None:
    place = kitsource.fetch(settings, "small", str(origin)).folder
    (place / "README.md").write_text("mine")
    commit(origin, "two")
    with pytest.raises(KitError) as caught:
        kitsource.fetch(settings, "small")
    assert caught.value.message == (f"The kit small has changes of its own in {place}: README.md.")
    assert caught.value.hint == "Commit them, or take them back: git checkout ."
    assert (place / "README.md").read_text() == "mine"


def test_what_was_put_there_by_hand_stays(
    settings: Settings, origin: Path, make_kit: Callable[..., Path]
) -> None:
    place = make_kit(settings.kits_path)
    with pytest.raises(KitError, match=f"^The kit small was put into {place} by hand"):
        kitsource.fetch(settings, "small", str(origin))


@pytest.mark.parametrize(
    "url",
    [
        *("ext::sh -c true", "--upload-pack=true", "-x", " ", "ftp://example.org/a", "/nowhere"),
        *("fd::17", "https://example.org/a b", "host:a\nb", "https://"),
    ],
)
def test_an_url_that_git_might_take_for_a_command(settings: Settings, url: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        kitsource.fetch(settings, "small", url)
    assert caught.value.message == f"{url!r} is no repository."


@pytest.mark.parametrize("url", ["https://ada:secret@example.org/a", "ssh://a:b@example.org/a"])
def test_a_password_is_not_kept_in_the_clone(settings: Settings, url: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        kitsource.fetch(settings, "small", url)
    assert str(caught.value) == (
        "The URL holds a password.\n"
        "Give it to git instead: git config --global credential.helper store"
    )


def test_what_is_made_anew_here_is_no_change(settings: Settings, origin: Path) -> None:
    made = ("starting_kit.zip", "small_starting_kit.html")
    for name in made:
        (origin / name).write_text("theirs")
    commit(origin, "two")
    place = kitsource.fetch(settings, "small", str(origin)).folder
    (place / made[0]).write_text("ours")
    (place / made[1]).unlink()
    (origin / made[0]).write_text("theirs, newer")
    third = commit(origin, "three")
    assert kitsource.fetch(settings, "small").revision == third


@pytest.mark.parametrize("revision", ["--all", "a..b", "a b", "@{-1}", "\n"])
def test_a_revision_that_is_none(settings: Settings, origin: Path, revision: str) -> None:
    with pytest.raises(InvalidValue, match="is no revision"):
        kitsource.fetch(settings, "small", str(origin), revision)


def test_failures_leave_nothing(settings: Settings, origin: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    commit(empty, "no kit")
    for url, revision, said in (
        (str(empty), "", "The repository of small is no kit: it has no problem.py."),
        (str(origin), "nonsense", "The kit small has no revision 'nonsense'."),
        ("https://127.0.0.1:1/small", "", "git fatal: unable to access"),
        (f"file://{tmp_path}/nowhere", "", "git fatal: '"),
    ):
        with pytest.raises(KitError) as caught:
            kitsource.fetch(settings, "small", url, revision)
        assert caught.value.message.startswith(said)
        assert list(settings.kits_path.iterdir()) == []


def test_an_update_that_is_no_kit_is_taken_back(settings: Settings, origin: Path) -> None:
    place = kitsource.fetch(settings, "small", str(origin)).folder
    git(origin, "rm", "--quiet", "problem.py")
    commit(origin, "without it")
    with pytest.raises(KitError, match="is no kit"):
        kitsource.fetch(settings, "small")
    assert (place / "problem.py").is_file()
    with pytest.raises(KitError, match="has no revision"):
        kitsource.fetch(settings, "small", revision="nonsense")


def test_without_git(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DataboardError) as caught:
        kitsource.fetch(settings, "small", "https://example.org/small")
    assert str(caught.value) == "git is not installed.\nInstall it: apt-get install git"
