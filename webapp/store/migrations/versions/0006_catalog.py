"""The catalog of event types, inbound sources, idempotency keys, versions of subscriptions, secrets, transforms."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _id(length):
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


UNIQUE = (("users", "oidc_subject"), ("api_keys", "previous_hash"), ("one_time_links", "id"))


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
        "marks",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("actor_kind", _id(16), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marks")),
    )
    op.create_index("ux_marks_minute_title", "marks", ["minute", "title"], unique=True)
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
        "source_connections",
        sa.Column("source_id", _id(32), nullable=False),
        sa.Column("worker", _id(128), nullable=False),
        sa.Column("state", _id(12), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_at", sa.BigInteger(), nullable=True),
        sa.Column("taken", sa.Integer(), server_default="0", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_source_connections_source_id_sources")),
        sa.PrimaryKeyConstraint("source_id", "worker", name=op.f("pk_source_connections")),
    )
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
    _add_people()
    _add_inbox()
    _add_transfers()
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


def _add_inbox() -> None:
    for column in _of_notifications():
        op.add_column("notifications", column)
    op.create_index("ix_notifications_event_uid_id", "notifications", ["event_uid", "id"])
    op.create_table(
        "inbox",
        sa.Column("user_id", _id(32), nullable=False),
        sa.Column("notification_id", _id(32), nullable=False),
        sa.Column("state", _id(8), nullable=False),
        sa.Column("toast", sa.Boolean(), nullable=False),
        sa.Column("browser", sa.Boolean(), nullable=False),
        sa.Column("snoozed_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_inbox_user_id_users")),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notifications.id"], name=op.f("fk_inbox_notification_id_notifications")
        ),
        sa.PrimaryKeyConstraint("user_id", "notification_id", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_user_id_state_notification_id", "inbox", ["user_id", "state", "notification_id"])
    op.create_index("ix_inbox_notification_id", "inbox", ["notification_id"])
    snoozed = sa.text("snoozed_until IS NOT NULL")
    op.create_index("ix_inbox_snoozed", "inbox", ["snoozed_until"], sqlite_where=snoozed, postgresql_where=snoozed)
    _add_channels()
    op.execute(  # what was read stays read, what was not is unread
        "INSERT INTO inbox (user_id, notification_id, state, toast, browser) SELECT u.id, n.id, "
        "CASE WHEN n.id <= COALESCE(u.read_through, '') THEN 'read' ELSE 'unread' END, "
        f"{sa.false().compile(dialect=op.get_bind().dialect)}, {sa.false().compile(dialect=op.get_bind().dialect)} "
        "FROM users u CROSS JOIN notifications n"
    )


def _add_channels() -> None:
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", _id(32), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notification_preferences_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notification_preferences")),
    )
    op.create_table(
        "push_subscriptions",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("user_id", _id(32), nullable=False),
        sa.Column("fingerprint", _id(64), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_push_subscriptions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscriptions")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_push_subscriptions_fingerprint")),
    )
    op.create_index("ix_push_subscriptions_user_id", "push_subscriptions", ["user_id"])
    op.create_table(
        "push_keys",
        sa.Column("name", _id(16), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_push_keys")),
    )
    op.create_table(
        "mail_addresses",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("user_id", _id(32), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mail_addresses_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_addresses")),
        sa.UniqueConstraint("user_id", name=op.f("uq_mail_addresses_user_id")),
    )
    op.create_table(
        "notification_sends",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", _id(32), nullable=False),
        sa.Column("notification_id", _id(32), nullable=False),
        sa.Column("channel", _id(8), nullable=False),
        sa.Column("target", _id(32), nullable=True),
        sa.Column("state", _id(8), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_sends")),
    )
    op.create_index("ix_notification_sends_user_id_id", "notification_sends", ["user_id", "id"])
    due = sa.text("state = 'due'")
    op.create_index(
        "ix_notification_sends_due", "notification_sends", ["due_at"], sqlite_where=due, postgresql_where=due
    )


def _add_transfers() -> None:
    op.create_table(
        "transfers",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("direction", _id(8), nullable=False),
        sa.Column("what", _id(16), nullable=False),
        sa.Column("format", _id(16), nullable=False),
        sa.Column("filter", sa.Text(), server_default="{}", nullable=False),
        sa.Column("shows_payloads", sa.Boolean(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("digest", _id(64), nullable=True),
        sa.Column("options", sa.Text(), server_default="{}", nullable=False),
        sa.Column("state", _id(16), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pieces", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cursor", _id(32), nullable=True),
        sa.Column("lease_owner", _id(160), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("actor_kind", _id(16), nullable=False),
        sa.Column("actor_id", _id(64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("file_until", sa.BigInteger(), nullable=True),
        sa.Column("v", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
    )
    op.create_index("ix_transfers_state", "transfers", ["state", "id"])
    op.create_index("ix_transfers_file_until", "transfers", ["file_until"])
    op.create_table(
        "transfer_pieces",
        sa.Column("transfer_id", _id(32), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "n", name=op.f("pk_transfer_pieces")),
    )
    op.create_table(
        "transfer_faults",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("transfer_id", _id(32), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["transfers.id"], name=op.f("fk_transfer_faults_transfer_id_transfers")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_transfer_faults")),
    )
    op.create_index("ix_transfer_faults_transfer_id_seq", "transfer_faults", ["transfer_id", "seq"])


def _of_notifications():
    return [
        sa.Column("kind", _id(24), server_default="handler", nullable=False),
        sa.Column("subscription_id", _id(32), nullable=True),
        sa.Column("delivery_id", _id(32), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
    ]


def _add_people() -> None:
    for table, column in _people():
        op.add_column(table, column)
    for table, column in UNIQUE:
        op.create_index(f"ux_{table}_{column}", table, [column], unique=True)
    for table in ("users", "api_keys"):  # nobody loses what they could do
        op.execute(f"UPDATE {table} SET role = 'developer' WHERE role = 'operator'")


def _people():
    return [
        ("users", sa.Column("preferences", sa.Text(), server_default="{}", nullable=False)),
        ("users", sa.Column("sees_payloads", sa.Boolean(), server_default=sa.true(), nullable=False)),
        ("users", sa.Column("signed_in_at", sa.BigInteger(), nullable=True)),
        ("users", sa.Column("totp_sealed", sa.LargeBinary(), nullable=True)),
        ("users", sa.Column("totp_since", sa.BigInteger(), nullable=True)),
        ("users", sa.Column("totp_step", sa.BigInteger(), nullable=True)),
        ("users", sa.Column("recovery", sa.Text(), server_default="[]", nullable=False)),
        ("users", sa.Column("oidc_subject", _id(400), nullable=True)),
        ("api_keys", sa.Column("scopes", sa.Text(), nullable=True)),
        ("api_keys", sa.Column("event_types", sa.Text(), nullable=True)),
        ("api_keys", sa.Column("sources", sa.Text(), nullable=True)),
        ("api_keys", sa.Column("sees_payloads", sa.Boolean(), server_default=sa.true(), nullable=False)),
        ("api_keys", sa.Column("expires_at", sa.BigInteger(), nullable=True)),
        ("api_keys", sa.Column("previous_hash", _id(64), nullable=True)),
        ("api_keys", sa.Column("previous_until", sa.BigInteger(), nullable=True)),
        ("api_keys", sa.Column("rotated_at", sa.BigInteger(), nullable=True)),
        ("one_time_links", sa.Column("id", _id(32), nullable=True)),
        ("one_time_links", sa.Column("role", _id(16), nullable=True)),
        ("one_time_links", sa.Column("sees_payloads", sa.Boolean(), nullable=True)),
        ("one_time_links", sa.Column("user_id", _id(32), nullable=True)),
        ("one_time_links", sa.Column("note", sa.Text(), nullable=True)),
        ("one_time_links", sa.Column("created_by", sa.Text(), nullable=True)),
        ("one_time_links", sa.Column("revoked_at", sa.BigInteger(), nullable=True)),
        ("meta", sa.Column("details", sa.Text(), nullable=True)),
    ]


def downgrade() -> None:
    for table in ("transfer_faults", "transfer_pieces", "transfers"):
        op.drop_table(table)
    op.drop_index("ix_notifications_event_uid_id", table_name="notifications")
    for table in (
        "notification_sends",
        "mail_addresses",
        "push_keys",
        "push_subscriptions",
        "notification_preferences",
        "inbox",
    ):
        op.drop_table(table)
    for column in _of_notifications():
        op.drop_column("notifications", column.name)
    for table in ("users", "api_keys"):
        op.execute(f"UPDATE {table} SET role = 'operator' WHERE role = 'developer'")
    for table, column in UNIQUE:
        op.drop_index(f"ux_{table}_{column}", table_name=table)
    for table, column in _people():
        op.drop_column(table, column.name)

    op.drop_index("ux_subscriptions_code_key", table_name="subscriptions")
    op.drop_column("subscriptions", "code_key")
    op.drop_column("subscriptions", "code_set")
    op.drop_column("subscriptions", "transform")
    op.drop_column("handlers", "batches")
    op.drop_column("api_keys", "rate_limit")
    op.drop_table("subscription_versions")
    op.drop_index("ix_source_requests_source_id_id", table_name="source_requests")
    op.drop_table("source_requests")
    op.drop_table("source_connections")
    op.drop_table("event_type_versions")
    op.drop_table("event_faults")
    op.drop_table("sources")
    op.drop_table("secrets")
    op.drop_index("ix_samples_type_id", table_name="samples")
    op.drop_table("samples")
    op.drop_index("ux_marks_minute_title", table_name="marks")
    op.drop_table("marks")
    op.drop_index("ix_idempotency_keys_expires_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("event_types")
