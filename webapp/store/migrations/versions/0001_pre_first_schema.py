"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _id(length):
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


# A sealer may fill seq, prev_hash and row_hash later; nobody may change or delete what was written.
CONTENT = "id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, request_id, ip, details, words"


def _make_audit_append_only() -> None:
    if op.get_bind().dialect.name == "sqlite":
        refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        op.execute(f"CREATE TRIGGER audit_no_update BEFORE UPDATE OF {CONTENT} ON audit {refuse}")
        op.execute(f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit {refuse}")
        return
    op.execute(
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    call = "EXECUTE FUNCTION refuse_audit_change()"
    op.execute(f"CREATE TRIGGER audit_no_update BEFORE UPDATE OF {CONTENT} ON audit FOR EACH ROW {call}")
    op.execute(f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW {call}")


def upgrade() -> None:
    op.create_table('api_keys',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('hint', _id(16), nullable=False),
    sa.Column('secret_hash', _id(64), nullable=False),
    sa.Column('role', _id(16), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('created_by', _id(64), nullable=False),
    sa.Column('last_used_at', sa.BigInteger(), nullable=True),
    sa.Column('revoked_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('secret_hash', name=op.f('uq_api_keys_secret_hash'))
    )
    op.create_table('audit',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor_kind', _id(16), nullable=False),
    sa.Column('actor_id', _id(64), nullable=False),
    sa.Column('actor_name', sa.Text(), nullable=False),
    sa.Column('action', _id(64), nullable=False),
    sa.Column('target_kind', _id(32), nullable=False),
    sa.Column('target_id', _id(200), nullable=False),
    sa.Column('target_name', sa.Text(), nullable=False),
    sa.Column('request_id', _id(64), nullable=False),
    sa.Column('ip', sa.Text(), nullable=False),
    sa.Column('details', sa.Text(), nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=True),
    sa.Column('prev_hash', sa.LargeBinary(length=32), nullable=True),
    sa.Column('row_hash', sa.LargeBinary(length=32), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit')),
    sa.UniqueConstraint('seq', name=op.f('uq_audit_seq'))
    )
    op.create_index('ix_audit_action_id', 'audit', ['action', 'id'], unique=False)
    op.create_index('ix_audit_actor_id_id', 'audit', ['actor_id', 'id'], unique=False)
    op.create_index('ix_audit_target_id_id', 'audit', ['target_id', 'id'], unique=False)
    op.create_table('counters',
    sa.Column('minute', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('subject', _id(32), nullable=False),
    sa.Column('measure', _id(16), nullable=False),
    sa.Column('bucket', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('n', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('minute', 'subject', 'measure', 'bucket', name=op.f('pk_counters')),
    sqlite_with_rowid=False,
    )
    op.create_table('events',
    sa.Column('uid', _id(32), nullable=False),
    sa.Column('id', _id(200), nullable=False),
    sa.Column('source', _id(200), nullable=False),
    sa.Column('type', _id(128), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=True),
    sa.Column('timestamp', sa.BigInteger(), nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.Column('payload', sa.Text(), nullable=False),
    sa.Column('labels', sa.Text(), nullable=False),
    sa.Column('received_by', _id(64), nullable=False),
    sa.Column('correlation_id', sa.Text(), nullable=True),
    sa.Column('causation_id', sa.Text(), nullable=True),
    sa.Column('trace_id', sa.Text(), nullable=True),
    sa.Column('duplicates', sa.Integer(), server_default='0', nullable=False),
    sa.Column('duplicate_at', sa.BigInteger(), nullable=True),
    sa.Column('total', sa.Integer(), server_default='0', nullable=False),
    sa.Column('open', sa.Integer(), server_default='0', nullable=False),
    sa.Column('succeeded', sa.Integer(), server_default='0', nullable=False),
    sa.Column('failed', sa.Integer(), server_default='0', nullable=False),
    sa.Column('problem', sa.Text(), nullable=True),
    sa.Column('status', _id(16), sa.Computed("CASE WHEN problem IS NOT NULL THEN 'rejected' WHEN total = 0 THEN 'unrouted' WHEN open > 0 THEN 'processing' WHEN failed = 0 THEN 'succeeded' WHEN succeeded > 0 THEN 'partial' ELSE 'failed' END", persisted=True), nullable=True),
    sa.PrimaryKeyConstraint('uid', name=op.f('pk_events')),
    sa.UniqueConstraint('source', 'id', name=op.f('uq_events_source_id'))
    )
    op.create_index('ix_events_id', 'events', ['id'], unique=False)
    op.create_index('ix_events_status_uid', 'events', ['status', 'uid'], unique=False)
    op.create_index('ix_events_type_uid', 'events', ['type', 'uid'], unique=False)
    op.create_table('handlers',
    sa.Column('name', _id(128), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('isolated', sa.Boolean(), nullable=False),
    sa.Column('options_schema', sa.Text(), nullable=False),
    sa.Column('origin', sa.Text(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_handlers'))
    )
    op.create_table('log_lines',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column('delivery_id', _id(32), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('level', _id(8), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_log_lines'))
    )
    op.create_index('ix_log_lines_delivery_id_seq', 'log_lines', ['delivery_id', 'seq'], unique=False)
    op.create_table('meta',
    sa.Column('name', _id(64), nullable=False),
    sa.Column('value', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_meta'))
    )
    op.create_table('notifications',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('severity', _id(16), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('link', sa.Text(), nullable=True),
    sa.Column('event_uid', _id(32), nullable=True),
    sa.Column('dedupe_key', _id(200), nullable=True),
    sa.Column('count', sa.Integer(), server_default='1', nullable=False),
    sa.Column('last_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notifications'))
    )
    op.create_index('ix_notifications_dedupe_key_id', 'notifications', ['dedupe_key', 'id'], unique=False)
    op.create_table('one_time_links',
    sa.Column('token_hash', _id(64), nullable=False),
    sa.Column('purpose', _id(16), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('used_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_one_time_links'))
    )
    op.create_table('subscriptions',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('pattern', sa.Text(), nullable=False),
    sa.Column('condition', sa.Text(), nullable=True),
    sa.Column('handler', _id(128), nullable=False),
    sa.Column('options', sa.Text(), nullable=False),
    sa.Column('retry', sa.Text(), nullable=False),
    sa.Column('timeout_ms', sa.Integer(), nullable=False),
    sa.Column('paused_at', sa.BigInteger(), nullable=True),
    sa.Column('pause_reason', sa.Text(), nullable=True),
    sa.Column('revision', sa.Integer(), server_default='1', nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('deleted_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_subscriptions'))
    )
    op.create_table('users',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('username', _id(64), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=False),
    sa.Column('role', _id(16), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('disabled_at', sa.BigInteger(), nullable=True),
    sa.Column('read_through', _id(32), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    sa.UniqueConstraint('username', name=op.f('uq_users_username'))
    )
    op.create_table('workers',
    sa.Column('name', _id(128), nullable=False),
    sa.Column('kind', _id(16), nullable=False),
    sa.Column('host', sa.Text(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('state', _id(16), nullable=False),
    sa.Column('running', sa.Integer(), server_default='0', nullable=False),
    sa.Column('finished', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_workers'))
    )
    op.create_table('deliveries',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('event_uid', _id(32), nullable=False),
    sa.Column('subscription_id', _id(32), nullable=False),
    sa.Column('handler', _id(128), nullable=False),
    sa.Column('lane', _id(16), nullable=False),
    sa.Column('state', _id(16), nullable=False),
    sa.Column('reason', _id(16), nullable=True),
    sa.Column('attempt', sa.Integer(), server_default='0', nullable=False),
    sa.Column('tries_used', sa.Integer(), server_default='0', nullable=False),
    sa.Column('crashes', sa.Integer(), server_default='0', nullable=False),
    sa.Column('due_at', sa.BigInteger(), nullable=False),
    sa.Column('lease_owner', _id(160), nullable=True),
    sa.Column('lease_until', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=True),
    sa.Column('finished_at', sa.BigInteger(), nullable=True),
    sa.Column('error_type', sa.Text(), nullable=True),
    sa.Column('error_message', sa.Text(), nullable=True),
    sa.Column('progress_done', sa.Float(), nullable=True),
    sa.Column('progress_total', sa.Float(), nullable=True),
    sa.Column('progress_message', sa.Text(), nullable=True),
    sa.Column('replay', sa.Integer(), server_default='0', nullable=False),
    sa.Column('replay_of', _id(32), nullable=True),
    sa.Column('v', sa.Integer(), server_default='0', nullable=False),
    sa.ForeignKeyConstraint(['event_uid'], ['events.uid'], name=op.f('fk_deliveries_event_uid_events')),
    sa.ForeignKeyConstraint(['subscription_id'], ['subscriptions.id'], name=op.f('fk_deliveries_subscription_id_subscriptions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries')),
    sa.UniqueConstraint('event_uid', 'subscription_id', 'replay', name=op.f('uq_deliveries_event_uid_subscription_id_replay'))
    )
    op.create_index('ix_deliveries_due', 'deliveries', ['lane', 'due_at', 'id'], unique=False, sqlite_where=sa.text("state IN ('pending', 'waiting')"), postgresql_where=sa.text("state IN ('pending', 'waiting')"))
    op.create_index('ix_deliveries_lease', 'deliveries', ['lease_until'], unique=False, sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"))
    op.create_index('ix_deliveries_state_id', 'deliveries', ['state', 'id'], unique=False)
    op.create_index('ix_deliveries_subscription_id_id', 'deliveries', ['subscription_id', 'id'], unique=False)
    op.create_table('sessions',
    sa.Column('id', _id(64), nullable=False),
    sa.Column('user_id', _id(32), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('ip', sa.Text(), nullable=False),
    sa.Column('user_agent', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_sessions_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sessions'))
    )
    op.create_table('attempts',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('delivery_id', _id(32), nullable=False),
    sa.Column('n', sa.Integer(), nullable=False),
    sa.Column('event_uid', _id(32), nullable=False),
    sa.Column('subscription_id', _id(32), nullable=False),
    sa.Column('worker', _id(128), nullable=False),
    sa.Column('due_at', sa.BigInteger(), nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('finished_at', sa.BigInteger(), nullable=False),
    sa.Column('outcome', _id(16), nullable=False),
    sa.Column('error_type', sa.Text(), nullable=True),
    sa.Column('error_message', sa.Text(), nullable=True),
    sa.Column('stack', sa.Text(), nullable=True),
    sa.Column('result', sa.Text(), nullable=True),
    sa.Column('next_due_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_attempts_delivery_id_deliveries')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attempts')),
    sa.UniqueConstraint('delivery_id', 'n', name=op.f('uq_attempts_delivery_id_n'))
    )
    op.create_index('ix_attempts_errors', 'attempts', ['id'], unique=False, sqlite_where=sa.text('error_type IS NOT NULL'), postgresql_where=sa.text('error_type IS NOT NULL'))
    op.create_index('ix_attempts_event_uid', 'attempts', ['event_uid'], unique=False)
    op.create_index('uq_attempts_one_success', 'attempts', ['delivery_id'], unique=True, sqlite_where=sa.text("outcome = 'succeeded'"), postgresql_where=sa.text("outcome = 'succeeded'"))
    _make_audit_append_only()
    op.execute("INSERT INTO meta (name, value) VALUES ('routes_revision', 0)")


def downgrade() -> None:
    op.drop_index('uq_attempts_one_success', table_name='attempts', sqlite_where=sa.text("outcome = 'succeeded'"), postgresql_where=sa.text("outcome = 'succeeded'"))
    op.drop_index('ix_attempts_event_uid', table_name='attempts')
    op.drop_index('ix_attempts_errors', table_name='attempts', sqlite_where=sa.text('error_type IS NOT NULL'), postgresql_where=sa.text('error_type IS NOT NULL'))
    op.drop_table('attempts')
    op.drop_table('sessions')
    op.drop_index('ix_deliveries_subscription_id_id', table_name='deliveries')
    op.drop_index('ix_deliveries_state_id', table_name='deliveries')
    op.drop_index('ix_deliveries_lease', table_name='deliveries', sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"))
    op.drop_index('ix_deliveries_due', table_name='deliveries', sqlite_where=sa.text("state IN ('pending', 'waiting')"), postgresql_where=sa.text("state IN ('pending', 'waiting')"))
    op.drop_table('deliveries')
    op.drop_table('workers')
    op.drop_table('users')
    op.drop_table('subscriptions')
    op.drop_table('one_time_links')
    op.drop_index('ix_notifications_dedupe_key_id', table_name='notifications')
    op.drop_table('notifications')
    op.drop_table('meta')
    op.drop_index('ix_log_lines_delivery_id_seq', table_name='log_lines')
    op.drop_table('log_lines')
    op.drop_table('handlers')
    op.drop_index('ix_events_type_uid', table_name='events')
    op.drop_index('ix_events_status_uid', table_name='events')
    op.drop_index('ix_events_id', table_name='events')
    op.drop_table('events')
    op.drop_table('counters')
    op.drop_index('ix_audit_target_id_id', table_name='audit')
    op.drop_index('ix_audit_actor_id_id', table_name='audit')
    op.drop_index('ix_audit_action_id', table_name='audit')
    op.drop_table('audit')
    op.drop_table('api_keys')
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_audit_change()")
