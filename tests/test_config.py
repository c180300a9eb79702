"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from databoard import config
from databoard.errors import InvalidValue

PATH, PATH_TEST = "DATABOARD_DEPLOYMENT_PATH", "DATABOARD_DEPLOYMENT_PATH_TEST"


def test_without_variables_everything_is_beside_the_code() -> None:
    settings = config.load({})
    assert not settings.is_test
    assert settings.deployment_path == config.ROOT / "deployment"
    assert settings.db_url == f"sqlite:///{config.ROOT}/deployment/databoard.db"
    assert settings.threads == "1"
    assert config.load(dict.fromkeys((PATH, "DATABOARD_DB_URL", "DATABOARD_TEST"), "")) == settings


def test_the_environment_is_what_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATH, "/srv/challenges")
    monkeypatch.delenv("DATABOARD_TEST", raising=False)
    assert config.load().deployment_path == Path("/srv/challenges")


@pytest.mark.parametrize(
    ("typed", "path"), [("True", "/b"), ("yes", "/b"), ("1", "/b"), ("False", "/a"), ("0", "/a")]
)
def test_the_test_deployment_is_another(typed: str, path: str) -> None:
    settings = config.load({"DATABOARD_TEST": typed, PATH: "/a", PATH_TEST: "/b"})
    assert settings.is_test == (path == "/b")
    assert settings.deployment_path == Path(path)
    assert settings.db_url == f"sqlite:///{path}/databoard.db"


def test_the_test_deployment_never_falls_back_on_the_other() -> None:
    settings = config.load({"DATABOARD_TEST": "True", PATH: "/a"})
    assert settings.deployment_path == config.ROOT / "deployment-test"


def test_a_url_and_threads_are_taken_as_they_are() -> None:
    url = "postgresql://user:password@host/name"
    settings = config.load({"DATABOARD_DB_URL": url, "OMP_NUM_THREADS": "3"})
    assert (settings.db_url, settings.threads) == (url, "3")


def test_typed_paths_are_relative_to_where_they_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/gardener")
    assert config.load({PATH: "here/../there"}).deployment_path == tmp_path / "there"
    assert config.load({PATH: "~/there"}).deployment_path == Path("/home/gardener/there")


def test_folders_are_made_once(tmp_path: Path) -> None:
    settings = config.load({PATH: str(tmp_path / "new" / "place")})
    settings.make_folders()
    settings.make_folders()
    made = sorted(path.name for path in (tmp_path / "new" / "place").iterdir())
    assert made == ["ramp-data", "ramp-kits", "submissions"]


def test_a_wrong_boolean_names_the_variable() -> None:
    with pytest.raises(InvalidValue) as caught:
        config.load({"DATABOARD_TEST": "perhaps"})
    assert str(caught.value) == (
        "DATABOARD_TEST is 'perhaps'.\nUse True or False (or 1/0, yes/no)."
    )
