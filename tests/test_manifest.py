"""Manifests: what is read of them, what differs, and that applying one converges."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from databoard import config, convergence, manifest, people, submissions
from databoard.config import Settings
from databoard.convergence import Change, Difference
from databoard.database import reading, session_scope
from databoard.errors import DataboardError, InvalidValue, KitError, NotFound
from databoard.manifest import Direction, Manifest
from databoard.model.event import Event, EventTeam
from databoard.model.problem import ScoreType

MakeKit = Callable[..., Path]
TEXT = """
workflow_element_types: {estimator: code, prices: data}
workflow:
  market: [estimator, prices]
score_types:
  gain: {is_lower_the_better: false, minimum: -inf, maximum: 1}
problem: small
event: {title: "A small one", is_public: true, time_limit: 60}
environment: [pandas<3, "numpy"]
teams: [ada, grace]
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Manifest]:
    def load_text(text: str) -> Manifest:
        (tmp_path / "small.yml").write_text(text)
        return manifest.load("small", tmp_path)

    return load_text


def test_everything_is_understood(load: Callable[[str], Manifest]) -> None:
    assert load(TEXT) == Manifest(
        name="small",
        problem="small",
        workflow_element_types={"estimator": "code", "prices": "data"},
        workflow={"market": ("estimator", "prices")},
        score_types={"gain": Direction(False, -float("inf"), 1.0)},
        event={"title": "A small one", "is_public": True, "time_limit": 60},
        environment="pandas<3\nnumpy\n",
        teams=("ada", "grace"),
    )
    assert load("problem: small") == Manifest(name="small", problem="small")


@pytest.mark.parametrize(
    ("text", "line", "sentence", "hint"),
    [
        ("teams: [a]", 1, "the key 'problem' is missing in a manifest", "Keys: workflow_element_"),
        ("problem: a\nteam: [a]", 2, "there is no key 'team' in a manifest", "Did you mean 'teams"),
        ("problem: a b", 1, "'a b' cannot be the name of a problem", "Use letters, digits"),
        ("problem: a\nteams: [a, a]", 2, "'teams' has to be a list with each name once", ""),
        (
            "problem: a\nevent: {is_public: maybe}",
            2,
            "The setting is_public is 'maybe'",
            "Use True or False",
        ),
        (
            "problem: a\nworkflow_element_types: {e: cod}",
            2,
            "there is no e 'cod'",
            "Did you mean 'code'? Choose from: code, data, text.",
        ),
        (
            "problem: a\nscore_types:\n  s: {is_lower_the_better: true, minimum: 1, maximum: 0}",
            3,
            "the minimum of s is not below its maximum",
            "",
        ),
        (
            "problem: a\nscore_types:\n  s: {is_lower_the_better: true, minimum: nan, maximum: 0}",
            3,
            "'minimum' has to be a number, inf or -inf",
            "",
        ),
        (
            "problem: a\nworkflow_element_types: {e: code}\nworkflow: {w: [e, f]}",
            1,
            "the workflow w has the element 'f', which is not among the workflow_element_types",
            "Add it: f: code",
        ),
        ("problem: a\nevent: {title: ''}", 2, "'' cannot be the title of an event", "Use 1 to"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    load: Callable[[str], Manifest],
    tmp_path: Path,
    text: str,
    line: int,
    sentence: str,
    hint: str,
) -> None:
    with pytest.raises(InvalidValue) as caught:
        load(text)
    assert caught.value.message.startswith(f"{tmp_path}/small.yml, line {line}: {sentence}")
    assert caught.value.hint.startswith(hint)


def test_the_environment_of_a_kit_is_that_of_its_first_manifest(tmp_path: Path) -> None:
    for name, text in {
        "a": "problem: small\n",
        "b": "problem: [small\n",
        "c": "problem: small\nenvironment: [numpy<2, pandas==1.5.3]\n",
        "d": "problem: small\nenvironment: [numpy<1]\n",
        "e": "problem: other\nenvironment: [numpy<1]\n",
    }.items():
        (tmp_path / f"{name}.yml").write_text(text)
    assert manifest.environment_of("small", tmp_path) == "numpy<2\npandas==1.5.3\n"
    assert manifest.environment_of("smal", tmp_path) is None
    assert manifest.environment_of("el_nino") == "pandas==2.3.3\nxarray\nnetcdf4\n"


def test_a_manifest_that_is_not_there() -> None:
    with pytest.raises(NotFound) as caught:
        manifest.load("titanik")
    assert caught.value.message == "There is no manifest 'titanik' in databoard/specific/events."
    assert caught.value.hint.startswith("Did you mean 'titanic'? Manifests: HEP_tracking, ")


@pytest.fixture
def kit(make_kit: MakeKit, settings: Settings) -> Path:
    return make_kit(settings.kits_path)


@pytest.fixture
def with_teams(engine: Engine) -> None:
    with session_scope(engine) as session:
        for name in ("ada", "grace", "kegl", "mcherti", "agramfort"):
            people.create_user(session, name, f"{name}@example.org", access_level="user")


SMALL = Manifest(
    "spring",
    "small",
    score_types={"gain": Direction(False, 0.0, 1.0)},
    event={"title": "Spring", "time_limit": 60},
    teams=("ada",),
)


@pytest.mark.usefixtures("kit", "with_teams")
def test_a_plan_is_what_applying_does_and_changes_nothing(
    engine: Engine, settings: Settings
) -> None:
    planned = convergence.plan(engine, settings, SMALL)
    assert Change("score type gain", None, "higher the better, from 0.0 to 1.0") in planned.changes
    assert Change("event spring", None, "Spring") in planned.changes
    assert Change("sign-up of ada", None, "signed up") in planned.changes
    assert planned.wanting == []
    with reading(engine) as session:
        assert session.scalars(select(Event)).all() == []
        assert session.scalars(select(ScoreType)).all() == []
    assert convergence.apply(engine, settings, SMALL) == planned
    assert convergence.plan(engine, settings, SMALL).changes == []
    assert convergence.apply(engine, settings, SMALL).changes == []


@pytest.mark.usefixtures("kit", "with_teams")
def test_only_what_differs_is_changed(engine: Engine, settings: Settings) -> None:
    convergence.apply(engine, settings, SMALL)
    other = Manifest(
        "spring",
        "small",
        score_types={"gain": Direction(True, 0.0, 2.0)},
        event={"is_public": True, "time_limit": 90},
        teams=("grace",),
    )
    assert convergence.apply(engine, settings, other).changes == [
        Change(
            "score type gain",
            "higher the better, from 0.0 to 1.0",
            "lower the better, from 0.0 to 2.0",
        ),
        Change("event spring: is_public", "False", "True"),
        Change("event spring: time_limit", "60", "90"),
        Change("sign-up of grace", None, "signed up"),
    ]
    with reading(engine) as session:
        assert session.scalars(select(Event.title)).all() == ["Spring"]  # it was not named


@pytest.mark.usefixtures("kit", "with_teams")
def test_prune_ends_sign_ups_without_submissions(engine: Engine, settings: Settings) -> None:
    convergence.apply(engine, settings, SMALL)
    with session_scope(engine) as session:
        for team in ("grace", "kegl"):
            people.sign_up_team(session, "spring", team)
        submissions.submit_starting_kit(session, settings, "spring", "kegl")
    assert convergence.apply(engine, settings, SMALL).changes == []
    without = convergence.apply(engine, settings, replace(SMALL, teams=None), prune=True)
    assert without == Difference()  # what a manifest does not say stays as it is
    pruned = convergence.apply(engine, settings, SMALL, prune=True)
    assert pruned.changes == [Change("sign-up of grace", "signed up", None)]
    assert [error.message for error in pruned.wanting] == [
        "The team kegl has submissions in spring: it stays signed up."
    ]


@pytest.mark.usefixtures("kit", "with_teams")
def test_scores_of_a_running_event_are_not_changed_without_force(
    engine: Engine, settings: Settings, kit: Path
) -> None:
    convergence.apply(engine, settings, SMALL)
    with session_scope(engine) as session:
        submissions.submit_starting_kit(session, settings, "spring", "ada")
    problem = kit / "problem.py"
    problem.write_text(problem.read_text() + "\nscore_types[0].minimum = -5.0\n")
    with pytest.raises(DataboardError, match=r"score type \w+ is"):  # a name means one thing
        convergence.apply(engine, settings, SMALL)
    with reading(engine) as session:
        name = session.scalars(select(Event)).one().score_types[0].score_type.name
    wider = Manifest("spring", "small", score_types={name: Direction(False, -5.0, 1.0)})
    assert len(convergence.plan(engine, settings, wider).changes) == 1
    with pytest.raises(DataboardError) as caught:
        convergence.apply(engine, settings, wider)
    assert caught.value.message == "spring has submissions, whose scores or ranks would change."
    assert caught.value.hint == "Look: inv plan spring. Then: inv apply spring --force"
    with reading(engine) as session:
        assert session.scalars(select(ScoreType.minimum).where(ScoreType.name == name)).one() != -5
    convergence.apply(engine, settings, wider, force=True)
    assert convergence.plan(engine, settings, wider).changes == []


def test_without_the_kit_the_rest_is_registered(engine: Engine, settings: Settings) -> None:
    titanic = manifest.load("titanic")
    difference = convergence.apply(engine, settings, titanic)
    assert [change.what for change in difference.changes] == [
        "workflow element type feature_extractor",
        "workflow element type classifier",
        "workflow feature_extractor_classifier_workflow",
        "score type auc",
    ]
    assert [type(error) for error in difference.wanting] == [KitError]
    assert difference.wanting[0].message.startswith("There is no kit titanic in ")
    assert difference.wanting[0].hint == "Get it: inv fetch-problem titanic"
    assert convergence.apply(engine, settings, titanic).changes == []


def test_what_is_no_file_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "folder.yml").mkdir()
    (tmp_path / "lost.yml").symlink_to(tmp_path / "nowhere")
    for name, reason in (("folder", "Is a directory"), ("lost", "No such file or directory")):
        with pytest.raises(InvalidValue, match=rf"{name}\.yml cannot be read: {reason}\.$"):
            manifest.load(name, tmp_path)


@pytest.mark.usefixtures("kit")
def test_a_team_that_is_not_there_is_told_and_the_rest_is_applied(
    engine: Engine, settings: Settings
) -> None:
    difference = convergence.apply(engine, settings, SMALL)
    assert [error.message for error in difference.wanting] == ["There is no team 'ada'."]
    with reading(engine) as session:
        assert session.scalars(select(Event.name)).all() == ["spring"]
        assert session.scalars(select(EventTeam)).all() == []
    with session_scope(engine) as session:
        people.create_user(session, "ada", "ada@example.org")
    difference = convergence.apply(engine, settings, SMALL)
    assert [str(error) for error in difference.wanting] == [
        "ada of the team ada is not approved.\nApprove first: inv approve-user ada"
    ]


def test_the_commands(migrated_sqlite: Path, tmp_path: Path, make_kit: MakeKit) -> None:
    """inv plan and inv apply: what they print, and how they end."""
    settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(tmp_path)})
    settings.make_folders()
    shutil.copyfile(migrated_sqlite, tmp_path / "databoard.db")

    def inv(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT), *arguments]
        environment = {**os.environ, "DATABOARD_DEPLOYMENT_PATH": str(tmp_path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    looked = inv("plan", "titanic")
    assert looked.returncode == 2
    assert looked.stdout.endswith("Get it: inv fetch-problem titanic\n")
    absent = inv("apply", "titanic")
    assert absent.returncode == 1
    assert absent.stdout.splitlines()[0] == "+ workflow element type feature_extractor: code"
    assert absent.stderr.startswith(f"There is no kit titanic in {tmp_path}/ramp-kits.\n")
    assert absent.stderr.endswith("Then once more: inv apply titanic\n")
    make_kit(settings.kits_path, "titanic")
    assert inv("create-user", "kegl", "kegl@example.org", "--admin").returncode == 0
    planned = inv("plan", "titanic")
    assert planned.returncode == 2
    assert "+ sign-up of kegl: signed up\n" in planned.stdout
    told = json.loads(inv("plan", "titanic", "--json").stdout)
    assert {"what": "sign-up of kegl", "before": None, "after": "signed up"} in told["changes"]
    applied = inv("apply", "titanic")
    assert (applied.returncode, applied.stderr) == (0, "")
    assert applied.stdout == planned.stdout + f"Applied titanic: {len(told['changes'])} changes.\n"
    assert inv("apply", "titanic").stdout == "Applied titanic: no changes.\n"
    same = inv("plan", "titanic")
    assert (same.returncode, same.stdout) == (0, "titanic is as its manifest says.\n")
    listed = inv("plan")
    assert listed.returncode == 0
    assert re.search(r"titanic +there +open +titanic\n", listed.stdout)
    assert re.search(r"HEP_tracking +- +- +HEP_tracking\n", listed.stdout)
