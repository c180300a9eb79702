"""Publishing a problem to a folder of this machine: real files, real rsync, a real database."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from databoard import config, database, environments, events, kits
from databoard.config import ROOT, Settings
from databoard.errors import DataboardError, InvalidValue, KitError
from databoard.fleet import inventory, problem
from databoard.fleet.problem import ProblemPlan, Published
from databoard.fleet.runbook import Failed
from databoard.kitpack import workplace
from databoard.notebook import HEAD, NOT_RENDERED
from tests.fleet.site import Listener

pytestmark = pytest.mark.slow
READS = """
def get_test_data(path="."):
    return [[float(open(path + "/data/test.csv").read())]], [1]
"""
PREPARES = """
def prepare_data():
    import os
    os.makedirs("data/private", exist_ok=True)
    for name in ("test.csv", "private/test.csv"):
        open(f"data/{name}", "w").write("1")
"""


@dataclass
class Place:
    """Kits here, and the home of a `local` target there."""

    folder: Path
    make_kit: Callable[..., Path]
    settings: Settings
    steps: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "there/datacamp/databoard"

    @property
    def versions(self) -> Path:
        return self.home / "shared/problems/small"

    @property
    def served(self) -> Path:
        """The kit as everybody finds it there."""
        return self.home / "shared/ramp-kits/small"

    @property
    def there(self) -> Settings:
        """The settings of what runs there."""
        url = f"sqlite:///{self.home}/shared/databoard.db"
        shared = str(self.home / "shared")
        return config.load({"DATABOARD_DEPLOYMENT_PATH": shared, "DATABOARD_DB_URL": url})

    def kit(self, lines: str = READS, apart: bool = False, **files: str) -> Path:
        """Write the kit `small` with data."""
        kit = self.make_kit(self.settings.kits_path, lines=lines)
        place = self.settings.data_path / "small" if apart else kit
        write(place / "data/test.csv", "1")
        return kit

    def target(self) -> inventory.Target:
        return inventory.load("local", folder=self.folder / "inventories")

    def hook(self, point: str, command: str) -> None:
        """Let a command of the inventory run before or after a step."""
        text = f"connection: local\nhooks:\n  {point}: [{json.dumps(command)}]\n" if point else ""
        write(self.folder / "inventories/local.yml", text or "connection: local\n")

    def publish(self, force: bool = False) -> Published:
        listener = Listener()
        result = problem.publish_problem(self.target(), "small", self.settings, force, listener)
        self.steps = listener.steps
        return result

    def plan(self, force: bool = False) -> ProblemPlan:
        return problem.plan_problem(self.target(), "small", self.settings, force, Listener())

    def release(self, template: Path) -> None:
        """Software that serves there, with a database."""
        release = self.home / "releases/one"
        release.mkdir(parents=True)
        for name in ("databoard", "migrations"):
            (release / name).symlink_to(ROOT / name)
        (release / ".venv").symlink_to(sys.prefix)
        write(
            release / "etc/worker.env",
            f"DATABOARD_DEPLOYMENT_PATH='{self.home}/shared'\n"
            f"DATABOARD_DB_URL='{self.there.db_url}'\n",
        )
        (self.home / "current").symlink_to("releases/one")
        self.there.make_folders()
        shutil.copyfile(template, self.home / "shared/databoard.db")

    def add_event(self, *names: str) -> None:
        """Open events of the problem there."""
        engine = database.open_engine(self.there.db_url)
        try:
            events.add_problem(engine, self.there, "small")
            for name in names:
                events.add_event(engine, self.there, "small", name)
        finally:
            engine.dispose()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def good(outcome: Published) -> Published:
    assert outcome.error is None, outcome.error
    return outcome


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


def everything(folder: Path) -> list[tuple[str, str, int]]:
    """Names, links, times: what tells that something was changed."""
    return sorted(
        (str(path), os.readlink(path) if path.is_symlink() else "", path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
    )


@pytest.fixture
def place(
    tmp_path: Path,
    make_kit: Callable[..., Path],
    need: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    need("rsync")
    monkeypatch.setenv("DATABOARD_PATH", str(tmp_path / "there"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(tmp_path / "here")})
    settings.make_folders()
    place = Place(tmp_path, make_kit, settings)
    place.hook("", "")
    yield place
    assert names_in(tmp_path / "cache/databoard/problems/small") == []  # private data is gone


@pytest.fixture
def opened(place: Place, migrated_sqlite: Path) -> Place:
    """The same with software that serves there, the published problem, and two events of it."""
    place.release(migrated_sqlite)
    place.kit()
    good(place.publish())
    place.add_event("small", "again")
    return place


def test_a_kit_is_found_there_as_it_is_here(place: Place) -> None:
    kit = place.kit()
    outcome = good(place.publish())
    assert place.steps == ["pack", "preflight", "upload", "prepare", "try", "switch", "prune"]
    assert os.readlink(place.served) == "../problems/small/current/kit"
    assert os.readlink(place.versions / "current") == outcome.release
    assert names_in(place.home / "shared/ramp-data") == []  # no data lies apart
    found = kits.find_kit("small", place.there.kits_path)
    assert found == place.served
    here = kits.inspect_kit(kit, place.settings.data_path)
    there = kits.inspect_kit(found, place.there.data_path)
    assert here == there
    assert not (kit / "starting_kit.zip").exists()
    digest = (place.versions / "current/digest").read_text()
    assert digest == (place.served / ".digest").read_text() and len(digest) == 65


def test_data_that_lies_apart_does_there_too(place: Place) -> None:
    place.kit(apart=True)
    good(place.publish())
    apart = place.home / "shared/ramp-data/small"
    assert os.readlink(apart) == "../problems/small/current/data"
    assert kits.data_path_of(place.served, place.there.data_path) == apart
    kits.inspect_kit(place.served, place.there.data_path)
    shutil.move(place.settings.data_path / "small/data", place.settings.kits_path / "small/data")
    (place.settings.data_path / "small").rmdir()
    good(place.publish())  # now it lies in the kit
    assert names_in(place.home / "shared/ramp-data") == []
    kits.inspect_kit(place.served, place.there.data_path)


def test_kit_and_data_may_be_links_here_and_a_published_kit_is_one(place: Place) -> None:
    kit = place.kit(apart=True)
    for path in (kit, place.settings.data_path / "small"):
        moved = path.rename(place.folder / f"moved-{path.parent.name}")
        path.symlink_to(moved)
    first = good(place.publish()).release
    place.settings = place.there
    second = good(place.publish()).release  # onto itself
    one, two = place.versions / first, place.versions / second
    assert first != second
    for path in one.rglob("*"):
        assert path.is_dir() or path.samefile(two / path.relative_to(one)), path


def test_a_disk_that_is_too_full_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.kit()
    monkeypatch.setattr(problem, "SPARE", 2**60)
    with pytest.raises(Failed, match=r"localhost: \d+ MB are free, and \d+ MB needed"):
        place.publish()
    assert not place.home.exists()


def test_who_may_read_what(place: Place) -> None:
    kit = place.kit(apart=True)
    for name in ("data/private/y.csv", "data/raw/all.csv", "deposited_submissions/a/b/x.py"):
        write(kit / name, "1").chmod(0o666)
    write(kit / "data/train.csv", "1").chmod(0o600)
    write(kit / "run.sh", "true").chmod(0o700)
    old = os.umask(0o077)
    try:
        good(place.publish())
    finally:
        os.umask(old)
    version = place.versions / "current"
    modes = {
        str(path.relative_to(version)): f"{path.stat().st_mode & 0o7777:o}"
        for path in version.rglob("*")
    }
    private = ("data", "kit/data/private", "kit/data/raw", "kit/deposited_submissions")
    for name, mode in modes.items():
        is_private = any(Path(name).is_relative_to(folder) for folder in private)
        is_program = (version / name).is_dir() or name == "kit/run.sh"
        wanted = {(0, 0): "644", (0, 1): "755", (1, 0): "640", (1, 1): "750"}
        assert mode == wanted[is_private, is_program], name
    for folder in (place.served, place.versions, place.home / "shared/problems"):
        assert folder.stat().st_mode & 0o777 == 0o755


def test_the_bundle_is_the_same_to_the_byte_and_holds_nothing_private(place: Place) -> None:
    kit = place.kit()
    left_out = (
        *(
            "data/private/y.csv",
            "data/raw/all.csv",
            "deposited_submissions/a/b/x.py",
            ".git/config",
        ),
        *("__pycache__/problem.pyc", ".hidden", "submissions/best/estimator.py"),
        "submissions/starting_kit/training_output/y_pred.npz",
    )
    for name in (*left_out, "starting_kit.zip"):
        write(kit / name, "SECRET")
    write(kit / "run.sh", "true").chmod(0o700)
    good(place.publish())
    first = (place.served / "starting_kit.zip").read_bytes()
    with zipfile.ZipFile(place.served / "starting_kit.zip") as bundle:
        starting_kit = "submissions/starting_kit/estimator.py"
        names = ("data/test.csv", "problem.py", "run.sh", starting_kit)
        assert bundle.namelist() == [f"small/{name}" for name in names]
        assert bundle.getinfo("small/run.sh").external_attr >> 16 == 0o100755
        bundle.extractall(place.folder / "team")
    unpacked = place.folder / "team/small"
    kits.inspect_kit(unpacked, place.folder)
    moved = kit.rename(place.folder / "moved")
    shutil.copytree(moved, kit, copy_function=shutil.copyfile)  # other times, other order
    (kit / "run.sh").chmod(0o755)
    good(place.publish())
    assert (place.served / "starting_kit.zip").read_bytes() == first
    sent = {str(path.relative_to(place.served)) for path in place.served.rglob("*")}
    assert ".git" not in sent and "__pycache__" not in sent
    assert "submissions/starting_kit/training_output" not in sent
    assert {"data/private/y.csv", "submissions/best/estimator.py", ".hidden"} <= sent


def link_out(kit: Path) -> None:
    (kit / "data/x").symlink_to("../../../here")


def link_to_shadow(kit: Path) -> None:
    (kit / "data/x").symlink_to("/etc/passwd")


def link_to_nowhere(kit: Path) -> None:
    (kit / "data/x").symlink_to("nothing")


def link_to_private(kit: Path) -> None:
    write(kit / "data/private/y.csv", "1")
    (kit / "data/x").symlink_to("private/y.csv")


def link_to_git(kit: Path) -> None:
    write(kit / ".git/config", "1")
    (kit / "data/x").symlink_to("../.git")


def links_in_circles(kit: Path) -> None:
    (kit / "a").mkdir()
    (kit / "b").mkdir()
    (kit / "a/x").symlink_to("../b")
    (kit / "b/x").symlink_to("../a")


def link_to_itself(kit: Path) -> None:
    (kit / "data/x").symlink_to("x")


def pipe(kit: Path) -> None:
    os.mkfifo(kit / "data/x")


def no_text(kit: Path) -> None:
    write(kit / os.fsdecode(b"data/x\xff"), "1")


OUT = "is a link that leads out of it, or nowhere"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (link_out, f"/data/x' of the kit small {OUT}: '../../../here'."),
        (link_to_shadow, f"/data/x' of the kit small {OUT}: '/etc/passwd'."),
        (link_to_nowhere, f"/data/x' of the kit small {OUT}: 'nothing'."),
        (link_to_itself, f"/data/x' of the kit small {OUT}: 'x'."),
        (link_to_private, "is a link to data/private/y.csv, which teams may not see."),
        (link_to_git, "is a link to .git, which is not sent."),
        (links_in_circles, "/a/x/x' of the kit small is a link that runs in circles."),
        (pipe, "/data/x' of the kit small is neither a file nor a folder."),
        (no_text, "/data/x\\udcff' of the kit small has a name that is no text."),
    ],
)
def test_what_no_kit_may_hold_is_named(
    place: Place, make: Callable[[Path], None], said: str
) -> None:
    make(place.kit())
    with pytest.raises(KitError) as error:
        place.publish()
    assert said in error.value.message and error.value.hint
    assert not place.versions.exists()


def test_names_and_links_that_are_odd_and_allowed(place: Place) -> None:
    kit = place.kit()
    odd = ["-rf", "a\nb", "it's", '"q"', "$(touch hit)", "*", "\\", "é\N{SNOWMAN}", " ", ":x", "#"]
    for name in odd:
        write(kit / "data" / name / name, name)
    (kit / "data/link").symlink_to("it's")
    (kit / "submissions/starting_kit/link.py").symlink_to("estimator.py")
    good(place.publish())
    good(place.publish())
    for name in odd:
        assert (place.served / "data" / name / name).read_text() == name
    assert (place.served / "data/link/it's").read_text() == "it's"
    assert not [path for path in place.served.rglob("*") if path.is_symlink()]
    with zipfile.ZipFile(place.served / "starting_kit.zip") as bundle:
        names = set(bundle.namelist())
        assert {f"small/data/{name}/{name}" for name in odd} <= names
        assert bundle.read("small/submissions/starting_kit/link.py") == b"print('hello')\n"


def test_what_is_unchanged_is_a_hard_link_and_two_versions_stay(place: Place) -> None:
    kit = place.kit(apart=True)
    big = write(place.settings.data_path / "small/data/big.csv", "1" * 10**6)
    releases = [good(place.publish()).release]
    os.utime(big)
    write(kit / "README.md", "new")
    releases.append(good(place.publish()).release)
    one, two = (place.versions / release for release in releases)
    same = ("data/data/big.csv", "kit/problem.py", "digest", "kit/.digest")
    assert all((one / name).samefile(two / name) for name in same)
    assert not (one / "kit/starting_kit.zip").samefile(two / "kit/starting_kit.zip")
    before = (two / "data/data/big.csv").read_bytes()
    big.write_text("2" * 10**6)
    releases.append(good(place.publish()).release)
    assert (two / "data/data/big.csv").read_bytes() == before
    assert names_in(place.versions) == [*sorted(releases[1:]), "current"]


def test_readers_see_the_old_kit_or_the_new_one(place: Place) -> None:
    """From a kit that was put there by hand on, over several versions."""
    for kits_path, data_path in (
        (place.settings.kits_path, place.settings.data_path),
        (place.there.kits_path, place.there.data_path),
    ):
        place.make_kit(kits_path)
        write(kits_path / "small/number", "0")
        write(data_path / "small/data/number", "0")
    wrong: list[str] = []
    seen: set[str] = set()
    is_over = threading.Event()

    def read() -> None:
        current = place.versions / "current"
        while not is_over.is_set():
            try:
                version = os.readlink(current) if current.is_symlink() else ""
                kit = (place.served / "number").read_text()
                data = (place.there.data_path / "small/data/number").read_text()
                now = os.readlink(current) if current.is_symlink() else ""
            except OSError as error:
                wrong.append(repr(error))
                continue
            seen.add(kit)
            if kit != data and version == now:
                wrong.append(f"{kit} and {data}")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in "123":
            write(place.settings.kits_path / "small/number", number)
            write(place.settings.data_path / "small/data/number", number)
            good(place.publish())
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert seen == {"0", "1", "2", "3"}


def test_a_kit_that_was_put_there_by_hand_becomes_a_version(place: Place) -> None:
    place.kit(apart=True)
    shutil.copytree(place.settings.kits_path / "small", place.served)
    elsewhere = shutil.copytree(place.settings.data_path / "small", place.folder / "elsewhere")
    place.there.data_path.mkdir()
    (place.there.data_path / "small").symlink_to(elsewhere)
    write(place.served / "mine", "by hand")
    (sent,) = place.plan().sent.values()
    assert sent[0].endswith("in place of what was put there by hand")
    place.hook("before-switch", "false")
    assert isinstance(place.publish().error, Failed)
    assert (place.served / "mine").read_text() == "by hand"
    assert kits.data_path_of(place.served, place.there.data_path).resolve() == elsewhere
    kits.inspect_kit(place.served, place.there.data_path)
    place.hook("", "")
    outcome = good(place.publish())
    (before,) = {*names_in(place.versions)} - {"current", outcome.release}
    assert before.startswith("before-")
    assert (place.versions / before / "kit/mine").read_text() == "by hand"
    assert not (place.served / "mine").exists()
    shutil.rmtree(place.served.resolve().parent / "kit")
    assert (elsewhere / "data/test.csv").exists()


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    "point", ["after-upload", "before-prepare", "after-try", "before-switch", "after-switch"]
)
def test_a_failure_is_undone(place: Place, point: str, is_first: bool) -> None:
    kit = place.kit(apart=True)
    before = "" if is_first else good(place.publish()).release
    write(kit / "README.md", "new")
    place.hook(point, "echo no luck; exit 3")
    outcome = place.publish()
    assert isinstance(outcome.error, Failed)
    assert "no luck" in outcome.error.message and "undone" in outcome.error.hint
    if is_first:
        assert names_in(place.versions) == []
        assert names_in(place.served.parent) == names_in(place.there.data_path) == []
    else:
        assert os.readlink(place.versions / "current") == before
        assert names_in(place.versions) == [before, "current"]
        assert not (place.served / "README.md").exists()
    place.hook("", "")
    good(place.publish())
    assert (place.served / "README.md").read_text() == "new"


def test_a_failure_to_prune_leaves_the_new_kit(place: Place) -> None:
    place.kit()
    place.hook("before-prune", "false")
    outcome = place.publish()
    assert isinstance(outcome.error, Failed)
    assert os.readlink(place.versions / "current") == outcome.release


def test_what_was_cut_off_is_swept_by_the_next(place: Place) -> None:
    place.kit()
    write(place.versions / "20200101T000000-aaaaaa.partial/kit/problem.py", "half")
    write(place.versions / "20200101T000000-aaaaaa/kit/problem.py", "whole, never served")
    outcome = good(place.publish())
    assert names_in(place.versions) == [outcome.release, "current"]


def test_two_at_once_are_told(place: Place) -> None:
    place.kit()
    with (
        workplace("small"),
        pytest.raises(DataboardError, match="is packed on this machine already"),
    ):
        place.publish()
    good(place.publish())
    place.hook(
        "after-preflight",
        f"ln -sfn 20200101T000000-bbbbbb {place.versions}/current",
    )
    outcome = place.publish()
    assert "Somebody published small just now." in str(outcome.error)


def test_other_data_is_not_put_under_events(opened: Place) -> None:
    good(opened.publish())  # the same
    write(opened.settings.kits_path / "small/README.md", "other words")
    write(opened.settings.kits_path / "small/submissions/best/estimator.py", "")
    good(opened.publish())  # what scores do not depend on
    before = everything(opened.versions)
    write(opened.settings.kits_path / "small/data/private/y.csv", "1")
    for do in (opened.publish, opened.plan):
        with pytest.raises(DataboardError) as error:
            do()
        assert error.value.message == (
            "small, again are events of small, whose problem.py or data here is not that on "
            "localhost."
        )
        assert "--force" in error.value.hint
    assert everything(opened.versions) == before
    assert opened.plan(force=True).sent
    outcome = good(opened.publish(force=True))
    inv = f"inv run-on localhost --target=local -- {opened.home}/bin/inv"
    assert outcome.next_steps == (
        f"{inv} add-event small small --force",
        f"{inv} train-test small --force",
        f"{inv} add-event small again --force",
        f"{inv} train-test again --force",
    )
    assert good(opened.publish()).next_steps == ()


@pytest.mark.parametrize("path", ["problem.py", "external_imports/w.py", "data/test.csv"])
def test_each_file_that_decides_scores_counts(opened: Place, path: str) -> None:
    file = opened.settings.kits_path / "small" / path
    write(file, (file.read_text() if file.exists() else "") + "\n")
    with pytest.raises(DataboardError, match="--force"):
        opened.publish()


def test_a_kit_put_there_by_hand_is_compared_too(place: Place, migrated_sqlite: Path) -> None:
    place.release(migrated_sqlite)
    kit = place.kit(apart=True)
    write(kit / "data/it's\n\\odd", "1")
    write(kit / "external_imports/deep/w.py", "")
    for here, there in (
        (kit, place.served),
        (place.settings.data_path / "small", place.there.data_path / "small"),
    ):
        shutil.copytree(here, there)
    write(place.served / "data/__pycache__/x.pyc", "")
    place.add_event("small")
    good(place.publish())
    shutil.rmtree(place.versions)
    place.served.unlink()
    shutil.copytree(kit, place.served)
    write(place.served / "data/more.csv", "1")
    with pytest.raises(DataboardError, match="small is an event of small, whose"):
        place.publish()


def test_a_kit_that_does_not_load_there_is_not_switched_to(opened: Place) -> None:
    lines = 'import os\nif "DATABOARD_DB_URL" in os.environ: raise ImportError("too old")\n'
    file = opened.settings.kits_path / "small/problem.py"
    write(file, file.read_text() + lines)
    outcome = opened.publish(force=True)
    assert isinstance(outcome.error, Failed)
    assert "The step try failed" in str(outcome.error)
    assert "of the kit small cannot be imported: ImportError: too old" in str(outcome.error)
    assert "too old" not in (opened.served / "problem.py").read_text()


def test_a_kit_is_loaded_in_its_environment_here_and_there(opened: Place) -> None:
    """A Python with a variable stands in for one with other packages."""
    needs = "old==1"

    def make(settings: Settings, variable: str) -> None:
        python = environments.python_of(settings, needs)
        write(python, f'#!/bin/sh\n{variable}=1 exec {sys.executable} "$@"\n').chmod(0o755)

    def publish() -> Published:
        listener = Listener()
        target, force = opened.target(), True
        return problem.publish_problem(target, "small", opened.settings, force, listener, needs)

    file = opened.settings.kits_path / "small/problem.py"
    write(file, f"{file.read_text()}import os\nos.environ['OLD']\n")
    with pytest.raises(KitError, match="cannot be imported: KeyError: 'OLD'"):
        opened.publish(force=True)
    make(opened.settings, "OLD")
    good(publish())  # it is not made there yet
    make(opened.there, "OTHER")
    assert "cannot be imported: KeyError: 'OLD'" in str(publish().error)
    make(opened.there, "OLD")
    good(publish())


def test_a_database_that_does_not_answer_is_told(opened: Place) -> None:
    (opened.home / "shared/databoard.db").write_bytes(b"no database" * 100)
    with pytest.raises(DataboardError, match="localhost cannot tell the events of small"):
        opened.publish()


def test_a_dry_run_changes_nothing(place: Place) -> None:
    kit = place.kit()
    plan = place.plan()
    names = [name for name, _, _ in plan.steps]
    assert names == ["upload", "prepare", "try", "switch", "prune"]
    assert [*plan.sent.values()] == [["everything: 6 files"]]
    assert not place.home.exists()
    good(place.publish())
    before = everything(place.home)
    assert [*place.plan().sent.values()] == [[]]
    write(kit / "data/test.csv", "2")
    (kit / "submissions/starting_kit/estimator.py").rename(kit / "submissions/x")
    write(kit / "submissions/starting_kit/estimator.py", "other")
    (sent,) = place.plan().sent.values()
    assert {line.split()[-1] for line in sent} == {
        *("digest", "kit/.digest", "kit/data/test.csv", "kit/starting_kit.zip"),
        *("kit/submissions/x", "kit/submissions/starting_kit/estimator.py"),
    }
    assert everything(place.home) == before


@pytest.mark.parametrize("way", ["prepare_data", "download_data", "both"])
def test_data_is_made_by_the_kit(place: Place, way: str) -> None:
    downloads = "import os; os.makedirs('data'); open('data/test.csv', 'w').write('1')\n"
    if way == "both":
        downloads = downloads.replace("'data'", "'data/raw'").replace("data/test", "data/raw/all")
    kit = place.make_kit(
        place.settings.kits_path, lines=READS + PREPARES * (way != "download_data")
    )
    write(kit / "data/.gitkeep", "").parent.joinpath("raw").mkdir()
    shutil.rmtree(kit / "data")
    if way != "prepare_data":
        write(kit / "download_data.py", downloads)
    plan = place.plan()
    assert plan.notes[0].startswith("its data would be made first, with ") and plan.steps
    assert not (kit / "data").exists()
    outcome = good(place.publish())
    assert outcome.notes[0].startswith("made its data with")
    assert (place.served / "data/test.csv").read_text() == "1"
    assert (place.served / "data/private").exists() == (way != "download_data")
    assert not (kit / "__pycache__").exists()
    assert good(place.publish()).notes == ()  # it is there


@pytest.mark.parametrize("way", ["prepare_data() of problem.py", "download_data.py"])
def test_data_that_cannot_be_made_is_told_and_leaves_no_half(place: Place, way: str) -> None:
    fails = "open('data/test.csv', 'w').write('1'); print('half'); raise SystemExit('disk on fire')"
    kit = place.make_kit(
        place.settings.kits_path,
        lines=READS + (f"def prepare_data(): {fails}" if "prepare" in way else ""),
    )
    write(kit / "data/raw/all.csv", "1")
    if "download" in way:
        write(kit / "download_data.py", fails)
    with pytest.raises(KitError) as error:
        place.publish()
    assert error.value.message.startswith(f"{way} of the kit small failed (exit 1):")
    assert "half" in error.value.message and "disk on fire" in error.value.message
    assert names_in(kit / "data") == ["raw"] and names_in(kit / "data/raw") == ["all.csv"]


def test_a_way_that_makes_no_data_is_told(place: Place) -> None:
    kit = place.make_kit(place.settings.kits_path, lines="def prepare_data(): pass")
    with pytest.raises(KitError) as error:
        place.publish()
    assert error.value.message == (
        f"prepare_data() of problem.py of the kit small left no data in {kit / 'data'}."
    )


def test_a_kit_that_is_not_good_is_not_sent(place: Place) -> None:
    place.make_kit(place.settings.kits_path, lines="del get_cv")
    with pytest.raises(KitError, match="lacks get_cv"):
        place.publish()
    for name, wanted in (("nothing", KitError), ("../small", InvalidValue), ("", InvalidValue)):
        with pytest.raises(wanted):
            problem.publish_problem(place.target(), name, place.settings, False, Listener())
    assert not place.home.exists()


def test_a_notebook_is_rendered_if_it_can_be(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = place.kit()
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["# Welcome"]}]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    write(kit / "small_starting_kit.ipynb", json.dumps(notebook))
    outcome = good(place.publish())
    page = place.served / "small_starting_kit.html"
    if outcome.notes:
        assert outcome.notes == (NOT_RENDERED,) and not page.exists()
    else:
        assert "Welcome" in page.read_text() and page.stat().st_mode & 0o777 == 0o644
    # a program in the place of nbconvert, which says what it was asked for
    write(
        place.folder / "modules/nbconvert.py",
        "import sys\n"
        "if '# Broken' in open(sys.argv[-1]).read(): raise ValueError('no notebook')\n"
        "open(sys.argv[-1][:-5] + 'html', 'w').write('<head>' + sys.argv[1])\n",
    )
    monkeypatch.setenv("PYTHONPATH", str(place.folder / "modules"))
    monkeypatch.syspath_prepend(place.folder / "modules")
    assert good(place.publish()).notes == ()
    assert page.read_text() == f"{HEAD}--to=html" and page.stat().st_mode & 0o777 == 0o644
    assert not (kit / page.name).exists()
    write(kit / "small_starting_kit.ipynb", "# Broken")
    assert good(place.publish()).notes == ("no notebook rendered: ValueError: no notebook",)
    assert not page.exists()


def test_the_command(place: Place) -> None:
    place.kit()

    def inv(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*(sys.executable, "-m", "invoke", "--search-root", str(ROOT)), *arguments],
            env={
                **os.environ,
                "DATABOARD_INVENTORIES": str(place.folder / "inventories"),
                "DATABOARD_DEPLOYMENT_PATH": str(place.settings.deployment_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    dry = inv("publish-problem", "small", "--target=local", "--dry-run")
    assert dry.returncode == 0 and "Files that rsync would send, localhost:" in dry.stdout
    done = inv("publish-problem", "small", "--target=local")
    assert done.returncode == 0, done.stderr
    assert "upload, prepare, try, switch, prune" in done.stdout
    version = os.readlink(place.versions / "current")
    assert done.stdout.endswith(f"local has small in version {version}.\n")
    place.hook("before-switch", "false")
    failed = inv("publish-problem", "small", "--target=local")
    assert failed.returncode == 1 and "failed" in failed.stdout
    assert "The step switch failed" in failed.stderr and "Traceback" not in failed.stderr
