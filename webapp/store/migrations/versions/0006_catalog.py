"""The catalog of event types, inbound sources, idempotency keys, versions of subscriptions, secrets, transforms."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _id(length):
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "event_types",
        sa.Column("name", _id(128), nullable=False),
        sa.Column("state", _id(12), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("validation", _id(8), server_default="off", nullable=False),
        sa.Column("compatibility", _id(8), server_default="none", nullable=False),
        sa.Column("inferred", sa.Text(), nullable=True),
        sa.Column("inferred_from", sa.Integer(), server_default="0", nullable=False),
        sa.Column("deprecated_at", sa.BigInteger(), nullable=True),
        sa.Column("deprecation", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_types")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", _id(64), nullable=False),
        sa.Column("fingerprint", _id(64), nullable=False),
        sa.Column("state", _id(8), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"], unique=False)
    op.create_table(
        "samples",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("type", _id(128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
    )
    op.create_index("ix_samples_type_id", "samples", ["type", "id"], unique=False)
    op.create_table(
        "secrets",
        sa.Column("name", _id(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secrets")),
    )
    op.create_table(
        "sources",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", _id(64), nullable=False),
        sa.Column("kind", _id(16), nullable=False),
        sa.Column("options", sa.Text(), server_default="{}", nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.Column("mapping", sa.Text(), server_default="{}", nullable=False),
        sa.Column("event_source", _id(200), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("token", name=op.f("uq_sources_token")),
    )
    op.create_table(
        "event_faults",
        sa.Column("event_uid", _id(32), nullable=False),
        sa.Column("verdict", _id(8), nullable=False),
        sa.Column("sent_id", _id(200), nullable=True),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event_uid"], ["events.uid"], name=op.f("fk_event_faults_event_uid_events")),
        sa.PrimaryKeyConstraint("event_uid", name=op.f("pk_event_faults")),
    )
    op.create_table(
        "event_type_versions",
        sa.Column("type", _id(128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("examples", sa.Text(), server_default="[]", nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["type"], ["event_types.name"], name=op.f("fk_event_type_versions_type_event_types")),
        sa.PrimaryKeyConstraint("type", "version", name=op.f("pk_event_type_versions")),
    )
    op.create_table(
        "source_requests",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("source_id", _id(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("verdict", _id(12), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("event_uid", _id(32), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_source_requests_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_requests")),
    )
    op.create_index("ix_source_requests_source_id_id", "source_requests", ["source_id", "id"], unique=False)
    op.create_table(
        "subscription_versions",
        sa.Column("subscription_id", _id(32), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", _id(16), nullable=False),
        sa.Column("actor_id", _id(64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("action", _id(16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_subscription_versions_subscription_id_subscriptions"),
        ),
        sa.PrimaryKeyConstraint("subscription_id", "revision", name=op.f("pk_subscription_versions")),
    )
    op.add_column("api_keys", sa.Column("rate_limit", sa.Integer(), nullable=True))
    op.add_column("handlers", sa.Column("batches", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("subscriptions", sa.Column("transform", sa.Text(), nullable=True))
    op.add_column("subscriptions", sa.Column("code_set", _id(64), nullable=True))
    op.add_column("subscriptions", sa.Column("code_key", _id(64), nullable=True))
    op.create_index(
        "ux_subscriptions_code_key",
        "subscriptions",
        ["code_key"],
        unique=True,
        sqlite_where=sa.text("code_key IS NOT NULL AND deleted_at IS NULL"),
        postgresql_where=sa.text("code_key IS NOT NULL AND deleted_at IS NULL"),
    )


def downgrade() -> None:

    op.drop_index("ux_subscriptions_code_key", table_name="subscriptions")
    op.drop_column("subscriptions", "code_key")
    op.drop_column("subscriptions", "code_set")
    op.drop_column("subscriptions", "transform")
    op.drop_column("handlers", "batches")
    op.drop_column("api_keys", "rate_limit")
    op.drop_table("subscription_versions")
    op.drop_index("ix_source_requests_source_id_id", table_name="source_requests")
    op.drop_table("source_requests")
    op.drop_table("event_type_versions")
    op.drop_table("event_faults")
    op.drop_table("sources")
    op.drop_table("secrets")
    op.drop_index("ix_samples_type_id", table_name="samples")
    op.drop_table("samples")
    op.drop_index("ix_idempotency_keys_expires_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("event_types")
