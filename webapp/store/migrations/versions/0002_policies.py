"""Policies, gates, quotas, state of handlers, schedules and bulk operations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _id(length):
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table('bulk_operations',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('kind', _id(16), nullable=False),
    sa.Column('selection', sa.Text(), nullable=False),
    sa.Column('options', sa.Text(), server_default='{}', nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('state', _id(16), nullable=False),
    sa.Column('state_reason', sa.Text(), nullable=True),
    sa.Column('total', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('done', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('failed', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('skipped', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('cursor', _id(32), nullable=True),
    sa.Column('pace', sa.Float(), nullable=True),
    sa.Column('abort_rate', sa.Float(), nullable=True),
    sa.Column('before', sa.Text(), nullable=True),
    sa.Column('after', sa.Text(), nullable=True),
    sa.Column('lease_owner', _id(160), nullable=True),
    sa.Column('lease_until', sa.BigInteger(), nullable=True),
    sa.Column('actor_kind', _id(16), nullable=False),
    sa.Column('actor_id', _id(64), nullable=False),
    sa.Column('actor_name', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('finished_at', sa.BigInteger(), nullable=True),
    sa.Column('v', sa.Integer(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_operations'))
    )
    op.create_index('ix_bulk_operations_state', 'bulk_operations', ['state', 'id'], unique=False)
    op.create_table('handler_state',
    sa.Column('subscription_id', _id(32), nullable=False),
    sa.Column('key', _id(200), nullable=False),
    sa.Column('value', sa.Text(), nullable=True),
    sa.Column('v', sa.Integer(), server_default='1', nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('subscription_id', 'key', name=op.f('pk_handler_state'))
    )
    op.create_table('quotas',
    sa.Column('subscription_id', _id(32), nullable=False),
    sa.Column('kind', _id(12), nullable=False),
    sa.Column('key', _id(160), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('n', sa.Integer(), server_default='0', nullable=False),
    sa.Column('delivery_id', _id(32), nullable=True),
    sa.Column('until', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('subscription_id', 'kind', 'key', name=op.f('pk_quotas'))
    )
    op.create_index('ix_quotas_until', 'quotas', ['until'], unique=False)
    op.create_table('schedules',
    sa.Column('id', _id(32), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('cron', sa.Text(), nullable=False),
    sa.Column('time_zone', sa.Text(), nullable=False),
    sa.Column('type', _id(128), nullable=False),
    sa.Column('source', _id(200), nullable=False),
    sa.Column('payload', sa.Text(), nullable=False),
    sa.Column('labels', sa.Text(), nullable=False),
    sa.Column('catch_up', _id(8), server_default='latest', nullable=False),
    sa.Column('paused_at', sa.BigInteger(), nullable=True),
    sa.Column('next_at', sa.BigInteger(), nullable=True),
    sa.Column('last_at', sa.BigInteger(), nullable=True),
    sa.Column('last_event_uid', _id(32), nullable=True),
    sa.Column('revision', sa.Integer(), server_default='1', nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('deleted_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_schedules'))
    )
    op.create_index('ix_schedules_next_at', 'schedules', ['next_at'], unique=False)
    op.create_table('bulk_errors',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('operation_id', _id(32), nullable=False),
    sa.Column('target_id', _id(32), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['operation_id'], ['bulk_operations.id'], name=op.f('fk_bulk_errors_operation_id_bulk_operations')),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_bulk_errors'))
    )
    op.create_index('ix_bulk_errors_operation_id_seq', 'bulk_errors', ['operation_id', 'seq'], unique=False)
    op.create_table('gates',
    sa.Column('subscription_id', _id(32), nullable=False),
    sa.Column('breaker', _id(12), server_default='closed', nullable=False),
    sa.Column('opened_at', sa.BigInteger(), nullable=True),
    sa.Column('probe_at', sa.BigInteger(), nullable=True),
    sa.Column('release_pace', sa.Float(), nullable=True),
    sa.Column('released_at', sa.BigInteger(), nullable=True),
    sa.Column('v', sa.Integer(), server_default='0', nullable=False),
    sa.ForeignKeyConstraint(['subscription_id'], ['subscriptions.id'], name=op.f('fk_gates_subscription_id_subscriptions')),
    sa.PrimaryKeyConstraint('subscription_id', name=op.f('pk_gates'))
    )
    op.add_column('deliveries', sa.Column('priority', sa.Integer(), server_default='1', nullable=False))
    op.add_column('deliveries', sa.Column('gated', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('deliveries', sa.Column('order_key', _id(160), nullable=True))
    op.add_column('deliveries', sa.Column('limit_key', _id(160), nullable=True))
    op.add_column('deliveries', sa.Column('batch_id', _id(32), nullable=True))
    op.add_column('deliveries', sa.Column('expires_at', sa.BigInteger(), nullable=True))
    op.add_column('deliveries', sa.Column('superseded_by', _id(32), nullable=True))
    op.add_column('deliveries', sa.Column('cancel_requested_at', sa.BigInteger(), nullable=True))
    op.add_column('deliveries', sa.Column('cancel_requested_by', sa.Text(), nullable=True))
    op.create_index('ix_deliveries_batch', 'deliveries', ['batch_id'], unique=False, sqlite_where=sa.text('batch_id IS NOT NULL'), postgresql_where=sa.text('batch_id IS NOT NULL'))
    op.create_index('ix_deliveries_due_fair', 'deliveries', ['lane', 'subscription_id', 'due_at', 'id'], unique=False, sqlite_where=sa.text("state IN ('pending', 'waiting') AND NOT gated"), postgresql_where=sa.text("state IN ('pending', 'waiting') AND NOT gated"))
    op.create_index('ix_deliveries_expires', 'deliveries', ['expires_at'], unique=False, sqlite_where=sa.text("expires_at IS NOT NULL AND state IN ('pending', 'waiting', 'held')"), postgresql_where=sa.text("expires_at IS NOT NULL AND state IN ('pending', 'waiting', 'held')"))
    op.create_index('ix_deliveries_gated', 'deliveries', ['subscription_id', 'due_at', 'id'], unique=False, sqlite_where=sa.text("state IN ('pending', 'waiting') AND gated"), postgresql_where=sa.text("state IN ('pending', 'waiting') AND gated"))
    op.create_index('ix_deliveries_limit', 'deliveries', ['subscription_id', 'limit_key', 'id'], unique=False, sqlite_where=sa.text("limit_key IS NOT NULL AND state IN ('pending', 'waiting', 'running', 'held')"), postgresql_where=sa.text("limit_key IS NOT NULL AND state IN ('pending', 'waiting', 'running', 'held')"))
    op.create_index('ix_deliveries_order', 'deliveries', ['subscription_id', 'order_key', 'id'], unique=False, sqlite_where=sa.text("order_key IS NOT NULL AND state NOT IN ('succeeded', 'cancelled', 'skipped')"), postgresql_where=sa.text("order_key IS NOT NULL AND state NOT IN ('succeeded', 'cancelled', 'skipped')"))
    op.add_column('events', sa.Column('deliver_at', sa.BigInteger(), nullable=True))
    op.add_column('events', sa.Column('depth', sa.Integer(), server_default='0', nullable=False))
    op.add_column('subscriptions', sa.Column('policies', sa.Text(), server_default='{}', nullable=False))
    op.add_column('subscriptions', sa.Column('mode', _id(8), server_default='live', nullable=False))
    op.add_column('subscriptions', sa.Column('resume_at', sa.BigInteger(), nullable=True))
    op.drop_index('ix_deliveries_due', table_name='deliveries')
    op.create_index('ix_deliveries_due', 'deliveries', ['lane', 'priority', 'due_at', 'id'], unique=False, sqlite_where=sa.text("state IN ('pending', 'waiting') AND NOT gated"), postgresql_where=sa.text("state IN ('pending', 'waiting') AND NOT gated"))


def downgrade() -> None:
    op.drop_index('ix_deliveries_due', table_name='deliveries')
    op.drop_column('subscriptions', 'resume_at')
    op.drop_column('subscriptions', 'mode')
    op.drop_column('subscriptions', 'policies')
    op.drop_column('events', 'depth')
    op.drop_column('events', 'deliver_at')
    op.drop_index('ix_deliveries_order', table_name='deliveries', sqlite_where=sa.text("order_key IS NOT NULL AND state NOT IN ('succeeded', 'cancelled', 'skipped')"), postgresql_where=sa.text("order_key IS NOT NULL AND state NOT IN ('succeeded', 'cancelled', 'skipped')"))
    op.drop_index('ix_deliveries_limit', table_name='deliveries', sqlite_where=sa.text("limit_key IS NOT NULL AND state IN ('pending', 'waiting', 'running', 'held')"), postgresql_where=sa.text("limit_key IS NOT NULL AND state IN ('pending', 'waiting', 'running', 'held')"))
    op.drop_index('ix_deliveries_gated', table_name='deliveries', sqlite_where=sa.text("state IN ('pending', 'waiting') AND gated"), postgresql_where=sa.text("state IN ('pending', 'waiting') AND gated"))
    op.drop_index('ix_deliveries_expires', table_name='deliveries', sqlite_where=sa.text("expires_at IS NOT NULL AND state IN ('pending', 'waiting', 'held')"), postgresql_where=sa.text("expires_at IS NOT NULL AND state IN ('pending', 'waiting', 'held')"))
    op.drop_index('ix_deliveries_due_fair', table_name='deliveries', sqlite_where=sa.text("state IN ('pending', 'waiting') AND NOT gated"), postgresql_where=sa.text("state IN ('pending', 'waiting') AND NOT gated"))
    op.drop_index('ix_deliveries_batch', table_name='deliveries', sqlite_where=sa.text('batch_id IS NOT NULL'), postgresql_where=sa.text('batch_id IS NOT NULL'))
    op.drop_column('deliveries', 'cancel_requested_by')
    op.drop_column('deliveries', 'cancel_requested_at')
    op.drop_column('deliveries', 'superseded_by')
    op.drop_column('deliveries', 'expires_at')
    op.drop_column('deliveries', 'batch_id')
    op.drop_column('deliveries', 'limit_key')
    op.drop_column('deliveries', 'order_key')
    op.drop_column('deliveries', 'gated')
    op.drop_column('deliveries', 'priority')
    op.drop_table('gates')
    op.drop_index('ix_bulk_errors_operation_id_seq', table_name='bulk_errors')
    op.drop_table('bulk_errors')
    op.drop_index('ix_schedules_next_at', table_name='schedules')
    op.drop_table('schedules')
    op.drop_index('ix_quotas_until', table_name='quotas')
    op.drop_table('quotas')
    op.drop_table('handler_state')
    op.drop_index('ix_bulk_operations_state', table_name='bulk_operations')
    op.drop_table('bulk_operations')
    op.create_index('ix_deliveries_due', 'deliveries', ['lane', 'due_at', 'id'], unique=False, sqlite_where=sa.text("state IN ('pending', 'waiting')"), postgresql_where=sa.text("state IN ('pending', 'waiting')"))
