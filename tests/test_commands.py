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
from databoard import config, database, events, manifest, people, submissions
from databoard.errors import DataboardError
from databoard.fleet import inventory
from databoard.leaderboard import load_event
from tasks.command import explain
from tests.test_leaderboard import add_scored

COMMANDS = Collection.from_module(tasks).tasks
ADMIN = "fetch-problem check-problem prepare-data bundle-problem submit-deposited plan apply "
ADMIN += "environments "
ADMIN += "add-workflow-element-type add-workflow add-score-type add-problem add-event create-user "
ADMIN += "approve-user sign-up-team submit submit-starting-kit train-test set-state "
ADMIN += "print-submissions leaderboard update-event list-workflow-element-types list-workflows "
ADMIN += "list-score-types list-problems list-events list-users list-teams keywords add-keyword "
ADMIN += "set-keywords delete-submission delete-event-team delete-event delete-problem withdraw "
ADMIN += "cancel credit exclude-from-ensemble score-submission export-leaderboards "
ADMIN += "update-leaderboards add-team add-member set-access-level make-event-admin "
ADMIN += "generate-single-password generate-passwords add-users-from-file "
ADMIN += "sign-up-event-users-from-file compute-contributivity "
ADMIN += "delete-user add-test-users send-password-mail send-password-mails"
FLEET = "publish-software publish-problem rollback releases status check restart reload logs "
FLEET += "maintenance unlock set-up-host run-on inventory lab-up lab-down"
OPS = "backend-train-test-loop db-upgrade db-migrate db-current db-dump db-restore "
OPS += "test-setup demo serve test "
OPS += "backup backups verify-backup check-backups prune-backups restore"
TABLE = [*ADMIN.split(" "), *FLEET.split(" "), *OPS.split(" ")]
INV = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT)]
HEAVY = {"sqlalchemy", "alembic", "pandas", "numpy", "scipy", "sklearn", "rampwf", "flask", "rich"}
HEAVY |= {"psycopg2", "sqlite3", "databoard", "fabric", "paramiko", "jinja2"}

# A process that has imported what all commands need, and forks for each: as if typed, but quick.
TYPIST = """
import json, os, sys, traceback
import invoke.main
import databoard.events, databoard.leaderboard, databoard.listing, databoard.export
import databoard.people, databoard.submissions, rich.table
import sqlalchemy.dialects.sqlite, sqlalchemy.dialects.postgresql.psycopg2

for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for target, name in enumerate(order["files"]):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC * (target > 0)), target)
            sys.stdin = open(0, closefd=False)
            os.chdir(order["folder"])
            os.environ.clear()
            os.environ.update(order["environment"])
            sys.argv = ["inv", "--search-root", order["root"], *order["arguments"]]
            invoke.main.program.run()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    stdout: str
    stderr: str
    code: int


Inv = Callable[..., Said]


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
def typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inv]:
    """inv(*arguments, stdin="", **environment) in a folder of its own."""
    folder = tmp_path_factory.mktemp("typist")
    files = [str(folder / name) for name in ("stdin", "stdout", "stderr")]
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    command = [sys.executable, "-c", TYPIST]
    with subprocess.Popen(
        command, cwd=config.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def inv(*arguments: str, stdin: str = "", **environment: str) -> Said:
            Path(files[0]).write_text(stdin)
            order = {
                "arguments": arguments,
                "root": str(config.ROOT),
                "folder": str(folder),
                "files": files,
                "environment": kept | environment,
            }
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            return Said(Path(files[1]).read_text(), Path(files[2]).read_text(), code)

        yield inv
        process.stdin.close()


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

LETTERS = "Use letters, digits, '_', '-' and single '.', beginning with a letter, digit or '_'."
NUMBER = "Use a number; inf is one."
COUNT = "Use a whole number from 1 to 2147483647."
BOOLEAN = "Use True or False (or 1/0, yes/no)."
NAMES = "Write names with commas between them, each once."
OTHER = "Choose another name."
EVENT = "There is no event 'autum'.\nDid you mean autumn?"
NO_KIT = "There is no kit titanic in {world}/ramp-kits.\nGet it: inv fetch-problem titanic"
BROKEN = "problem.py lacks get_cv.\nThere is no data in {world}/ramp-kits/broken/data: "
BROKEN += "inv prepare-data broken\nMend it in {world}/ramp-kits/broken."
NO_MANIFEST = "There is no manifest 'titanik' in databoard/specific/events.\n"
NO_MANIFEST += f"Did you mean 'titanic'? Manifests: {', '.join(manifest.names())}."
NO_USER = "There is no user 'safron'.\nDid you mean saffron?"
NO_MAIL_SERVER = "DATABOARD_SMTP_URL names no mail server.\nWrite "
NO_MAIL_SERVER += "smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://USER:PASSWORD@HOST:465."
NO_TEAM = "There is no team 'safron'.\nDid you mean saffron?"
TITLE = "Use 1 to 200 characters on one line."
STATES = (
    "States: new, training, trained, validated, tested, scored, training_error, "
    "validating_error, testing_error, scoring_error, checking_error, deleted."
)
BOARDS = "These options do not go together.\nChoose one of --new, --failed, --private and/or "
BOARDS += "--competition; --json or --csv."
STARTING_KIT = "{world}/ramp-kits/small/submissions/starting_kit"


def missing(command: str, *names: str) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    return (
        f"'{command}' did not receive required positional arguments: {listed}\n"
        f"See: inv {command} --help"
    )


def unknown(command: str, typed: str) -> str:
    return f"No idea what '{typed}' is!\nSee: inv {command} --help"


NO_SUBMISSION = "The team saffron has no submission 'frist' in autumn.\n"
NO_SUBMISSION += "See: inv print-submissions autumn"
NO_SIGN_UP = "The team lovage is not signed up to autumn.\nThere is nothing to delete."
NO_PROBLEM = "There is no problem 'smal'.\nDid you mean small?"
WRITE_TIME = "Write a time as 2026-11-30T18:00 (UTC) or 2026-11-30T18:00+01:00, or none."
CREDIT = "Write TEAM/SUBMISSION=SHARE, with commas between several, each once; or none."
SHARE = "Use a number above 0, at most 1."
ON_ONE = {
    ("autum", "saffron", "first"): EVENT,
    ("autumn", "safron", "first"): NO_TEAM,
    ("autumn", "saffron", "frist"): NO_SUBMISSION,
}
NO_TARGET = (
    "No target is named.\nAdd --target=local, =production or =test, or set DATABOARD_TARGET."
)
NO_INVENTORY = "There is no inventory 'prodction' in inventories.\nDid you mean 'production'? "
NO_INVENTORY += f"Inventories: {', '.join(inventory.names())}."
NO_HOST = "There is no host 'web9' in the inventory production.\nDid you mean 'web2'? Hosts: "
NO_HOST += "web1, web2, db1."

MISTAKES: dict[str, dict[tuple[str, ...], str]] = {
    "": {
        ("leaderbord",): "No idea what 'leaderbord' is!\nDid you mean inv leaderboard?",
        ("xyz",): "No idea what 'xyz' is!\nSee: inv --list",
        ("--xyz",): "No idea what '--xyz' is!\nSee: inv --list",
    },
    "add-workflow-element-type": {
        (): missing("add-workflow-element-type", "name", "kind"),
        ("a",): missing("add-workflow-element-type", "kind"),
        ("a", "code", "b"): unknown("add-workflow-element-type", "b"),
        ("a", "program"): "'program' is no kind of workflow element.\nUse one of code, data, text.",
        ("estimator", "code"): f"There is already a workflow element type estimator.\n{OTHER}",
        ("a/b", "code"): f"'a/b' cannot be the name of a workflow element type.\n{LETTERS}",
        ("\udcff", "code"): "'\\udcff' cannot be the name of a workflow element type.\n" + LETTERS,
    },
    "add-workflow": {
        ("New", ""): f"The list of elements is ''.\n{NAMES}",
        ("New", "estimator,,x"): f"The list of elements is 'estimator,,x'.\n{NAMES}",
        ("New", "estimator,estimator"): "The list of elements is 'estimator,estimator'.\n" + NAMES,
        ("New", "estimatr"): "There is no workflow element type 'estimatr'.\n"
        "Did you mean estimator?",
        ("New", "estimator,x"): "There is no workflow element type 'x'.\n"
        "Add it with: inv add-workflow-element-type",
        ("Workflow", "estimator"): f"There is already a workflow Workflow.\n{OTHER}",
        ("..", "estimator"): f"'..' cannot be the name of a workflow.\n{LETTERS}",
        ("New",): "There is no workflow 'New' in databoard/specific/workflows.\nPlug-ins: none.",
    },
    "fetch-problem": {
        ("new", "--url=ext::sh"): "'ext::sh' is no repository.\n"
        "Give https://host/path, ssh://host/path, user@host:path or a folder here.",
        ("new", "--revision=a..b"): "'a..b' is no revision.\nGive a commit, a tag or a branch.",
        ("small",): "The kit small was put into {world}/ramp-kits/small by hand.\n"
        "Move it away, then fetch it.",
        ("../small",): f"'../small' cannot be the name of a problem.\n{LETTERS}",
    },
    "check-problem": {("titanic",): NO_KIT, ("broken",): BROKEN},
    "prepare-data": {("titanic",): NO_KIT},
    "bundle-problem": {("titanic",): NO_KIT},
    "submit-deposited": {
        ("autum",): EVENT,
        ("autumn",): "The kit small brings no submissions along.\n"
        "Put them into {world}/ramp-kits/small/deposited_submissions/TEAM/NAME/.",
    },
    "add-team": {
        ("new", "safron"): "There is no user 'safron'.\nDid you mean saffron?",
        ("saffron", "lovage"): f"There is already a team saffron.\n{OTHER}",
        ("new", ""): f"The list of members is ''.\n{NAMES}",
    },
    "add-member": {
        ("safron", "lovage"): NO_TEAM,
        ("saffron", "lovage"): "The team saffron is that of the user of this name.\n"
        "Make another one: inv add-team NAME saffron,lovage",
    },
    "set-access-level": {
        ("saffron", "root"): "'root' is no access level.\n"
        "Use one of not_confirmed, asked, user, admin.",
    },
    "make-event-admin": {("autum", "saffron"): EVENT},
    "generate-single-password": {("--long",): unknown("generate-single-password", "--long")},
    "generate-passwords": {
        ("/nowhere", "out"): "/nowhere cannot be read: No such file or directory.",
    },
    "add-users-from-file": {
        ("/dev/null", "out"): "/dev/null is empty.\n"
        "Its first line is: firstname,lastname,email,name,hidden_notes",
    },
    "sign-up-event-users-from-file": {
        ("/nowhere", "autumn"): "/nowhere cannot be read: No such file or directory.",
    },
    "environments": {("--all",): unknown("environments", "--all")},
    "plan": {("titanik",): NO_MANIFEST},
    "apply": {("titanik",): NO_MANIFEST},
    "add-score-type": {
        ("a", "0", "1"): (
            "The bounds of a are missing.\nGive minimum and maximum; inf is a number."
        ),
        ("a",): "There is no score type 'a' in databoard/specific/score_types.\nPlug-ins: none.",
        ("a", "0", "0", "1", "--force"): unknown("add-score-type", "--force"),
        ("a", "maybe", "0", "1"): f"is_lower_the_better is 'maybe'.\n{BOOLEAN}",
        ("a", "0", "low", "1"): f"The minimum is 'low'.\n{NUMBER}",
        ("a", "0", "0", "nan"): f"The maximum is 'nan'.\n{NUMBER}",
        ("a", "0", "1", "-1"): "The minimum 1.0 of a is not below its maximum -1.0.\n"
        "Give the minimum first.",
        ("a", "0", "inf", "-inf"): "The minimum inf of a is not below its maximum -inf.\n"
        "Give the minimum first.",
        ("acc", "0", "0", "1"): f"There is already a score type acc.\n{OTHER}",
        ("a\x1b[31m", "0", "0", "1"): "'a\\x1b[31m' cannot be the name of a score type.\n"
        + LETTERS,
    },
    "add-problem": {
        ("small",): "There is already a problem small.\n"
        "Choose another name, or read it again with --force.",
        ("titanic",): "There is no kit titanic in {world}/ramp-kits.\n"
        "Get it: inv fetch-problem titanic",
        ("broken",): "problem.py of the kit broken lacks get_cv.\nEvery kit defines: "
        "problem_title, Predictions, workflow, score_types, get_cv, get_train_data, "
        "get_test_data.",
        ("../small",): f"'../small' cannot be the name of a problem.\n{LETTERS}",
        ("x" * 81,): "The problem name is 81 characters long: 'xxxxxxxxxxxxxxxxxxxx'…\n"
        "Choose a name of at most 80 characters.",
    },
    "add-event": {
        (): missing("add-event", "problem"),
        ("small", "autumn"): "There is already an event autumn.\n"
        "Choose another name, or change it with --force.",
        ("smal",): "There is no problem 'smal'.\nDid you mean small?",
        ("broken",): "There is no problem 'broken'.\nAdd it with: inv add-problem",
        ("small", "a/b"): f"'a/b' cannot be the name of an event.\n{LETTERS}",
        ("small", "a", "b\nc"): f"'b\\nc' cannot be the title of an event.\n{TITLE}",
        ("small", "a", "\udcff"): f"'\\udcff' cannot be the title of an event.\n{TITLE}",
        ("small", "a", "x" * 201): f"'{'x' * 40}' cannot be the title of an event.\n{TITLE}",
        ("small", "a", "b", "c"): unknown("add-event", "c"),
        ("small", "a", "--time-limit", "0"): f"The time limit is '0'.\n{COUNT}",
        ("small", "a", "--time-limit=-5"): f"The time limit is '-5'.\n{COUNT}",
        ("small", "a", "--memory-limit", "9" * 20): f"The memory limit is '{'9' * 20}'.\n{COUNT}",
        ("small", "a", "--memory-limit"): "--memory-limit needs a value.\n"
        "See: inv add-event --help",
    },
    "create-user": {
        ("tarragon",): missing("create-user", "email"),
        ("saffron", "a@example.org"): f"There is already a user saffron.\n{OTHER}",
        ("a b", "a@example.org"): f"'a b' cannot be the name of a user.\n{LETTERS}",
        ("tarragon", "here"): "'here' is not a mail address.\nWrite name@host.domain.",
        ("tarragon", "Saffron@Example.org"): "The mail address saffron@example.org already "
        "belongs to the user saffron.\nUse that account, or another address.",
        ("tarragon", "a@example.org", "--password"): "The password is too short.\n"
        "Use at least 8 characters.",
    },
    "approve-user": {
        ("juniperr",): "There is no user 'juniperr'.\nDid you mean juniper?",
        ("saffron",): "The user saffron is already approved.\nThere is nothing to do.",
        ("\udcff",): "'\\udcff' is not text.\nType it in UTF-8.",
    },
    "sign-up-team": {
        ("autum", "saffron"): EVENT,
        ("autumn", "safron"): NO_TEAM,
        ("autumn", "saffron"): "The team saffron is already signed up to autumn.\n"
        "There is nothing to do.",
        ("autumn", "juniper"): "juniper of the team juniper is not approved.\n"
        "Approve first: inv approve-user juniper",
    },
    "submit": {
        ("autumn", "saffron", "a"): missing("submit", "path"),
        ("autum", "saffron", "a", STARTING_KIT): EVENT,
        ("autumn", "lovage", "a", STARTING_KIT): "The team lovage is not signed up to autumn.\n"
        "Sign it up: inv sign-up-team autumn lovage",
        ("autumn", "saffron", "ranked", STARTING_KIT): "The team saffron already has a submission "
        f"ranked in autumn.\n{OTHER}",
        ("autumn", "saffron", "..", STARTING_KIT): "'..' cannot be the name of a submission.\n"
        + LETTERS,
        ("autumn", "saffron", "a", "/nowhere"): "There is no folder /nowhere.\n"
        "Give the folder with the files.",
        ("autumn", "saffron", "a", "{world}/ramp-data"): "The submission has no file "
        "estimator.py.\nThe workflow Workflow wants one file for each of: estimator.",
        ("autumn", "saffron", "a", "{world}/ramp-kits/small/problem.py"): "The submission has no "
        "file estimator.py.\nThe workflow Workflow wants one file for each of: estimator.",
        ("autumn", "saffron", "a", "x" * 300): f"File name too long: {'x' * 300}",
    },
    "submit-starting-kit": {
        ("autumn", "safron"): NO_TEAM,
        ("autumn", "lovage"): "The team lovage is not signed up to autumn.\n"
        "Sign it up: inv sign-up-team autumn lovage",
    },
    "train-test": {
        ("autum",): EVENT,
        ("autumn", "--team", "safron"): NO_TEAM,
        ("autumn", "--state", "lost"): f"'lost' is no state of a submission.\n{STATES}",
        ("autumn", "--jobs", "0"): f"The number of jobs is '0'.\n{COUNT}",
    },
    "backend-train-test-loop": {
        ("autum",): EVENT,
        ("autumn", "spring"): unknown("backend-train-test-loop", "spring"),
        ("--timeout", "inf"): "The timeout is inf.\nUse a number of seconds above 0.",
        ("--timeout", "-1"): "The timeout is -1.\nUse a number of seconds above 0.",
        ("--timeout", "soon"): f"The timeout is 'soon'.\n{NUMBER}",
        ("autumn", "--jobs", "many"): f"The number of jobs is 'many'.\n{COUNT}",
    },
    "set-state": {
        ("autumn", "saffron", "frist", "new"): "The team saffron has no submission 'frist' in "
        "autumn.\nSee: inv print-submissions autumn",
        ("autumn", "saffron", "first", "lost"): f"'lost' is no state of a submission.\n{STATES}",
        ("autumn", "saffron", "first", "scored"): "The state scored is reached by training, not "
        "by hand.\nSet one of: new, deleted.",
        ("autumn", "saffron", "first", "new"): "The submission first is new; it cannot become "
        "new.\nFrom new it goes to: training, deleted.",
    },
    "print-submissions": {
        ("autum",): EVENT,
        ("autumn", "--team", "safron"): NO_TEAM,
        ("autumn", "--state", "lost"): f"'lost' is no state of a submission.\n{STATES}",
    },
    "compute-contributivity": {
        ("autum",): EVENT,
        ("autumn", "--min-improvement", "much"): f"The minimum improvement is 'much'.\n{NUMBER}",
        ("autumn", "--min-improvement", "-1"): "The minimum improvement is -1.0.\n"
        "Use a number from 0 on.",
    },
    "leaderboard": {
        ("autum",): EVENT,
        ("xyz\x1b[2J",): "There is no event 'xyz\\x1b[2J'.\nAdd it with: inv add-event",
        ("autumn", "--json", "--csv"): BOARDS,
        ("autumn", "--new", "--failed"): BOARDS,
        ("autumn", "--new", "--private"): BOARDS,
        ("autumn", "--kind", "median"): "'median' is no kind of score.\nUse bag or mean.",
        ("autumn", "--limit", "-3"): f"The limit is '-3'.\n{COUNT}",
        ("autumn", "--limit", "1e3"): f"The limit is '1e3'.\n{COUNT}",
        ("autumn", "--xml"): unknown("leaderboard", "--xml"),
    },
    "update-event": {
        ("autum",): EVENT,
        ("autumn", "--title= "): f"'' cannot be the title of an event.\n{TITLE}",
        ("autumn", "--max-members=0"): f"The setting max_members is '0'.\n{COUNT}",
        ("autumn", "--min-seconds=-1"): "The setting min_seconds is '-1'.\n"
        "Use a whole number from 0 to 2147483647.",
        ("autumn", "--is-public=maybe"): f"The setting is_public is 'maybe'.\n{BOOLEAN}",
        ("autumn", "--opening-at=soon"): f"The setting opening_at is 'soon'.\n{WRITE_TIME}",
        ("autumn", "--closing-at=0001-01-01T00:00+01:00"): "The setting closing_at is "
        f"'0001-01-01T00:00+01:00'.\n{WRITE_TIME}",
        ("autumn", "--opening-at=2026-12-01", "--closing-at=2026-11-30T23:30-00:30"): "The closing "
        "of autumn at 2026-12-01 00:00 UTC is not after its opening at 2026-12-01 00:00 UTC.\n"
        "Change both at once, or clear one with none.",
        ("autumn", "--title=Fall", "--official-score=auc"): "The event autumn has no score type "
        "'auc'.\nIt has acc.",
        ("autumn", "--score-kind=median"): "'median' is no kind of score.\nUse bag or mean.",
        ("autumn", "--time-limit=1.5"): f"The setting time_limit is '1.5'.\n{COUNT}",
    },
    **{
        name: {("now",): unknown(name, "now")}
        for name in (
            *("list-workflow-element-types", "list-workflows", "list-score-types"),
            *("list-problems", "list-events", "list-users", "list-teams", "keywords"),
        )
    },
    "add-keyword": {
        ("space", "topic"): "'topic' is no kind of keyword.\n"
        "Use one of data_domain, data_science_theme.",
        ("a b", "data_domain"): f"'a b' cannot be the name of a keyword.\n{LETTERS}",
        ("space", "data_domain", "a\nb"): "'a\\nb' cannot be the title of a keyword.\n" + TITLE,
    },
    "set-keywords": {
        ("smal", "space"): NO_PROBLEM,
        ("small", "space"): "There is no keyword 'space'.\nAdd it with: inv add-keyword",
        ("small", "a,a"): f"The list of keywords is 'a,a'.\n{NAMES}",
    },
    "delete-submission": {**ON_ONE},
    "delete-event-team": {
        ("autum", "saffron"): EVENT,
        ("autumn", "safron"): NO_TEAM,
        ("autumn", "lovage"): NO_SIGN_UP,
    },
    "delete-event": {("autum",): EVENT, ("autum", "--yes"): EVENT},
    "delete-problem": {("smal",): NO_PROBLEM, ("smal", "--from-disk"): NO_PROBLEM},
    "withdraw": {**ON_ONE},
    "cancel": {
        **ON_ONE,
        ("autumn",): "Nothing of that is being trained.\n"
        "What waits is taken back with: inv withdraw",
    },
    "exclude-from-ensemble": {**ON_ONE},
    "credit": {
        **ON_ONE,
        ("autumn", "saffron", "ranked", "first=0.5"): f"'first=0.5' is no credit.\n{CREDIT}",
        ("autumn", "saffron", "ranked", "a/b=1,a/b=1"): f"'a/b=1' is no credit.\n{CREDIT}",
        ("autumn", "saffron", "ranked", "a/b=x"): f"The share of a/b is 'x'.\n{NUMBER}",
        ("autumn", "saffron", "ranked", "a/b=0"): f"The share of 'a/b' is 0.\n{SHARE}",
        ("autumn", "saffron", "ranked", "a/b=1.5"): f"The share of 'a/b' is 1.5.\n{SHARE}",
        ("autumn", "saffron", "ranked", "a/b=.6,a/c=.6"): "The shares add up to 1.2.\n"
        "They are at most 1 together.",
        ("autumn", "saffron", "first", "saffron/ranked=1"): "'saffron/ranked' is no submission "
        "from before first.\nCredit what was there before it: inv print-submissions autumn",
        ("autumn", "saffron", "first", "saffron/first=1"): "'saffron/first' is no submission "
        "from before first.\nCredit what was there before it: inv print-submissions autumn",
    },
    "score-submission": {
        **ON_ONE,
        ("autumn", "saffron", "first"): "Nothing of that is scored.\n"
        "Train first: inv train-test autumn",
    },
    "delete-user": {
        (): missing("delete-user", "name"),
        ("safron",): NO_USER,
        ("safron", "--yes"): NO_USER,
    },
    "add-test-users": {
        ("{world}/out", "--count=0"): f"The number of users is '0'.\n{COUNT}",
        ("/nowhere/out",): "No such file or directory: /nowhere/out",
        ("{world}/databoard.db",): "{world}/databoard.db is there already.\n"
        "Its passwords may be in use: choose another name.",
    },
    "send-password-mail": {
        (): missing("send-password-mail", "name"),
        ("saffron",): NO_MAIL_SERVER,
    },
    "send-password-mails": {
        ("{world}/no.csv",): "{world}/no.csv cannot be read: No such file or directory.",
    },
    "export-leaderboards": {
        ("autum", "boards"): EVENT,
        ("autumn", "/dev/null"): "File exists: /dev/null",
    },
    "update-leaderboards": {("autum",): EVENT},
    "db-migrate": {
        (): missing("db-migrate", "message"),
        ("a\nb",): f"'a\\nb' cannot be the title of a migration.\n{TITLE}",
        ("same",): "The models and the database do not differ.\nThere is nothing to migrate.",
    },
    "db-upgrade": {("now",): unknown("db-upgrade", "now")},
    "db-current": {("now",): unknown("db-current", "now")},
    "demo": {
        ("now",): unknown("demo", "now"),
        (): "The database has events of its own: autumn.\nChoose an empty one for made-up teams, "
        "by DATABOARD_DB_URL or DATABOARD_DEPLOYMENT_PATH.",
    },
    "test-setup": {
        (): "test-setup fills the database with made-up teams.\n"
        "Switch to the test deployment first: export DATABOARD_TEST=True",
    },
    "serve": {
        ("--port", "0"): "The port is '0'.\nUse a whole number from 1 to 65535.",
        ("--port", "65536"): "The port is '65536'.\nUse a whole number from 1 to 65535.",
        ("--port", "http"): "The port is 'http'.\nUse a whole number from 1 to 65535.",
        ("--port",): "--port needs a value.\nSee: inv serve --help",
    },
    "lab-up": {("--count=0",): "--count is '0'.\nUse a whole number from 1 to 200."},
    "lab-down": {("now",): unknown("lab-down", "now")},
    "test": {("quickly",): unknown("test", "quickly")},
    "db-dump": {
        (): missing("db-dump", "path"),
        ("{world}/ramp-kits/small/problem.py",): "{world}/ramp-kits/small/problem.py is there "
        "already.\nChoose another name, or add --force.",
    },
    "db-restore": {
        ("{world}/ramp-kits/small/problem.py",): "What is in the database now would be lost.\n"
        "Dump it first; then add --force.",
        ("{world}/no.dump", "--force"): "There is no dump {world}/no.dump.\n"
        "See the folder backups/.",
    },
    **{
        name: {
            # what is wrong is told before any host is spoken to
            typed: NO_TARGET,
            (*typed, "--target=prodction"): NO_INVENTORY,
            (*typed, "--target=../production"): f"'../production' cannot be the name of an "
            f"inventory.\n{LETTERS}",
            **({(*typed, "--target=production", "--hosts=web1,web9"): NO_HOST} if hosts else {}),
        }
        for name, typed, hosts in (
            ("publish-software", ("--revision=HEAD",), True),
            ("publish-problem", ("small",), True),
            ("rollback", (), True),
            ("releases", (), True),
            ("status", (), True),
            ("check", (), True),
            ("restart", (), True),
            ("reload", (), True),
            ("logs", (), True),
            ("maintenance", ("on",), True),
            ("unlock", (), True),
            ("set-up-host", (), True),
            ("run-on", ("all", "--", "true"), False),
            ("inventory", (), True),
        )
    },
}
NO_PLACE = "Write /path, user@host:/path or ssh://user@host:port/path."
NO_STORE = "There is no store at {world}/none, or its disk is not mounted.\n"
NO_STORE += "Mount it. If it is a new one: inv backup --new-store --store={world}/none"
AGE = "Write 90m, 26h or 2d."
MISTAKES |= {
    name: {
        (*typed, "--store={world}/none"): NO_STORE,
        **{
            (*typed, f"--store={store}"): f"The store {store!r} is no place.\n{NO_PLACE}"
            for store in (
                "backups",
                "/a/../b",
                "-x",
                "/a\nb",
                "h:b",
                "-oProxyCommand=x:/b",
                "u@300.1.1.1:/b",
                "ssh://u@h:0/b",
                "ssh://u@h:65536/b",
                "ssh://u@h:x/b",
                "ssh://u:p@h/b",
                "ssh://u@h:22",
                "http://h/b",
                "/a:b",
            )
        },
        (*typed, "--target=prodction"): NO_INVENTORY,
        (*typed, "--target=../production"): f"'../production' cannot be the name of an "
        f"inventory.\n{LETTERS}",
    }
    for name, typed in (
        ("backup", ()),
        ("backups", ()),
        ("verify-backup", ()),
        ("check-backups", ()),
        ("prune-backups", ()),
        ("restore", ("latest",)),
    )
}
MISTAKES["backup"] |= {
    ("--new-store", "--store={world}"): "No store can be made: {world} is not empty.\n"
    "Name a new or an empty folder.",
    ("extra",): unknown("backup", "extra"),
}
MISTAKES["check-backups"] |= {
    (f"--max-age={age}",): f"--max-age is {age!r}.\n{AGE}"
    for age in ("", "26", "h", "-1h", "1.5h", "26H", "26 h", "²h", "1000000d", "1h\n")
} | {("--store={world}-store",): "There is no snapshot."}
MISTAKES["restore"] |= {(): missing("restore", "snapshot")}
for name, options in (("restore", ()), ("restore", ("--yes",)), ("verify-backup", ())):
    MISTAKES[name] |= {
        (snapshot, *options, "--store={world}-store"): f"There is no snapshot {snapshot!r} in "
        "{world}-store/local.\nTake one: inv backup"
        for snapshot in (
            "latest",
            "20261101T000000Z",
            "../local",
            ".",
            "*",
            "$(id)",
            "a\nb",
            "\udcff",
        )
    }
MISTAKES["publish-software"] |= {
    ("--target=production", "--serial=0"): f"--serial is '0'.\n{COUNT}",
    ("--target=production", "--max-fail=x"): "--max-fail is 'x'.\n"
    "Use a whole number from 0 to 2147483647.",
    ("--target=production", "--revision=--help"): "There is no revision '--help' in "
    f"{config.ROOT}.\nSee: git log --oneline",
}
MISTAKES["publish-problem"] |= {
    ("--target=production",): missing("publish-problem", "problem"),
    ("../small", "--target=production"): f"'../small' cannot be the name of a problem.\n{LETTERS}",
}
MISTAKES["maintenance"] |= {
    ("of", "--target=production"): "'of' is no state of maintenance.\nSay on or off.",
    ("--target=production",): missing("maintenance", "state"),
}
MISTAKES["run-on"] = {
    ("all", "--target=production"): "No command is named.\ninv run-on web1,web2 -- uptime",
    ("all", "--", "true"): NO_TARGET,
    ("--target=production", "web9", "--", "true"): NO_HOST,
}
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
        (PermissionError(13, "Permission denied", "/x"), "Permission denied: /x"),
        (OSError(28, "No space left on device"), "No space left on device"),
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
         "of autumn.\nBlend it: inv compute-contributivity autumn"),
        ("exclude-from-ensemble autumn saffron second --back", "second of saffron is again in the "
         "ensemble of autumn.\nBlend it: inv compute-contributivity autumn"),
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
        assert len(list((deployment / "submissions").iterdir())) == kept
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


def test_a_reader_that_has_seen_enough(world: World) -> None:
    with subprocess.Popen(
        [*INV, "leaderboard", "autumn"],
        env=os.environ | {"DATABOARD_DEPLOYMENT_PATH": str(world.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


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
