"""Dead deliveries that need no action any more; events by what caused them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NEEDS = sa.text("state = 'dead' AND dismissed_at IS NULL")
CAUSED = sa.text("causation_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("dismissed_at", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("dismissed_by", sa.Text(), nullable=True))
    op.create_index("ix_deliveries_needs", "deliveries", ["id"], sqlite_where=NEEDS, postgresql_where=NEEDS)
    op.create_index(
        "ix_deliveries_needs_of",
        "deliveries",
        ["subscription_id", "id"],
        sqlite_where=NEEDS,
        postgresql_where=NEEDS,
    )
    op.create_index(
        "ix_events_causation_id", "events", ["causation_id", "uid"], sqlite_where=CAUSED, postgresql_where=CAUSED
    )
