"""The manual's sequences, typed command by command, give the same database as their manifests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from databoard import config, database, environments, manifest
from databoard.model.event import Event, EventTeam
from databoard.model.problem import Problem, ScoreType, Workflow, WorkflowElementType
from tests.typist import Inv

# `fab NAME:a,b` is `inv NAME a b`; else these are the manual's lines in its order.
OLDER = """
add-workflow-element-type feature_extractor code
add-workflow-element-type classifier code
add-workflow-element-type regressor code
"""  # what had been added before the first sequence
SEQUENCES = """
add-score-type auc 0 0.0 1.0
add-workflow feature_extractor_classifier_workflow feature_extractor,classifier
add-problem titanic
add-event titanic
sign-up-team titanic kegl

add-score-type f1_above 0 0.0 1.0
add-problem pollenating_insects_2 --force
add-event pollenating_insects_2_paillasse --force
sign-up-team pollenating_insects_2_paillasse kegl
sign-up-team pollenating_insects_2_paillasse mcherti

add-workflow-element-type image_preprocessor code
add-workflow-element-type batch_classifier code
add-workflow batch_classifier_workflow image_preprocessor,batch_classifier
add-problem pollenating_insects
add-event pollenating_insects_M1XMAP583_M2HECXMAP542_201617
sign-up-team pollenating_insects_M1XMAP583_M2HECXMAP542_201617 kegl
sign-up-team pollenating_insects_M1XMAP583_M2HECXMAP542_201617 mcherti

add-score-type clustering_efficiency 0 0.0 1
add-workflow-element-type clusterer code
add-workflow clusterer_workflow clusterer
add-problem HEP_tracking
add-event HEP_tracking
sign-up-team HEP_tracking kegl

add-score-type error_mare_mixed 1 0.0 inf
add-score-type error_mixed 1 0.0 1.0
add-score-type mare_mixed 1 0.0 inf
add-score-type mare 1 0.0 inf
add-workflow-element-type feature_extractor_reg code
add-workflow-element-type feature_extractor_clf code
add-workflow feature_extractor_classifier_regressor_workflow \
    feature_extractor_clf,classifier,feature_extractor_reg,regressor
add-problem drug_spectra
add-event drug_spectra
sign-up-team drug_spectra kegl

add-workflow-element-type external_data data
add-workflow feature_extractor_regressor_with_external_data_workflow \
    feature_extractor,regressor,external_data
add-problem air_passengers
add-event air_passengers_dssp4
sign-up-team air_passengers_dssp4 kegl
sign-up-team air_passengers_dssp4 agramfort

add-workflow-element-type ts_feature_extractor code
add-workflow ts_feature_extractor_regressor_workflow ts_feature_extractor,regressor
add-problem sea_ice
add-event sea_ice_colorado
sign-up-team sea_ice_colorado kegl

add-workflow-element-type ts_feature_extractor code
add-workflow ts_feature_extractor_regressor_workflow ts_feature_extractor,regressor
add-problem el_nino
add-event el_nino
sign-up-team el_nino kegl

add-workflow-element-type feature_extractor code
add-workflow-element-type regressor code
add-workflow feature_extractor_regressor_workflow feature_extractor,regressor
add-problem epidemium2_cancer_mortality
add-event epidemium2_cancer_mortality
sign-up-team epidemium2_cancer_mortality kegl
"""


def everything(deployment: Path) -> dict[str, object]:
    """All that manifests speak of, without ids and times."""
    engine = database.open_engine(f"sqlite:///{deployment}/databoard.db")
    with database.reading(engine) as session:
        found = {
            "types": {row.name: row.kind for row in session.scalars(select(WorkflowElementType))},
            "workflows": {row.name: row.element_names for row in session.scalars(select(Workflow))},
            "scores": {
                row.name: (row.is_lower_the_better, row.minimum, row.maximum)
                for row in session.scalars(select(ScoreType))
            },
            "problems": {
                row.name: (row.title, row.workflow.name) for row in session.scalars(select(Problem))
            },
            "events": {row.name: about(row) for row in session.scalars(select(Event))},
            "teams": {
                (row.event.name, row.team.name) for row in session.scalars(select(EventTeam))
            },
        }
    engine.dispose()
    return found


def about(event: Event) -> dict[str, object]:
    settings = {column.key: getattr(event, column.key) for column in Event.__table__.columns}
    for name in ("id", "created_at", "problem_id"):
        del settings[name]
    scores = [(score.score_type.name, score.precision) for score in event.score_types]
    return settings | {"problem": event.problem.name, "score types": scores}


@pytest.fixture
def deployment(migrated_sqlite: Path, tmp_path: Path, make_kit: Callable[..., Path]) -> Path:
    """Small kits of these names, which run with the packages here, whatever they ask for."""
    settings = config.load({"DATABOARD_DEPLOYMENT_PATH": str(tmp_path / "typed")})
    settings.make_folders()
    shutil.copyfile(migrated_sqlite, settings.deployment_path / "databoard.db")
    for number, name in enumerate(manifest.names()):
        wanted = manifest.load(name)
        make_kit(settings.kits_path, wanted.problem, f"problem_title = 'Kit {number}'")
        python = environments.python_of(settings, wanted.environment)
        if wanted.environment and not python.exists():
            python.parent.mkdir(parents=True)
            python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            python.chmod(0o755)
    return settings.deployment_path


@pytest.mark.slow
def test_typing_the_sequences_gives_the_same_as_the_manifests(
    deployment: Path, typist: Inv, tmp_path: Path
) -> None:
    def inv(line: str, at: Path) -> tuple[int, str]:
        said = typist(*line.split(), DATABOARD_DEPLOYMENT_PATH=str(at))
        return said.code, said.stderr

    for name in ("kegl", "mcherti", "agramfort"):
        assert inv(f"create-user {name} {name}@example.org", deployment) == (0, "")
        assert inv(f"approve-user {name}", deployment) == (0, "")
    applied = shutil.copytree(deployment, tmp_path / "applied")
    before: set[str] = set()
    for line in filter(None, (OLDER + SEQUENCES).splitlines()):
        code, told = inv(line, deployment)
        if line in before:  # an older sequence has it
            assert code == 1 and told.startswith("There is already a workflow"), line
        else:
            assert (code, told) == (0, ""), line
        before.add(line)
    for name in manifest.names():
        assert inv(f"apply {name}", applied) == (0, ""), name
    assert everything(applied) == everything(deployment)
    assert everything(applied)["events"].keys() == set(manifest.names())
