"""the web pages"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
# New columns have a default, so that code that does not know them still adds rows.
oldest_code = "0001"


def upgrade() -> None:
    op.create_table(
        "site_key",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_site_key")),
    )
    op.create_table(
        "access_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_access_token_name")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_access_token_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_access_token_digest")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_access_token_user_id_name")),
    )
    op.create_table(
        "board_version",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["event.id"],
            name=op.f("fk_board_version_event_id_event"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_board_version")),
    )
    op.create_table(
        "interaction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("event_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.CheckConstraint("length(kind) > 0", name=op.f("ck_interaction_kind")),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["event.id"],
            name=op.f("fk_interaction_event_id_event"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_interaction_user_id_user_account"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interaction")),
    )
    op.create_index("ix_interaction_event_id", "interaction", ["event_id"])
    op.create_index("ix_interaction_kind_at", "interaction", ["kind", "at"])
    op.create_index("ix_interaction_user_id", "interaction", ["user_id"])

    op.create_table(
        "sign_up_request",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["event.id"],
            name=op.f("fk_sign_up_request_event_id_event"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_id"],
            ["team.id"],
            name=op.f("fk_sign_up_request_team_id_team"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "team_id", name=op.f("pk_sign_up_request")),
    )
    op.create_index("ix_sign_up_request_team_id", "sign_up_request", ["team_id"])

    op.create_table(
        "sandbox_file",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id", "team_id"],
            ["event_team.event_id", "event_team.team_id"],
            name=op.f("fk_sandbox_file_event_id_team_id_event_team"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "team_id", "name", name=op.f("pk_sandbox_file")),
    )
    for column in (
        sa.Column(
            "daily_quota",
            sa.Integer(),
            sa.CheckConstraint("daily_quota > 0", name=op.f("ck_event_daily_quota")),
        ),
        sa.Column("is_anonymous", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("event", column)
    _watch_boards()


# What boards show, by table: the event of a row, and which rows do not matter.
WATCHED = {
    "submission": ("{row}.event_id", "{row}.state = 'scored'"),
    "submission_score": (
        "(SELECT event_id FROM event_score_type WHERE id = {row}.event_score_type_id)",
        "",
    ),
    "event_score_type": ("{row}.event_id", ""),
    "event": ("{row}.id", ""),
}


def _watch_boards() -> None:
    """Let the version of an event's boards change with them."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    word = (
        "lower(hex(randomblob(16)))" if is_sqlite else "replace(gen_random_uuid()::text, '-', '')"
    )
    op.execute(
        f"INSERT INTO board_version (event_id, version) SELECT id, {word} FROM event"  # noqa: S608
    )
    if not is_sqlite:
        # Once in a transaction, at its end: nobody waits for anything while the version is locked.
        op.execute("""
            CREATE FUNCTION board_changed(changed integer) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                -- NULL: the score type is gone, which is watched itself
                IF changed IS NULL
                   OR current_setting('databoard.board_' || changed, true) = '1' THEN
                    RETURN;
                END IF;
                INSERT INTO board_version (event_id, version)
                SELECT id, replace(gen_random_uuid()::text, '-', '') FROM event WHERE id = changed
                ON CONFLICT (event_id) DO UPDATE SET version = excluded.version;
                PERFORM set_config('databoard.board_' || changed, '1', true);
            END $$
        """)
    for table, (event, matters) in WATCHED.items():
        for what, rows in (("INSERT", ["NEW"]), ("UPDATE", ["OLD", "NEW"]), ("DELETE", ["OLD"])):
            if table == "event" and what == "DELETE":
                continue
            name = f"board_of_{table}_{what.lower()}"
            when = " OR ".join(matters.format(row=row) for row in rows if matters)
            (_watch_on_sqlite if is_sqlite else _watch_on_postgresql)(
                table, what, name, event.format(row=rows[-1]), f"WHEN ({when})" if when else ""
            )


def _watch_on_postgresql(table: str, what: str, name: str, event: str, when: str) -> None:
    op.execute(f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM board_changed({event}); RETURN NULL; END $$
    """)
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER {name} AFTER {what} ON {table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW {when} EXECUTE FUNCTION {name}()
    """)


def _watch_on_sqlite(table: str, what: str, name: str, event: str, when: str) -> None:
    changed = f"""
        INSERT INTO board_version (event_id, version)
        SELECT id, lower(hex(randomblob(16))) FROM event WHERE id = {event}
        ON CONFLICT (event_id) DO UPDATE SET version = excluded.version
    """  # noqa: S608 - of words in this file
    op.execute(f"CREATE TRIGGER {name} AFTER {what} ON {table} {when} BEGIN {changed}; END")
