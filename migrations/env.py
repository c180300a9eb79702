"""Run by Alembic with the connection that `databoard.database` opened."""

from alembic import context

from databoard.migration import include_name
from databoard.model.base import UtcDateTime
from databoard.model.tables import Base


def render_item(kind, item, autogen_context):
    """Migrations stand alone: they name no type of ours."""
    return "sa.DateTime(timezone=True)" if isinstance(item, UtcDateTime) else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    include_name=include_name,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
