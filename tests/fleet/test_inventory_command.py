"""inv inventory, and completion of targets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from databoard.config import ROOT
from tasks.completion import candidates

DRIVER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import tasks
from invoke import Collection
from invoke.main import program
from tasks import completion, database, inventory
tasks.command.extend_invoke()
completion.extend_completion()
program.namespace = Collection(inventory.inventory, database.db_current)
program.run(["inv", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def inv(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command line with `inventory`, and `db-current`, which has no target."""
    driver = tmp_path_factory.mktemp("driver") / "driver.py"
    driver.write_text(DRIVER)
    return [sys.executable, str(driver)]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(command, capture_output=True, text=True, env=kept | environment)


def test_the_command_prints_what_was_understood(inv: list[str]) -> None:
    done = run([*inv, "inventory", "--target=production"], DATABOARD_DB_PASSWORD="hunter2")
    assert done.returncode == 0, done.stderr
    assert "password !env DATABOARD_DB_PASSWORD (set)" in done.stdout
    assert "deploy@192.0.2.11 port 22" in done.stdout
    assert "hunter2" not in done.stdout and "from DATABOARD_PATH" not in done.stdout
    done = run(
        [*inv, "inventory", "--hosts", "web1"],
        DATABOARD_TARGET="production",
        DATABOARD_PATH="/data",
    )
    assert "(not set)" in done.stdout and "web2" not in done.stdout
    assert "/data (from DATABOARD_PATH)" in done.stdout


def test_json_has_no_secret(inv: list[str]) -> None:
    command = [*inv, "inventory", "--target=production", "--json"]
    done = run(command, DATABOARD_DB_PASSWORD="hunter2")
    found = json.loads(done.stdout)
    password = {"secret": "!env DATABOARD_DB_PASSWORD", "is_set": True}
    assert found["database"]["password"] == password
    assert [host["name"] for host in found["hosts"]] == ["web1", "web2", "db1"]
    assert found["is_path_from_environment"] is False
    assert "hunter2" not in done.stdout


def test_the_command_tells_a_mistake(inv: list[str]) -> None:
    done = run([*inv, "inventory"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("No target is named.\nAdd --target=local")
    done = run([*inv, "inventory", "--target=test", "--hosts=test2"])
    assert done.stderr == (
        "There is no host 'test2' in the inventory test.\nDid you mean 'test1'? Hosts: test1.\n"
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("inv", "inventory", "--target", ""), {"local", "production", "test"}),
        (("inv", "inventory", "--target", "pro"), {"production"}),
        (("inv", "inventory", "--target", "="), {"local", "production", "test"}),
        (("inv", "inventory", "--target", "=", "pro"), {"production"}),
        (("inv", "inventory", "--json", "--target", "=", "l"), {"local"}),
        (("inv", "inventory", "--ta"), {"--target"}),
        (("inv", "inventory", "--target", "test", ""), {"inventory", "db-current"}),
        (("inv", "inventory", "--target", "test", "db"), {"db-current"}),
        (("inv", "db-current", "--target", ""), set()),
        (("inv", "db"), {"db-current"}),
    ],
)
def test_bash_completes_targets(inv: list[str], words: tuple[str, ...], offered: set[str]) -> None:
    """With words as bash's readline makes them: '=' is one."""
    script = """
python=$1 driver=$2; shift 2
invoke() { "$python" "$driver" "$@"; }
eval "$(invoke --print-completion-script bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
last=${COMP_WORDS[COMP_CWORD]}
_complete_invoke inv "${last#=}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = run(["bash", "-c", script, "bash", *inv, *words])
    found = set(done.stdout.split())
    assert done.stderr == ""
    assert found >= offered and all(word.startswith(words[-1].lstrip("=")) for word in found)
    assert offered & {"local", "production", "test"} or "production" not in found


def test_other_shells_match_the_whole_word(inv: list[str]) -> None:
    done = run([*inv, "--complete", "--", "inv", "inventory", "--target=pro"])
    assert {"production", "--target=production"} <= set(done.stdout.split())


def test_an_open_quote_completes_nothing() -> None:
    assert candidates("inventory --target 'a", {}) == []
