"""What a breaker counts from and probes with; the held deliveries of a subscription in order; paused subscriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HELD = sa.text("state = 'held'")
PAUSED = sa.text("paused_at IS NOT NULL AND deleted_at IS NULL")


def _id(length):
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("gates", sa.Column("probe_id", _id(32), nullable=True))
    op.add_column("gates", sa.Column("probe_attempt", sa.Integer(), nullable=True))
    op.add_column("gates", sa.Column("counted_from", sa.BigInteger(), nullable=True))
    op.add_column("gates", sa.Column("base_succeeded", sa.Integer(), server_default="0", nullable=False))
    op.add_column("gates", sa.Column("base_failed", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_deliveries_held", "deliveries", ["subscription_id", "id"], sqlite_where=HELD, postgresql_where=HELD
    )
    op.create_index(
        "ix_subscriptions_paused", "subscriptions", ["resume_at"], sqlite_where=PAUSED, postgresql_where=PAUSED
    )


def downgrade() -> None:
    op.drop_index("ix_subscriptions_paused", table_name="subscriptions")
    op.drop_index("ix_deliveries_held", table_name="deliveries")
    for column in ("base_failed", "base_succeeded", "counted_from", "probe_attempt", "probe_id"):
        op.drop_column("gates", column)
