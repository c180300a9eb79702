"""turns in the queue"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
# New columns have a default, and the turn is given by a trigger.
oldest_code = "0001"

WAITS = "state = 'new'"
# The round of the event in which a submission comes: one after the last of its team, and not before
# the round that is served now. That is start-time fair queueing (Goyal, Vin and Cheng 1996), its
# virtual time being the round before the first that waits.
TURN = """
    max(
        coalesce((SELECT max(turn) FROM submission
                  WHERE event_id = NEW.event_id AND team_id = NEW.team_id AND id <> NEW.id), 0) + 1,
        coalesce(
            (SELECT min(turn) - 1 FROM submission
             WHERE event_id = NEW.event_id AND state = 'new' AND id <> NEW.id),
            (SELECT max(turn) FROM submission WHERE event_id = NEW.event_id AND id <> NEW.id),
            0
        )
    )
"""
# What a worker has lost keeps its turn.
COMES_BACK = "NEW.state = 'new' AND OLD.state IN {states}"
ENDED = (
    *("scored", "training_error", "validating_error", "testing_error"),
    *("scoring_error", "checking_error", "deleted"),
)


def upgrade() -> None:
    op.add_column(
        "event", sa.Column("is_paused", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("event", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.add_column("submission", sa.Column("turn", sa.Integer(), server_default="0", nullable=False))
    op.drop_index("ix_submission_queue", "submission")
    for name, columns, where in (
        ("ix_submission_queue", ["event_id", "turn", "id"], WAITS),
        ("ix_submission_event_id_turn", ["event_id", "turn"], None),
        ("ix_submission_event_id_team_id_turn", ["event_id", "team_id", "turn"], None),
        ("ix_submission_event_id_training_at", ["event_id", "training_at"], None),
    ):
        condition = sa.text(where) if where else None
        op.create_index(
            name, "submission", columns, postgresql_where=condition, sqlite_where=condition
        )
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _guard_on_sqlite() -> None:
    back = COMES_BACK.format(states=ENDED)
    for what, when in (("INSERT", ""), ("UPDATE OF state", f"WHEN {back}")):
        op.execute(f"""
            CREATE TRIGGER submission_turn_{what.split()[0].lower()} AFTER {what} ON submission {when}
            BEGIN UPDATE submission SET turn = {TURN} WHERE id = NEW.id; END
        """)  # noqa: S608 - of words in this file
    op.execute("""
        CREATE TRIGGER submission_score_state BEFORE INSERT ON submission_score
        WHEN (SELECT state FROM submission WHERE id = NEW.submission_id) <> 'scored'
        BEGIN SELECT RAISE(ABORT, 'scores of a submission that is not scored'); END
    """)
    op.execute("""
        CREATE TRIGGER submission_without_scores BEFORE UPDATE OF state ON submission
        WHEN NEW.state NOT IN ('scored', 'deleted') AND EXISTS (
            SELECT 1 FROM submission_score WHERE submission_id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'a submission that is not scored has scores'); END
    """)


def _guard_on_postgresql() -> None:
    op.execute(f"""
        CREATE FUNCTION submission_turn() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.turn := {TURN.replace("max(", "greatest(", 1)}; RETURN NEW; END $$
    """)
    back = COMES_BACK.format(states=ENDED)
    for what, when in (("INSERT", ""), ("UPDATE OF state", f"WHEN ({back})")):
        op.execute(f"""
            CREATE TRIGGER submission_turn_{what.split()[0].lower()} BEFORE {what} ON submission
            FOR EACH ROW {when} EXECUTE FUNCTION submission_turn()
        """)
    op.execute("""
        CREATE FUNCTION submission_score_state() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT state FROM submission WHERE id = NEW.submission_id) <> 'scored' THEN
                RAISE EXCEPTION 'scores of a submission that is not scored'
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER submission_score_state BEFORE INSERT ON submission_score
        FOR EACH ROW EXECUTE FUNCTION submission_score_state()
    """)
    op.execute("""
        CREATE FUNCTION submission_without_scores() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT 1 FROM submission_score WHERE submission_id = NEW.id) THEN
                RAISE EXCEPTION 'a submission that is not scored has scores'
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER submission_without_scores BEFORE UPDATE OF state ON submission
        FOR EACH ROW WHEN (NEW.state NOT IN ('scored', 'deleted'))
        EXECUTE FUNCTION submission_without_scores()
    """)
