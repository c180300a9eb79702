"""Commands of ops: what an inventory says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.command import command

if TYPE_CHECKING:
    from databoard.fleet.inventory import Target


@command(
    auto_shortflags=False,  # -h is --help
    help={
        "target": "Name of the inventory; DATABOARD_TARGET by default.",
        "hosts": "These hosts alone, as in web1,web2.",
        "json": "Print JSON.",
    },
)
def inventory(ctx, target=None, hosts=None, json=False):
    """Print what was understood of an inventory."""
    import os

    from databoard.fleet.inventory import chosen, load
    from databoard.names import as_list

    found = load(chosen(target))
    if hosts is not None:
        found = found.only(as_list("--hosts", hosts))
    is_path_typed = bool(os.environ.get("DATABOARD_PATH"))
    (print_json if json else print_target)(found, is_path_typed)


def print_target(target: Target, is_path_typed: bool) -> None:
    """A list of settings, and a table of hosts."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a line each, for grep
    settings = Table.grid("", "", padding=(0, 2))
    for title, text in settings_of(target):
        settings.add_row(title, text)
    hosts = Table(box=SIMPLE_HEAD)
    for title in ("host", "address", "roles", "path", "key", "variables"):
        hosts.add_column(title, overflow="fold")
    note = " (from DATABOARD_PATH)" if is_path_typed else ""
    for host in target.hosts:
        variables = [f"{name}={shown(value)}" for name, value in host.variables.items()]
        hosts.add_row(
            host.name,
            host.address
            if target.connection == "local"
            else f"{host.user}@{host.address} port {host.port}",
            ", ".join(host.roles),
            f"{host.path}{note}",
            str(host.key or "-"),
            ", ".join(variables) or "-",
        )
    with console.capture() as capture:
        console.print(settings, hosts, sep="\n")
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def settings_of(target: Target) -> list[tuple[str, str]]:
    """What is the same for all hosts, for a person."""
    from databoard.config import shown_path

    web, database = target.web, target.database
    stored = "SQLite, in the deployment"
    if database:
        stored = f"{database.name} of {database.user} at {database.host} port {database.port}"
        stored += f", password {shown(database.password)}"
    hooks = [
        (step, "; ".join(f"{hook.kind} {hook.text!r}" for hook in of))
        for step, of in target.hooks.items()
    ]
    return [
        ("target", f"{target.name} ({shown_path(target.file)})"),
        ("connection", target.connection),
        *([("known hosts", str(target.known_hosts))] if target.connection == "ssh" else []),
        ("timeouts", f"connect {target.connect_timeout:g} s, health {target.health_timeout:g} s"),
        ("releases", f"{target.keep_releases} are kept"),
        ("web", f"{web.name} port {web.port}, {web.processes} processes of {web.threads} threads"),
        ("database", stored),
        ("backups", target.backups or "-"),
        *hooks,
    ]


def print_json(target: Target, is_path_typed: bool) -> None:
    """One object; secrets are `{"secret": "!env NAME", "is_set": true}`."""
    import json

    print(json.dumps(plain(target) | {"is_path_from_environment": is_path_typed}, indent=1))


def shown(value: Any) -> str:
    """A variable or a password for a person."""
    from databoard.fleet.inventory import Secret

    if isinstance(value, Secret):
        return f"{value} ({'set' if is_set(value) else 'not set'})"
    return str(value)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    from collections.abc import Mapping
    from dataclasses import fields, is_dataclass
    from pathlib import PurePath

    from databoard.fleet.inventory import Secret

    if isinstance(value, Secret):
        return {"secret": str(value), "is_set": is_set(value)}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def is_set(secret: Any) -> bool:
    """Whether it can be read now."""
    from databoard.errors import InvalidValue

    try:
        secret.read()
    except InvalidValue:
        return False
    return True
