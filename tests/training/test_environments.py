"""Events with environments of their own: trained there; and one that is broken hurts no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from databoard import database, environments, events, submissions
from databoard.lookup import find
from databoard.model.event import Event
from tests.test_environments import OLD, index  # noqa: F401 - a fixture
from tests.training.deployment import Deployment, model, write_plain_kit

NEEDS_OLD_PANDAS = """
if not hasattr(pd.DataFrame, "iteritems"):
    raise ImportError("this kit needs pandas < 2")
"""


def give(deployment: Deployment, event: str, requirements: str) -> Path:
    """Name an environment for an event, without making it. Returns where its Python would be."""
    with database.session_scope(deployment.engine) as session:
        find(session, Event, event).requirements = requirements
    return environments.python_of(deployment.settings, requirements)


def write_python(path: Path, lines: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def test_a_missing_or_broken_environment_is_of_its_event_alone(
    deployment: Deployment, tmp_path: Path
) -> None:
    problem = deployment.add_problem(write_plain_kit(tmp_path / "plain"))
    names = ("missing", "broken", "silent", "no_program", "good")
    for event in names:
        deployment.add_event(problem, event)
    missing = give(deployment, "missing", "one==1")
    broken = give(deployment, "broken", "two==2")
    write_python(broken, "echo \"ModuleNotFoundError: No module named 'rampwf'\" >&2; exit 1")
    silent = give(deployment, "silent", "three==3")
    write_python(silent, "exit 0")
    no_program = give(deployment, "no_program", "four==4")
    write_python(no_program, "")
    no_program.chmod(0o644)
    ids = {
        (event, n): deployment.submit(event, f"s{n}", model()) for n in (1, 2) for event in names
    }
    deployment.train()
    said = {
        "missing": f"There is no environment {missing.parents[2].name} on this machine; make it: "
        "inv environments --make",
        "broken": f"The environment {broken.parents[2].name} does not work: "
        "ModuleNotFoundError: No module named 'rampwf'",
        "silent": f"The environment {silent.parents[2].name} does not work: it ended at once",
        "no_program": f"The environment {no_program.parents[2].name} does not work: "
        "Permission denied",
    }
    for (event, _), submission_id in ids.items():
        row = deployment.get(submission_id)
        if event == "good":
            assert row.state == "scored"
        else:
            assert (row.state, row.error_kind) == ("checking_error", "platform")
            assert row.error_message == said[event]
            assert row.lost_leases == 0

    # In another environment scores would differ: all is trained again, what failed here, too.
    for event in ("missing", "good"):
        events.add_event(
            deployment.engine, deployment.settings, problem, event, force=True, requirements=""
        )
    assert {deployment.get(ids["missing", n]).state for n in (1, 2)} == {"new"}
    assert {deployment.get(ids["good", n]).state for n in (1, 2)} == {"scored"}
    deployment.train()
    assert {deployment.get(ids["missing", n]).state for n in (1, 2)} == {"scored"}


@pytest.mark.slow
def test_a_kit_that_needs_an_older_pandas_runs_there(
    index: None,  # noqa: F811
    deployment: Deployment,
    tmp_path: Path,
) -> None:
    """Folds and scoring; beside it an event of another kit in Databoard's own environment."""
    plain = deployment.add_event(deployment.add_problem(write_plain_kit(tmp_path / "plain")))
    kit = write_plain_kit(tmp_path / "older", NEEDS_OLD_PANDAS)
    older = deployment.add_event(deployment.add_problem(kit, requirements=OLD), requirements=OLD)
    top = "import pandas as pd\nassert pd.__version__ == '1.5.3'; assert np.__version__ < '2'"
    there = deployment.submit(older, "there", model(top=top))
    here = deployment.submit(
        plain, "here", model(top="import pandas as pd\nassert pd.__version__ > '2'")
    )
    news = deployment.train()
    assert not [each.message for each in news if each.message]
    assert deployment.get(there).state == deployment.get(here).state == "scored"
    assert deployment.stored(there) == deployment.stored(here)
    with database.reading(deployment.engine) as session:
        records = [
            submissions.record_of(session, deployment.get(id_)) or {} for id_ in (there, here)
        ]
    assert records[0]["libraries"]["pandas"] == "1.5.3" < records[1]["libraries"]["pandas"]
    assert records[0]["environment"] != records[1]["environment"]
    assert not [path for path in deployment.settings.kits_path.rglob("*.pyc")]
