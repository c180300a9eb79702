"""The command line: what people type, and what they are told."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from invoke import Collection
from sqlalchemy.exc import OperationalError

import tasks
from databoard import config, database, events, people, submissions
from databoard.errors import DataboardError
from databoard.leaderboard import load_event
from tasks.command import explain
from tests.mistakes import BOOLEAN, MISTAKES, TABLE
from tests.test_leaderboard import add_scored
from tests.typist import Inv, Said

COMMANDS = Collection.from_module(tasks).tasks
INV = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT)]
HEAVY = {"sqlalchemy", "alembic", "pandas", "numpy", "scipy", "sklearn", "rampwf", "flask", "rich"}
HEAVY |= {"psycopg2", "sqlite3", "databoard", "fabric", "paramiko", "jinja2"}


@dataclass(frozen=True)
class World:
    """A deployment, and the command line on it."""

    folder: Path
    inv: Inv

    def state(self) -> tuple[str, list[tuple[str, str]]]:
        """All tables, and all files but the database's."""
        with closing(sqlite3.connect(self.folder / "databoard.db")) as connection:
            tables = "\n".join(connection.iterdump())
        files = [path for path in sorted(self.folder.rglob("*")) if "databoard.db" not in path.name]
        return tables, [
            (str(path), hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
            for path in files
        ]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    migrated_sqlite: Path,
    make_kit: Callable[..., Path],
    typist: Inv,
) -> World:
    """An event `autumn` of the kit `small`, people in all stages, three submissions.

    Shared by all tests that change nothing.
    """
    folder = tmp_path_factory.mktemp("world") / "deployment"
    settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(folder)})
    settings.make_folders()
    shutil.copyfile(migrated_sqlite, folder / "databoard.db")
    store = folder.with_name("deployment-store")
    store.mkdir()
    (store / "databoard-store").touch()
    kit = make_kit(settings.kits_path)
    make_kit(settings.kits_path, "broken", "del get_cv")
    engine = database.open_engine(settings.db_url)
    events.add_problem(engine, settings, "small")
    events.add_event(engine, settings, "small", "autumn", "Autumn school")
    with database.session_scope(engine) as session:
        for name, level in (("saffron", "user"), ("juniper", "asked"), ("lovage", "user")):
            people.create_user(session, name, f"{name}@example.org", access_level=level)
        session.flush()
        people.sign_up_team(session, "autumn", "saffron")
        session.flush()
        path = kit / "submissions" / "starting_kit"
        submissions.submit(session, settings, "autumn", "saffron", "first", path)
        event = load_event(session, "autumn")
        add_scored(session, event, "saffron", "ranked", (0.5, 0.25))
        add_scored(session, event, "saffron", "undefined", (None, None))
    engine.dispose()
    return World(
        folder, lambda *typed, **env: typist(*typed, DATABOARD_DEPLOYMENT_PATH=str(folder), **env)
    )


@pytest.fixture
def unchanged(world: World) -> Iterator[World]:
    """The world, which the test leaves as it is."""
    before = world.state()
    yield world
    assert world.state() == before


# -- the table of commands


def test_the_commands_are_those_of_the_table() -> None:
    assert sorted(COMMANDS) == sorted(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_every_command_explains_itself(name: str) -> None:
    command = COMMANDS[name]
    doc = (command.__doc__ or "").strip()
    assert re.fullmatch(r"[A-Z][^\n]*\.", doc), doc
    for argument in command.get_arguments():
        assert argument.help and argument.help.endswith("."), argument.name


def test_the_list_has_a_line_of_80_columns_for_each(unchanged: World) -> None:
    said = unchanged.inv("--list")
    lines = said.stdout.strip().splitlines()[2:]
    assert [line.split()[0] for line in lines] == sorted(TABLE)
    assert all(len(line) <= 80 and line.rstrip().endswith(".") for line in lines), said.stdout


def test_the_list_imports_nothing_heavy() -> None:
    script = (
        "import sys; from invoke.main import program\n"
        f"sys.argv = ['inv', '--search-root', {str(config.ROOT)!r}, '--list']\n"
        "try: program.run()\n"
        "except SystemExit: print('modules', *{name.split('.')[0] for name in sys.modules})\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "tasks" in loaded and not HEAVY & loaded


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("delete-submission", "inv delete-submission EVENT TEAM SUBMISSION [--options]"),
        ("credit", "inv credit EVENT TEAM SUBMISSION [SOURCES]"),
        ("add-score-type", "inv add-score-type NAME [IS-LOWER-THE-BETTER] [MINIMUM] [MAXIMUM]"),
        ("list-users", "inv list-users [--options]"),
        ("generate-single-password", "inv generate-single-password"),
    ],
)
def test_help_says_what_is_typed_in_its_order(unchanged: World, name: str, usage: str) -> None:
    said = unchanged.inv(name, "--help")
    assert said.stdout.startswith(f"Usage: {usage}\n\n{COMMANDS[name].__doc__}\n")


@pytest.mark.parametrize("name", TABLE)
def test_help_wherever_it_is_typed(unchanged: World, name: str) -> None:
    said = unchanged.inv(name, "--help")
    assert (said.code, said.stderr) == (0, "")
    assert (COMMANDS[name].__doc__ or "").strip() in said.stdout
    for argument in COMMANDS[name].get_arguments():
        assert f"--{argument.name.replace('_', '-')}" in said.stdout.replace("[no-]", "")
    positional = [argument for argument in COMMANDS[name].get_arguments() if argument.positional]
    for typed in (
        ("--help", name),
        (name, "-h"),
        *((name, *["x"] * n, "--help") for n in range(1, len(positional) + 1)),
    ):
        assert unchanged.inv(*typed) == said


# -- mistakes

CASES = [
    pytest.param((name, *typed) if name else typed, said, id=ascii(f"{name} {typed}"[:70]))
    for name, mistakes in MISTAKES.items()
    for typed, said in mistakes.items()
]


@pytest.mark.parametrize(("typed", "said"), CASES)
def test_mistakes(unchanged: World, typed: tuple[str, ...], said: str) -> None:
    here = str(unchanged.folder)
    answer = unchanged.inv(*(word.replace("{world}", here) for word in typed))
    assert answer == Said("", said.replace("{world}", here) + "\n", 1)


def test_every_command_has_its_mistakes_here() -> None:
    assert set(TABLE) == set(MISTAKES) - {""}


DATABASE_MISTAKES = {
    "DATABOARD_TEST=perhaps": f"DATABOARD_TEST is 'perhaps'.\n{BOOLEAN}",
    "DATABOARD_DB_URL=mysql://h/d": "DATABOARD_DB_URL names the database kind 'mysql'.\n"
    "Use postgresql://user:password@host/name or sqlite:////absolute/path.db.",
    "DATABOARD_DB_URL=postgresql://u:secret@127.0.0.1:1/d": "The database "
    "postgresql://u:***@127.0.0.1:1/d does not answer: connection to server at "
    '"127.0.0.1", port 1 failed: Connection refused\n'
    "Check DATABOARD_DB_URL, and that the server runs.",
    "DATABOARD_DB_URL=sqlite:////nowhere/d.db": "There is no Databoard database at "
    "sqlite:////nowhere/d.db.\nMake it with: inv db-upgrade",
}


@pytest.mark.parametrize("variable", DATABASE_MISTAKES)
@pytest.mark.parametrize("typed", [("leaderboard", "autumn"), ("approve-user", "juniper")])
def test_mistakes_in_the_environment(
    unchanged: World, variable: str, typed: tuple[str, ...]
) -> None:
    name, _, value = variable.partition("=")
    answer = unchanged.inv(*typed, **{name: value})
    assert answer == Said("", DATABASE_MISTAKES[variable] + "\n", 1)


@pytest.mark.parametrize("place", ["first", "last"])
def test_debug_shows_the_traceback(unchanged: World, place: str) -> None:
    typed = ["approve-user", "juniperr"]
    said = unchanged.inv(*(["--debug", *typed] if place == "first" else [*typed, "--debug"]))
    assert said.code == 1
    assert "Traceback (most recent call last)" in said.stderr
    assert said.stderr.endswith(
        "databoard.errors.NotFound: There is no user 'juniperr'.\nDid you mean juniper?\n"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataboardError("This.", "That."), "This.\nThat."),
        (DataboardError("\x1b[31mThis\x07.", "Th\tat."), "\\x1b[31mThis\\x07.\nTh\tat."),
        (
            PermissionError(13, "Permission denied", "/x"),
            "Permission denied: /x\nCheck who may read and write there.",
        ),
        (
            OSError(28, "No space left on device"),
            "No space left on device.\nMake room on the disk, then repeat the command.",
        ),
        (
            UnicodeEncodeError("utf-8", "\udcff", 0, 1, ""),
            "'\\udcff' is not text.\nType it in UTF-8.",
        ),
        (ZeroDivisionError(), None),
        (OSError("no number"), None),
    ],
    ids=str,
)
def test_what_is_a_mistake_and_what_is_a_bug(error: Exception, said: str | None) -> None:
    assert explain(error) == said


def test_a_database_that_goes_away_is_not_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABOARD_DB_URL", "postgresql://u:secret@host/d")
    said = explain(OperationalError("SELECT 1", {}, Exception("server closed\nmore")))
    assert said is not None and said.startswith(
        "The database postgresql://u:***@host/d does not answer: server closed\n"
    )


# -- what goes right


def test_a_challenge_is_set_up(
    typist: Inv, migrated_url: str, tmp_path: Path, make_kit: Callable[..., Path]
) -> None:
    deployment = tmp_path / "deployment"
    kit = make_kit(deployment / "ramp-kits") / "submissions" / "starting_kit"
    shown = migrated_url.replace("not-a-secret", "***")
    revision = database.head_revision()
    for typed, said in (
        ("db-upgrade", f"{shown} is at revision {revision}."),
        ("db-current", f"database: {revision}, code: {revision}"),
        ("add-workflow-element-type regressor code", "Added the workflow element type regressor "
         "(code)."),
        ("add-workflow-element-type prices data", "Added the workflow element type prices (data)."),
        ("add-workflow Market prices,regressor", "Added the workflow Market: prices, regressor."),
        ("add-score-type rmse yes 0 inf", "Added the score type rmse."),
        ("add-score-type r2 False -inf 1", "Added the score type r2."),
        ("add-score-type --maximum 1 gini 0 -1", "Added the score type gini."),
        ("add-problem small", "Added the problem small: Small."),
        ("add-problem small --force", "Added the problem small: Small."),
        ("add-event small", "Added the event small: Small, 2 folds."),
        ("add-event small autumn Fall --is-public", "Added the event autumn: Fall, 2 folds."),
        ("add-event small autumn --force --time-limit 9", "Added the event autumn: Fall, 2 folds."),
        ("create-user saffron s@example.org", "Added the user saffron. Approve: inv approve-user "
         "saffron"),
        ("create-user gardener g@example.org --admin", "Added the user gardener."),
        (f"add-test-users {tmp_path}/trial --count=1", "Added 1 user; there already: 0."),
        ("approve-user saffron", "Approved the user saffron."),
        ("sign-up-team autumn saffron", "Signed saffron up to autumn."),
        (f"submit autumn saffron first {kit}", "Submitted first of saffron to autumn."),
        (f"submit autumn saffron second {kit}/estimator.py", "Submitted second of saffron to "
         "autumn."),
        ("submit-starting-kit autumn saffron", "Submitted the starting kit for saffron to "
         "autumn."),
        ("set-state autumn saffron first deleted", "first of saffron in autumn: new -> deleted."),
        ("set-state autumn saffron first new", "first of saffron in autumn: deleted -> new."),
        (f"submit autumn saffron first {kit}", "Submitted first of saffron to autumn."),
        ("add-keyword images data_domain", "Added the keyword images (data_domain)."),
        ("add-keyword clustering data_science_theme", "Added the keyword clustering "
         "(data_science_theme)."),
        ("set-keywords small images,clustering", "The keywords of small: images, clustering."),
        ("set-keywords small none", "The keywords of small: none."),
        ("update-event autumn --min-seconds=60 --opening-at=2026-12-01T09:00+02:00",
         "Changed the event autumn: min_seconds 900 -> 60, opening_at none -> "
         "2026-12-01T07:00:00+00:00."),
        ("update-event autumn --opening-at=none --min-seconds=60", "Changed the event autumn: "
         "opening_at 2026-12-01T07:00:00+00:00 -> none."),
        ("update-event autumn --is-public=yes", "Changed the event autumn: nothing, it was so."),
        ("credit autumn saffron second saffron/first=.3", "second of saffron owes 0.3 to "
         "saffron/first."),
        ("credit autumn saffron first", "first of saffron owes nothing."),
        ("exclude-from-ensemble autumn saffron second", "second of saffron is out of the ensemble "
         "of autumn."),
        ("exclude-from-ensemble autumn saffron second --back", "second of saffron is again in the "
         "ensemble of autumn."),
        ("update-leaderboards", "There is nothing to update: a leaderboard is a query, and always "
         "true."),
        ("withdraw autumn saffron second", "Withdrew second of saffron from autumn."),
        ("set-state autumn saffron second new", "second of saffron in autumn: deleted -> new."),
    ):  # fmt: skip
        variables = {"DATABOARD_DB_URL": migrated_url, "DATABOARD_DEPLOYMENT_PATH": str(deployment)}
        answer = typist(*typed.split(), **variables)
        assert answer == Said(f"{said}\n", "", 0), typed
    answer = typist("print-submissions", "autumn", **variables)
    assert re.findall(r"saffron +(\w+) +(\w+)", answer.stdout) == [
        ("first", "new"),
        ("second", "new"),
        ("starting_kit", "new"),
    ]
    assert len(list((deployment / "submissions").iterdir())) == 3
    settings = json.loads(typist("update-event", "autumn", "--json", **variables).stdout)
    assert (settings["min_seconds"], settings["official_score"]) == (60, "acc")
    assert "min_seconds             60 " in typist("update-event", "autumn", **variables).stdout
    for typed, kept, lines in (
        ("delete-submission autumn saffron second", 2, 2),
        ("delete-event-team autumn saffron", 0, 1),
        ("delete-event autumn", 0, 0),
        ("delete-problem small", 0, 1),
    ):
        shown = typist(*typed.split(), **variables)
        assert shown.code == 1 and shown.stdout.startswith("This would delete the "), shown
        assert shown.stdout.count("\n  with ") == lines, shown
        assert shown.stderr == "Nothing was deleted. If it shall be, add --yes.\n"
        gone = typist(*typed.split(), "--yes", **variables)
        assert gone.stdout == shown.stdout.replace("This would delete", "Deleting") + "Deleted.\n"
        assert (gone.code, gone.stderr) == (0, "")
        assert len(list((deployment / "submissions").glob("submission_*"))) == kept
    assert kit.is_dir()


LISTS = {
    "list-workflow-element-types": ("name", "kind", "workflows"),
    "list-workflows": ("name", "elements"),
    "list-score-types": ("name", "is_lower_the_better", "minimum", "maximum", "events"),
    "list-problems": ("name", "title", "workflow", "events", "keywords"),
    "list-events": ("name", "problem", "title", "is_public", "opening_at", "public_opening_at",
                    "closing_at", "teams", "submissions"),
    "list-users": ("name", "firstname", "lastname", "email", "access_level", "created_at"),
    "list-teams": ("name", "members", "events"),
    "keywords": ("name", "kind", "description", "problems"),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_lists_as_table_and_json(unchanged: World, name: str) -> None:
    rows = json.loads(unchanged.inv(name, "--json").stdout)
    assert all(tuple(row) == LISTS[name] for row in rows)
    table = unchanged.inv(name)
    assert (table.code, table.stderr) == (0, "") and bool(rows) != ("nothing yet" in table.stdout)
    for row in rows:
        assert re.search(rf"^  {row['name']} ", table.stdout, re.MULTILINE)


def test_boards_are_exported(world: World, tmp_path: Path) -> None:
    said = world.inv("export-leaderboards", "autumn", str(tmp_path / "boards"))
    assert (said.code, said.stderr) == (0, "")
    assert sorted(said.stdout.split()) == sorted(map(str, (tmp_path / "boards").iterdir()))
    board = (tmp_path / "boards" / "autumn_public.json").read_text()
    assert board == world.inv("leaderboard", "autumn", "--json").stdout


@pytest.mark.parametrize("typed", ["True", "true", "1", "yes", "YES", "False", "0", "no"])
def test_booleans_in_all_spellings(
    typist: Inv, migrated_sqlite: Path, tmp_path: Path, typed: str
) -> None:
    path = shutil.copyfile(migrated_sqlite, tmp_path / "databoard.db")
    answer = typist(
        "add-score-type", "a", typed, "-1e3", ".5", DATABOARD_DB_URL=f"sqlite:///{path}"
    )
    assert answer.code == 0
    with closing(sqlite3.connect(path)) as connection:
        (row,) = connection.execute("SELECT is_lower_the_better, minimum, maximum FROM score_type")
    assert row == (typed.lower() in ("true", "1", "yes"), -1000.0, 0.5)


def test_a_password_is_read_from_standard_input(
    typist: Inv, migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = shutil.copyfile(migrated_sqlite, tmp_path / "databoard.db")
    answer = typist(
        *("create-user", "saffron", "s@example.org", "--password", "--firstname", "Saf Fron"),
        stdin="correct horse\n",
        DATABOARD_DB_URL=f"sqlite:///{path}",
    )
    assert answer.code == 0
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT password_hash, firstname FROM user_account"
        ((hashed, firstname),) = connection.execute(query)
    assert hashed.startswith("$argon2id$") and firstname == "Saf Fron"


def test_boards_as_table_json_and_csv(unchanged: World) -> None:
    table = unchanged.inv("leaderboard", "autumn").stdout
    assert table.startswith("Autumn school: public leaderboard\n")
    assert re.findall(r"saffron +(\w+) +(\S+)", table) == [("ranked", "0.50"), ("undefined", "-")]
    rows = json.loads(unchanged.inv("leaderboard", "autumn", "--json").stdout)
    assert [(row["submission"], row["acc"]) for row in rows] == [
        ("ranked", 0.5),
        ("undefined", None),
    ]
    of_csv = list(csv.DictReader(StringIO(unchanged.inv("leaderboard", "autumn", "--csv").stdout)))
    assert [row["acc"] for row in of_csv] == ["0.5", ""]
    assert list(of_csv[0]) == list(rows[0])
    private = json.loads(unchanged.inv("leaderboard", "--private", "autumn", "--json").stdout)
    assert [row["acc_test_bag"] for row in private] == [0.25, None]
    best = json.loads(unchanged.inv("leaderboard", "autumn", "--competition", "--json").stdout)
    assert [row["submission"] for row in best] == ["ranked"]
    new = json.loads(unchanged.inv("leaderboard", "autumn", "--new", "--json").stdout)
    assert [row["submission"] for row in new] == ["first"]
    limited = json.loads(
        unchanged.inv("leaderboard", "autumn", "--json", "--limit", "1", "--kind=mean").stdout
    )
    assert limited == rows[:1]
    assert "nothing yet" in unchanged.inv("leaderboard", "autumn", "--failed").stdout


@pytest.mark.slow
def test_train_test(typist: Inv, tmp_path: Path) -> None:
    kit = shutil.copytree(
        Path(__file__).parent / "kits" / "estimator", tmp_path / "ramp-kits" / "clouds"
    )
    broken = tmp_path / "estimator.py"
    broken.write_text("def get_estimator():\n    return 1 / 0\n")

    def inv(typed: str, code: int = 0) -> str:
        answer = typist(*typed.split(), DATABOARD_DEPLOYMENT_PATH=str(tmp_path))
        assert answer.code == code, answer
        return answer.stdout + answer.stderr

    inv("db-upgrade")
    inv("add-problem clouds")
    inv("add-event clouds")
    for name in ("saffron", "juniper"):
        inv(f"create-user {name} {name}@example.org --admin")
        inv(f"sign-up-team clouds {name}")
    inv("submit-starting-kit clouds saffron")
    inv(f"submit clouds juniper broken {broken}")
    said = inv("train-test clouds --team saffron --jobs 2")
    assert "clouds/saffron/starting_kit: fold 2/2\n" in said
    assert said.endswith("Trained 1 of clouds: 1 scored.\n")
    said = inv("train-test clouds")
    assert said.endswith(
        "clouds/juniper/broken: training_error (ZeroDivisionError: division by zero)\n"
        "Trained 1 of clouds: 1 training_error.\n"
    )
    assert inv("train-test clouds") == "Nothing to train.\n"
    assert inv("train-test clouds --submission nowhere --force") == "Nothing to train.\n"
    (row,) = csv.DictReader(StringIO(inv("leaderboard clouds --csv")))
    assert row["team"] == "saffron" and 0.5 < float(row["auc"]) < 1
    assert 'estimator.py", line 2, in get_estimator' in inv("print-submissions clouds --errors")
    (kit / "problem.py").unlink()
    assert "1 checking_error.\n" in inv("train-test clouds --state scored", code=1)
    said = inv("train-test clouds --force", code=1)
    assert "Trained 2 of clouds: 2 checking_error.\n" in said
    assert said.endswith("See why: inv print-submissions clouds --errors\n")


# -- a process of its own


@pytest.mark.parametrize(
    "typed",
    [("leaderboard", "autumn"), ("delete-event", "autumn"), ("--list",), ("plan", "--help")],
    ids=" ".join,
)
def test_a_reader_that_has_seen_enough(world: World, typed: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [*INV, *typed],
        env=os.environ | {"DATABOARD_DEPLOYMENT_PATH": str(world.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("closing", "typed", "said"),
    [
        (">&-", ["list-users"], (0, "")),
        (
            "<&-",
            ["create-user", "hyssop", "hyssop@example.org", "--password"],
            (1, "There is no password.\nType it, or give it by standard input.\n"),
        ),
    ],
)
def test_with_its_input_or_output_closed(
    world: World, closing: str, typed: list[str], said: tuple[int, str]
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {closing}', "sh", *INV, *typed],
        env=os.environ | {"DATABOARD_DEPLOYMENT_PATH": str(world.folder)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == said


def test_typed_for_real(world: World, tmp_path: Path) -> None:
    def run(*typed: str) -> Said:
        done = subprocess.run(
            [*INV, *typed],
            env=os.environ | {"DATABOARD_DEPLOYMENT_PATH": str(world.folder)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return Said(done.stdout, done.stderr, done.returncode)

    for typed in (["leaderboard", "autumn"], ["leaderboard", "autum"], ["add-event", "--help"]):
        assert run(*typed) == world.inv(*typed)
