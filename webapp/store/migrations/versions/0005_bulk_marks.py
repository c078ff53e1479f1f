"""Which bulk operation last acted on a delivery, or made it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MARKED = sa.text("operation_id IS NOT NULL")


def _id(length):
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("operation_id", _id(32), nullable=True))
    op.create_index(
        "ix_deliveries_operation",
        "deliveries",
        ["operation_id", "state"],
        sqlite_where=MARKED,
        postgresql_where=MARKED,
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_operation", table_name="deliveries", sqlite_where=MARKED, postgresql_where=MARKED)
    op.drop_column("deliveries", "operation_id")
