"""the whole admin table"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
# New columns have a default, so that code that does not know them still adds rows.
oldest_code = "0001"


def upgrade() -> None:
    op.create_table(
        "keyword",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.CheckConstraint(
            "kind IN ('data_domain', 'data_science_theme')", name=op.f("ck_keyword_kind")
        ),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_keyword_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keyword")),
        sa.UniqueConstraint("name", name=op.f("uq_keyword_name")),
    )
    op.create_table(
        "sent_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("occasion", sa.String(length=64), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_sent_mail_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sent_mail")),
        sa.UniqueConstraint(
            "user_id", "kind", "occasion", name=op.f("uq_sent_mail_user_id_kind_occasion")
        ),
    )
    _link("problem_keyword", ("problem_id", "problem"), ("keyword_id", "keyword"))
    _link("event_admin", ("event_id", "event"), ("user_id", "user_account"))
    _link(
        "submission_credit",
        ("submission_id", "submission"),
        ("source_id", "submission"),
        sa.Column("share", sa.Double(), nullable=False),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("ck_submission_credit_share")),
        sa.CheckConstraint("source_id <> submission_id", name=op.f("ck_submission_credit_source")),
    )
    for column in (
        sa.Column("requirements", sa.Text()),
        _number("max_members", 1, "max_members > 0"),
        _flag("is_sign_up_controlled", True),
        _flag("is_competitive", False),
        _number("min_seconds", 900, "min_seconds >= 0"),
        sa.Column("opening_at", sa.DateTime(timezone=True)),
        sa.Column("public_opening_at", sa.DateTime(timezone=True)),
        sa.Column("closing_at", sa.DateTime(timezone=True)),
        _flag("mails_submitted", True),
        _flag("mails_trained", True),
        sa.Column("valid_combined", sa.Double()),
        sa.Column("test_combined", sa.Double()),
        sa.Column("valid_foldwise_best", sa.Double()),
        sa.Column("test_foldwise_best", sa.Double()),
    ):
        op.add_column("event", column)
    op.add_column("fold_run", sa.Column("contributivity", sa.Double()))
    op.add_column("submission", _flag("is_in_ensemble", True))
    op.add_column(
        "user_account", sa.Column("hidden_notes", sa.Text(), server_default="", nullable=False)
    )


def _link(name: str, owner: tuple[str, str], other: tuple[str, str], *more: Any) -> None:
    """A table of pairs, which go when one of the two goes."""
    own, their = owner[0], other[0]
    op.create_table(
        name,
        sa.Column(own, sa.Integer(), nullable=False),
        sa.Column(their, sa.Integer(), nullable=False),
        *more,
        *(
            sa.ForeignKeyConstraint(
                [column],
                [f"{table}.id"],
                name=op.f(f"fk_{name}_{column}_{table}"),
                ondelete="CASCADE",
            )
            for column, table in (owner, other)
        ),
        sa.PrimaryKeyConstraint(own, their, name=op.f(f"pk_{name}")),
    )
    op.create_index(op.f(f"ix_{name}_{their}"), name, [their])


def _flag(name: str, default: bool) -> sa.Column[bool]:
    value = sa.true() if default else sa.false()
    return sa.Column(name, sa.Boolean(), server_default=value, nullable=False)


def _number(name: str, default: int, check: str) -> sa.Column[int]:
    constraint = sa.CheckConstraint(check, name=op.f(f"ck_event_{name}"))
    return sa.Column(name, sa.Integer(), constraint, server_default=str(default), nullable=False)
