"""Migrations: what their files say, how they are run, and which code works after them.

A rollout migrates while the old release serves, and goes back to it when the new one fails. So a
migration may say `oldest_code = "0005"`: code whose newest migration is 0005 works after it, too.
Without a word only code that has the migration does. The database keeps the most restrictive of
them beside its revision, for code that has never seen these files.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from databoard.errors import DataboardError

TABLE = "schema_compatibility"  # of no model: code without it works on, with a database without it


@dataclass(frozen=True)
class Migration:
    """A file of the folder versions/, named `<id>_<what>.py`."""

    id: str
    title: str
    oldest_code: str  # the oldest newest migration of code that works after it


def files(folder: Path) -> dict[str, Path]:
    """The migrations of a folder by their ids, oldest first."""
    paths = sorted((folder / "versions").glob("*_*.py"))
    return {path.name.split("_")[0]: path for path in paths}


def read(path: Path) -> Migration:
    """What a file says of itself; it is not run, and Alembic is not imported.

    Raises DataboardError when it cannot be read.
    """
    id_, _, what = path.stem.partition("_")
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except (SyntaxError, ValueError) as error:
        raise failed(path.name, error) from error
    lines = (ast.get_docstring(tree) or what.replace("_", " ")).splitlines()
    oldest = dict(_assigned(tree)).get("oldest_code", ast.Constant(id_))
    value = oldest.value if isinstance(oldest, ast.Constant) else None
    if not isinstance(value, str) or not value.isdigit() or value > id_:
        raise DataboardError(
            f"The migration {path.name} has an oldest_code that is no revision up to its own.",
            f'Write one as text: oldest_code = "{id_}"',
        )
    return Migration(id_, lines[0], value)


def breaking(pending: Iterable[Migration], code: str) -> list[Migration]:
    """Those after which code whose newest migration is `code` works no more."""
    return [each for each in pending if each.oldest_code > code]


def run(connection: Connection, folder: Path) -> None:
    """Bring the database to the newest revision, within the connection's transaction.

    Raises DataboardError, naming the file, when a migration fails, however it does.
    """
    from alembic import command

    known = [read(path) for path in files(folder).values()]
    triggers = _triggers(connection)
    try:
        command.upgrade(_configured(connection, folder), "head")
    except (Exception, SystemExit) as error:
        name = _culprit(error, folder)
        if name is None and isinstance(error, DBAPIError):
            raise  # the database is away, or another's
        raise failed(name, error) from error
    if connection.dialect.name == "sqlite":
        _put_back(connection, triggers)
        _check_foreign_keys(connection)
    _record(connection, known[-1].id, max(each.oldest_code for each in known))


def write(connection: Connection, folder: Path, message: str, compatible: bool) -> Path:
    """Write the migration from the database to the models.

    `compatible`: whatever code works before it works after it, too. Raises DataboardError when
    nothing differs.
    """
    from alembic import command
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from databoard.model.tables import Base

    context = MigrationContext.configure(connection, opts={"include_name": include_name})
    if not compare_metadata(context, Base.metadata):
        raise DataboardError(
            "The models and the database do not differ.", "There is nothing to migrate."
        )
    known = [read(path) for path in files(folder).values()]
    id_ = f"{int(known[-1].id) + 1:04d}"
    oldest = max(each.oldest_code for each in known) if compatible else id_
    config = _configured(connection, folder, oldest_code=oldest)
    script = command.revision(config, message=message, autogenerate=True, rev_id=id_)
    assert script is not None and not isinstance(script, list)
    return Path(script.path)


def oldest_code(connection: Connection, revision: str) -> str | None:
    """The oldest code that works with a database at this revision; None when it is not told."""
    if not connection.dialect.has_table(connection, TABLE):
        return None
    query = text(f"SELECT oldest_code FROM {TABLE} WHERE revision = :revision")  # noqa: S608 - a name cannot be bound
    found: str | None = connection.execute(query, {"revision": revision}).scalar()
    return found


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """For Alembic: what in a database is the models' concern."""
    return not (kind == "table" and name == TABLE)


def failed(name: str | None, error: BaseException) -> DataboardError:
    """What to tell a person whose migration fails."""
    reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().split("\n")[0]
    if not isinstance(error, DataboardError | DBAPIError):
        reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
    return DataboardError(
        f"The migration {name} failed: {reason}" if name else f"The migrations failed: {reason}",
        "The database is as it was. Mend the migration, then: inv db-upgrade",
    )


def _configured(connection: Connection, folder: Path, **attributes: str) -> Any:
    """Alembic's configuration; migrations/env.py and the template read the attributes."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes.update(attributes, connection=connection)
    return config


def _triggers(connection: Connection) -> dict[tuple[str, str], str]:
    """The statements that made SQLite's triggers, by table and name."""
    if connection.dialect.name != "sqlite":
        return {}
    query = text("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'")
    return {(table, name): sql for table, name, sql in connection.execute(query)}


def _put_back(connection: Connection, triggers: dict[tuple[str, str], str]) -> None:
    """Make again what went with a table that Alembic made anew."""
    present = _triggers(connection)
    for (table, name), sql in triggers.items():
        if (table, name) not in present and connection.dialect.has_table(connection, table):
            connection.exec_driver_sql(sql)


def _check_foreign_keys(connection: Connection) -> None:
    # SQLite does not look while migrations are run: see `database._migrating`.
    row = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if row is not None:
        raise failed(None, DataboardError(f"rows of {row[0]} refer to no row of {row[2]}"))


def _record(connection: Connection, revision: str, oldest: str) -> None:
    # With the revision: whoever sets that by hand does not take the promise along.
    columns = "revision VARCHAR(32) NOT NULL, oldest_code VARCHAR(32) NOT NULL"
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS {TABLE} ({columns})"))
    connection.execute(text(f"DELETE FROM {TABLE}"))  # noqa: S608 - a name cannot be bound
    insert = text(f"INSERT INTO {TABLE} VALUES (:revision, :oldest)")  # noqa: S608 - a name cannot be bound
    connection.execute(insert, {"revision": revision, "oldest": oldest})


def _culprit(error: BaseException, folder: Path) -> str | None:
    """The name of the migration in which it was raised."""
    versions = (folder / "versions").resolve()
    paths = [Path(frame.filename) for frame in extract_tb(error.__traceback__)]
    names = [path.name for path in paths if path.parent.resolve() == versions]
    return names[0] if names else None


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        for target in node.targets if isinstance(node, ast.Assign) else ():
            assert isinstance(node, ast.Assign)
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            yield from ((name.id, value) for name, value in pairs if isinstance(name, ast.Name))
