"""Settings: from the environment over defaults. Read once, at the top of a command."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from databoard.names import as_bool

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Where things are. All paths are absolute."""

    is_test: bool
    deployment_path: Path
    db_url: str
    threads: str
    site: str  # what its snapshots are filed under: the target's name
    store: str  # of snapshots, as backup.place reads it

    @property
    def own_store(self) -> str:
        """The store that needs no other disk and no other machine."""
        return str(self.deployment_path / "backups")

    @property
    def kits_path(self) -> Path:
        """One folder per kit."""
        return self.deployment_path / "ramp-kits"

    @property
    def data_path(self) -> Path:
        """Data of kits that keep it apart from their code: `<data_path>/<kit>/data`."""
        return self.deployment_path / "ramp-data"

    @property
    def environments_path(self) -> Path:
        """One virtual environment per list of requirements that kits need."""
        return self.deployment_path / "environments"

    @property
    def submissions_path(self) -> Path:
        """One folder per submission."""
        return self.deployment_path / "submissions"

    def make_folders(self) -> None:
        """Make the deployment's folders that are not there yet."""
        for path in (self.kits_path, self.data_path, self.submissions_path):
            path.mkdir(parents=True, exist_ok=True)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    `DATABOARD_TEST=True` switches to `DATABOARD_DEPLOYMENT_PATH_TEST`. Without
    `DATABOARD_DB_URL` the database is a SQLite file in the deployment folder.
    Raises InvalidValue when `DATABOARD_TEST` is no boolean.
    """
    env = os.environ if environment is None else environment
    is_test = as_bool("DATABOARD_TEST", env.get("DATABOARD_TEST") or "False")
    variable, default = (
        ("DATABOARD_DEPLOYMENT_PATH_TEST", "deployment-test")
        if is_test
        else ("DATABOARD_DEPLOYMENT_PATH", "deployment")
    )
    # A typed path is relative to where it was typed, the default is beside the code.
    typed = env.get(variable)
    deployment = Path(typed).expanduser().resolve() if typed else ROOT / default
    return Settings(
        is_test=is_test,
        deployment_path=deployment,
        db_url=env.get("DATABOARD_DB_URL")
        or _postgresql(env)
        or f"sqlite:///{deployment / 'databoard.db'}",
        threads=env.get("OMP_NUM_THREADS") or "1",
        site=env.get("DATABOARD_SITE") or ("test" if is_test else "local"),
        store=env.get("DATABOARD_BACKUPS") or str(deployment / "backups"),
    )


def _postgresql(env: Mapping[str, str]) -> str | None:
    """The database on this machine that is named part by part."""
    if not (name := env.get("DATABOARD_DB_NAME")):
        return None
    user, password = env.get("DATABOARD_DB_USER", ""), env.get("DATABOARD_DB_PASSWORD", "")
    who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"postgresql://{who}localhost/{quote(name, safe='')}"


def release() -> str:
    """The id of the release that this code was rolled out as; `development` in a checkout."""
    path = ROOT / "release.json"
    return str(json.loads(path.read_text())["id"]) if path.exists() else "development"


def shown_path(path: Path) -> str:
    """As people know it: from the checkout if it is in there."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def cache_folder() -> Path:
    """What is kept between commands on this machine, and may be removed at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "databoard"
