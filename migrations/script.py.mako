"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# Code back to this revision works after this migration, too; its own: only code that has it.
oldest_code = ${repr(config.attributes["oldest_code"])}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
