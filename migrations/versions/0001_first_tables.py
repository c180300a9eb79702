"""first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# A copy, as it was at this revision: `databoard.model.states` may go on.
TRANSITIONS = {
    "new": ("training", "deleted"),
    "training": ("trained", "training_error", "new", "checking_error"),
    "trained": ("validated", "validating_error", "new", "checking_error"),
    "validated": ("tested", "testing_error", "new", "checking_error"),
    "tested": ("scored", "scoring_error", "new", "checking_error"),
    "scored": ("new", "deleted"),
    "training_error": ("new", "deleted"),
    "validating_error": ("new", "deleted"),
    "testing_error": ("new", "deleted"),
    "scoring_error": ("new", "deleted"),
    "checking_error": ("new", "deleted"),
    "deleted": ("new",),
}


def upgrade() -> None:
    op.create_table(
        "score_type",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("is_lower_the_better", sa.Boolean(), nullable=False),
        sa.Column("minimum", sa.Double(), nullable=False),
        sa.Column("maximum", sa.Double(), nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_score_type_name")),
        sa.CheckConstraint("minimum < maximum", name=op.f("ck_score_type_bounds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_type")),
        sa.UniqueConstraint("name", name=op.f("uq_score_type_name")),
    )
    op.create_table(
        "submission_transition",
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("source", "target", name=op.f("pk_submission_transition")),
    )
    op.create_table(
        "team",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_team_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        sa.UniqueConstraint("name", name=op.f("uq_team_name")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("firstname", sa.String(length=100), nullable=False),
        sa.Column("lastname", sa.String(length=100), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("access_level", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "access_level IN ('not_confirmed', 'asked', 'user', 'admin')",
            name=op.f("ck_user_account_access_level"),
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_user_account_email")),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_user_account_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("email", name=op.f("uq_user_account_email")),
        sa.UniqueConstraint("name", name=op.f("uq_user_account_name")),
    )
    op.create_table(
        "workflow",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_workflow_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow")),
        sa.UniqueConstraint("name", name=op.f("uq_workflow_name")),
    )
    op.create_table(
        "workflow_element_type",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.CheckConstraint(
            "kind IN ('code', 'data', 'text')", name=op.f("ck_workflow_element_type_kind")
        ),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_workflow_element_type_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow_element_type")),
        sa.UniqueConstraint("name", name=op.f("uq_workflow_element_type_name")),
    )
    op.create_table(
        "problem",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_problem_name")),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflow.id"],
            name=op.f("fk_problem_workflow_id_workflow"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problem")),
        sa.UniqueConstraint("name", name=op.f("uq_problem_name")),
    )
    op.create_index(op.f("ix_problem_workflow_id"), "problem", ["workflow_id"], unique=False)
    op.create_table(
        "team_member",
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_team_member_team_id_team"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_team_member_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("pk_team_member")),
    )
    op.create_index(op.f("ix_team_member_user_id"), "team_member", ["user_id"], unique=False)
    op.create_table(
        "workflow_element",
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["type_id"],
            ["workflow_element_type.id"],
            name=op.f("fk_workflow_element_type_id_workflow_element_type"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflow.id"],
            name=op.f("fk_workflow_element_workflow_id_workflow"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workflow_id", "position", name=op.f("pk_workflow_element")),
        sa.UniqueConstraint(
            "workflow_id", "type_id", name=op.f("uq_workflow_element_workflow_id_type_id")
        ),
    )
    op.create_index(
        op.f("ix_workflow_element_type_id"), "workflow_element", ["type_id"], unique=False
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("problem_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("score_kind", sa.String(length=4), nullable=False),
        sa.Column("n_folds", sa.Integer(), nullable=False),
        sa.Column("folds_digest", sa.String(length=64), nullable=False),
        sa.Column("time_limit", sa.Integer(), nullable=False),
        sa.Column("memory_limit", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("score_kind IN ('bag', 'mean')", name=op.f("ck_event_score_kind")),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_event_name")),
        sa.CheckConstraint("n_folds > 0", name=op.f("ck_event_n_folds")),
        sa.CheckConstraint("time_limit > 0 AND memory_limit > 0", name=op.f("ck_event_limits")),
        sa.ForeignKeyConstraint(
            ["problem_id"],
            ["problem.id"],
            name=op.f("fk_event_problem_id_problem"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("name", name=op.f("uq_event_name")),
    )
    op.create_index(op.f("ix_event_problem_id"), "event", ["problem_id"], unique=False)
    op.create_table(
        "event_score_type",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("score_type_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("precision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["event.id"],
            name=op.f("fk_event_score_type_event_id_event"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["score_type_id"],
            ["score_type.id"],
            name=op.f("fk_event_score_type_score_type_id_score_type"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_score_type")),
        sa.UniqueConstraint(
            "event_id", "position", name=op.f("uq_event_score_type_event_id_position")
        ),
        sa.UniqueConstraint(
            "event_id", "score_type_id", name=op.f("uq_event_score_type_event_id_score_type_id")
        ),
    )
    op.create_index(
        op.f("ix_event_score_type_score_type_id"),
        "event_score_type",
        ["score_type_id"],
        unique=False,
    )
    op.create_table(
        "event_team",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("signed_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["event.id"],
            name=op.f("fk_event_team_event_id_event"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_event_team_team_id_team"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("event_id", "team_id", name=op.f("pk_event_team")),
    )
    op.create_index(op.f("ix_event_team_team_id"), "event_team", ["team_id"], unique=False)
    op.create_table(
        "submission",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("files_digest", sa.String(length=64), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lost_leases", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("lease_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("training_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_kind", sa.String(length=20), nullable=True),
        sa.Column("error_fold", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("train_time", sa.Double(), nullable=True),
        sa.Column("valid_time", sa.Double(), nullable=True),
        sa.Column("test_time", sa.Double(), nullable=True),
        sa.Column("max_memory", sa.Double(), nullable=True),
        sa.Column("contributivity", sa.Double(), nullable=True),
        sa.Column("historical_contributivity", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('training', 'trained', 'validated', 'tested')) = (lease_end IS NOT NULL AND worker IS NOT NULL)",
            name=op.f("ck_submission_lease"),
        ),
        sa.CheckConstraint(
            "state = 'deleted' OR (state IN ('training_error', 'validating_error', 'testing_error', 'scoring_error', 'checking_error')) = (error_kind IS NOT NULL)",
            name=op.f("ck_submission_error"),
        ),
        sa.CheckConstraint(
            "state IN ('new', 'training', 'trained', 'validated', 'tested', 'scored', 'training_error', 'validating_error', 'testing_error', 'scoring_error', 'checking_error', 'deleted')",
            name=op.f("ck_submission_state"),
        ),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_submission_name")),
        sa.ForeignKeyConstraint(
            ["event_id", "team_id"],
            ["event_team.event_id", "event_team.team_id"],
            name=op.f("fk_submission_event_id_team_id_event_team"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["event.id"],
            name=op.f("fk_submission_event_id_event"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_submission_team_id_team"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submission")),
        sa.UniqueConstraint(
            "event_id", "team_id", "name", name=op.f("uq_submission_event_id_team_id_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_submission_event_id_state", "submission", ["event_id", "state"], unique=False
    )
    op.create_index(
        "ix_submission_lease_end",
        "submission",
        ["lease_end"],
        unique=False,
        postgresql_where=sa.text("lease_end IS NOT NULL"),
        sqlite_where=sa.text("lease_end IS NOT NULL"),
    )
    op.create_index(
        "ix_submission_queue",
        "submission",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'new'"),
        sqlite_where=sa.text("state = 'new'"),
    )
    op.create_index(op.f("ix_submission_team_id"), "submission", ["team_id"], unique=False)
    op.create_table(
        "fold_run",
        sa.Column("submission_id", sa.Integer(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("train_time", sa.Double(), nullable=False),
        sa.Column("valid_time", sa.Double(), nullable=False),
        sa.Column("test_time", sa.Double(), nullable=False),
        sa.Column("max_memory", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submission.id"],
            name=op.f("fk_fold_run_submission_id_submission"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("submission_id", "fold", name=op.f("pk_fold_run")),
    )
    op.create_table(
        "submission_score",
        sa.Column("submission_id", sa.Integer(), nullable=False),
        sa.Column("event_score_type_id", sa.Integer(), nullable=False),
        sa.Column("bag_key", sa.Double(), nullable=False),
        sa.Column("mean_key", sa.Double(), nullable=False),
        sa.Column("valid_bag", sa.Double(), nullable=True),
        sa.Column("test_bag", sa.Double(), nullable=True),
        sa.Column("train_mean", sa.Double(), nullable=True),
        sa.Column("valid_mean", sa.Double(), nullable=True),
        sa.Column("test_mean", sa.Double(), nullable=True),
        sa.Column("train_std", sa.Double(), nullable=True),
        sa.Column("valid_std", sa.Double(), nullable=True),
        sa.Column("test_std", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_score_type_id"],
            ["event_score_type.id"],
            name=op.f("fk_submission_score_event_score_type_id_event_score_type"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submission.id"],
            name=op.f("fk_submission_score_submission_id_submission"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "submission_id", "event_score_type_id", name=op.f("pk_submission_score")
        ),
    )
    op.create_index(
        "ix_submission_score_bag",
        "submission_score",
        ["event_score_type_id", "bag_key", "submission_id"],
        unique=False,
    )
    op.create_index(
        "ix_submission_score_mean",
        "submission_score",
        ["event_score_type_id", "mean_key", "submission_id"],
        unique=False,
    )
    op.create_table(
        "fold_score",
        sa.Column("submission_id", sa.Integer(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("event_score_type_id", sa.Integer(), nullable=False),
        sa.Column("train", sa.Double(), nullable=True),
        sa.Column("valid", sa.Double(), nullable=True),
        sa.Column("test", sa.Double(), nullable=True),
        sa.Column("valid_bag", sa.Double(), nullable=True),
        sa.Column("test_bag", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_score_type_id"],
            ["event_score_type.id"],
            name=op.f("fk_fold_score_event_score_type_id_event_score_type"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["submission_id", "fold"],
            ["fold_run.submission_id", "fold_run.fold"],
            name=op.f("fk_fold_score_submission_id_fold_fold_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "submission_id", "fold", "event_score_type_id", name=op.f("pk_fold_score")
        ),
    )
    _guard_transitions()


def _guard_transitions() -> None:
    """Fill the table of legal transitions, and make the database refuse all others."""
    table = sa.table("submission_transition", sa.column("source"), sa.column("target"))
    op.bulk_insert(
        table,
        [
            {"source": source, "target": target}
            for source in TRANSITIONS
            for target in TRANSITIONS[source]
        ],
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("""
            CREATE TRIGGER submission_state BEFORE UPDATE OF state ON submission
            WHEN OLD.state <> NEW.state AND NOT EXISTS (
                SELECT 1 FROM submission_transition
                WHERE source = OLD.state AND target = NEW.state)
            BEGIN SELECT RAISE(ABORT, 'illegal change of state'); END
        """)
        return
    op.execute("""
        CREATE FUNCTION submission_state() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM submission_transition
                           WHERE source = OLD.state AND target = NEW.state) THEN
                RAISE EXCEPTION 'illegal change of state from % to %', OLD.state, NEW.state
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER submission_state BEFORE UPDATE OF state ON submission
        FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION submission_state()
    """)
