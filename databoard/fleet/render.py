"""What a rollout writes on hosts beside the code: rendered from templates/."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from databoard.config import ROOT
from databoard.errors import InvalidValue
from databoard.fleet.inventory import Host, Secret, Target, Value

WEB_USER, WORKER_USER = "databoard", "databoard-worker"


@dataclass(frozen=True)
class File:
    """A rendered file, and where it belongs on the host."""

    name: str  # in the folder etc/ of the release
    content: str
    destination: PurePosixPath | None = None  # None: it is used where it is
    owner: str = ""  # empty: root, or whoever owns everything on this machine
    mode: str = "644"

    @property
    def is_secret(self) -> bool:
        """Whether its content is never shown."""
        return self.mode == "600"


CRON = "cron"


def rendered(target: Target, host: Host, templates: Path = ROOT / "templates") -> list[File]:
    """The files of a host, by its roles.

    Raises InvalidValue when a secret cannot be read or a template names what there is not.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

    is_local = target.connection == "local"
    web_user, worker_user = ("", "") if is_local else (WEB_USER, WORKER_USER)
    jinja = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - these are no pages; values are quoted where they need it
    )
    jinja.filters["quote"] = lambda value: shlex.quote(str(value))
    values = {
        "target": target.name,
        "host": host,
        "home": host.home,
        "web": target.web,
        "web_user": web_user,
        "worker_user": worker_user,
        "environment": environment_of(target, host),
        "has_database": "database" in host.roles or target.database is None,
    }

    def render(name: str) -> str:
        try:
            return jinja.get_template(f"{name}.j2").render(values, **plain(host.variables))
        except TemplateError as error:
            raise InvalidValue(
                f"templates/{name}.j2 cannot be rendered for {host.name}: {error}.",
                f"Add what it needs to `variables` in {target.file}.",
            ) from None

    def file(name: str, path: str, mode: str = "644") -> File:
        return File(name, render(name), PurePosixPath(path), mode=mode)

    bin_folder = f"{host.home}/bin"
    environment = render("environment")
    files = [
        file("inv.sh", f"{bin_folder}/inv", mode="755"),
        File("worker.env", environment, None, worker_user, "600"),
    ]
    if is_local:
        return [*files, file("services.sh", f"{bin_folder}/services", mode="755")]
    files += [
        file(CRON, "/etc/cron.d/databoard"),
        file("logrotate", "/etc/logrotate.d/databoard"),
    ]
    if "web" in host.roles:
        files += [
            File("web.env", environment, None, web_user, "600"),
            File("app.wsgi", render("app.wsgi")),
            file("apache.conf", "/etc/apache2/sites-available/databoard.conf"),
        ]
    if "worker" in host.roles:
        files.append(file("worker.service", "/etc/systemd/system/databoard-worker.service"))
    return files


def environment_of(target: Target, host: Host) -> dict[str, str]:
    """The environment of Databoard's processes on a host.

    A variable of the inventory whose name is in capitals is one of theirs.
    """
    deployment = host.home / "shared"
    environment = {
        "DATABOARD_SITE": target.name,
        "DATABOARD_DEPLOYMENT_PATH": str(deployment),
        "DATABOARD_DB_URL": target.database.url()
        if target.database
        else f"sqlite:///{deployment / 'databoard.db'}",
        "OMP_NUM_THREADS": "1",
    }
    if target.backups:
        environment["DATABOARD_BACKUPS"] = target.backups
    variables = plain(host.variables).items()
    return environment | {name: str(value) for name, value in variables if name.isupper()}


def plain(variables: Mapping[str, Value]) -> dict[str, object]:
    """The variables with their secrets read."""
    return {
        name: value.read() if isinstance(value, Secret) else value
        for name, value in variables.items()
    }
