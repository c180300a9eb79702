"""run records"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
# Code that does not know the table trains without it; a record counts for its own attempt alone.
oldest_code = "0001"


def upgrade() -> None:
    op.create_table(
        "run_record",
        sa.Column("submission_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submission.id"],
            name=op.f("fk_run_record_submission_id_submission"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("submission_id", "attempt", name=op.f("pk_run_record")),
    )
