"""Every table, in one place. Instants are aware datetimes in Python and microseconds since 1970 (UTC) in SQL.

Ids are text that sorts by time (see ``webapp.domain.ids``). JSON is stored as text: what was received
is what is shown, on both databases.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from webapp.store.columns import Autokey as Autokey
from webapp.store.columns import Instant, Json, metadata
from webapp.store.columns import id_text as _id

# All tables are to be had from here.
from webapp.store.tables_catalog import event_faults as event_faults
from webapp.store.tables_catalog import event_type_versions as event_type_versions
from webapp.store.tables_catalog import event_types as event_types
from webapp.store.tables_catalog import samples as samples
from webapp.store.tables_hub import audit as audit
from webapp.store.tables_hub import counters as counters
from webapp.store.tables_hub import handlers as handlers
from webapp.store.tables_hub import meta as meta
from webapp.store.tables_hub import notifications as notifications
from webapp.store.tables_hub import workers as workers
from webapp.store.tables_inbound import idempotency_keys as idempotency_keys
from webapp.store.tables_inbound import source_requests as source_requests
from webapp.store.tables_inbound import sources as sources
from webapp.store.tables_notify import inbox as inbox
from webapp.store.tables_notify import mail_addresses as mail_addresses
from webapp.store.tables_notify import notification_preferences as notification_preferences
from webapp.store.tables_notify import notification_sends as notification_sends
from webapp.store.tables_notify import push_keys as push_keys
from webapp.store.tables_notify import push_subscriptions as push_subscriptions
from webapp.store.tables_people import api_keys as api_keys
from webapp.store.tables_people import one_time_links as one_time_links
from webapp.store.tables_people import sessions as sessions
from webapp.store.tables_people import users as users
from webapp.store.tables_rules import secrets as secrets
from webapp.store.tables_rules import subscription_versions as subscription_versions
from webapp.store.tables_steering import bulk_errors as bulk_errors
from webapp.store.tables_steering import bulk_operations as bulk_operations
from webapp.store.tables_steering import gates as gates
from webapp.store.tables_steering import handler_state as handler_state
from webapp.store.tables_steering import quotas as quotas
from webapp.store.tables_steering import schedules as schedules
from webapp.store.tables_transfers import transfer_faults as transfer_faults
from webapp.store.tables_transfers import transfer_pieces as transfer_pieces
from webapp.store.tables_transfers import transfers as transfers

# What happened. Immutable but for the counts, which follow the deliveries in the same transaction.
events = Table(
    "events",
    metadata,
    Column("uid", _id(), primary_key=True),  # the hub's own id: unique over all sources, sorts by arrival
    Column("id", _id(200), nullable=False),  # the sender's id, or the uid when none was sent
    Column("source", _id(200), nullable=False),
    Column("type", _id(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("subject", Text),
    Column("timestamp", Instant, nullable=False),  # when it happened, says the sender
    Column("received_at", Instant, nullable=False),  # when the hub accepted it
    Column("payload", Text, nullable=False),  # JSON text
    Column("labels", Json, nullable=False),
    Column("received_by", _id(64), nullable=False),  # actor: "key:key_…", "user:usr_…", "system:system"
    Column("correlation_id", Text),
    Column("causation_id", Text),
    Column("trace_id", Text),
    Column("duplicates", Integer, nullable=False, server_default="0"),
    Column("duplicate_at", Instant),
    Column("deliver_at", Instant),  # not before; NULL: at once
    Column("depth", Integer, nullable=False, server_default="0"),  # how many events caused it, one after the other
    Column("total", Integer, nullable=False, server_default="0"),  # deliveries
    Column("open", Integer, nullable=False, server_default="0"),  # not yet in a final state
    Column("succeeded", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),  # dead or cancelled
    Column("problem", Text),  # why it was rejected, else NULL
    Column(
        "status",
        _id(16),
        Computed(
            "CASE WHEN problem IS NOT NULL THEN 'rejected' WHEN total = 0 THEN 'unrouted' "
            "WHEN open > 0 THEN 'processing' WHEN failed = 0 THEN 'succeeded' "
            "WHEN succeeded > 0 THEN 'partial' ELSE 'failed' END",
            persisted=True,
        ),
    ),
    UniqueConstraint("source", "id"),
    Index("ix_events_id", "id"),
    # what an event has caused
    Index(
        "ix_events_causation_id",
        "causation_id",
        "uid",
        sqlite_where=text("causation_id IS NOT NULL"),
        postgresql_where=text("causation_id IS NOT NULL"),
    ),
    Index("ix_events_type_uid", "type", "uid"),
    Index("ix_events_status_uid", "status", "uid"),
)

# A routing rule. Deleted ones stay as rows (deleted_at) so that history can name them.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("pattern", Text, nullable=False),  # glob over the event type
    Column("condition", Json),  # condition tree or NULL
    Column("handler", _id(128), nullable=False),
    Column("transform", Json),  # what the handler is given instead of the payload, or NULL: domain.transform
    Column("options", Json, nullable=False),  # the handler's own options
    Column("retry", Json, nullable=False),  # domain.retry.RetryPolicy.to_json()
    Column("timeout_ms", Integer, nullable=False),
    Column("policies", Json, nullable=False, server_default="{}"),  # domain.policies.Policies.to_json()
    Column("mode", _id(8), nullable=False, server_default="live"),  # "shadow": matches are recorded, nothing runs
    Column("code_set", _id(64)),  # of a rule that was applied from files: the set that it belongs to
    Column("code_key", _id(64)),  # and its name there, which never changes
    Column("paused_at", Instant),
    Column("pause_reason", Text),
    Column("resume_at", Instant),  # a paused one is resumed by the beat then
    Column("revision", Integer, nullable=False, server_default="1"),  # for compare-and-set edits
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Index(
        "ux_subscriptions_code_key",
        "code_key",
        unique=True,
        sqlite_where=text("code_key IS NOT NULL AND deleted_at IS NULL"),
        postgresql_where=text("code_key IS NOT NULL AND deleted_at IS NULL"),
    ),
    # the paused ones, by the time at which they are resumed
    Index(
        "ix_subscriptions_paused",
        "resume_at",
        sqlite_where=text("paused_at IS NOT NULL AND deleted_at IS NULL"),
        postgresql_where=text("paused_at IS NOT NULL AND deleted_at IS NULL"),
    ),
)

NEEDS = text("state = 'dead' AND dismissed_at IS NULL")
MARKED = text("operation_id IS NOT NULL")

# One event x one subscription: the unit of work. These rows are the outbox.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("event_uid", _id(), ForeignKey("events.uid"), nullable=False),
    Column("subscription_id", _id(), ForeignKey("subscriptions.id"), nullable=False),
    Column("handler", _id(128), nullable=False),
    Column("lane", _id(16), nullable=False),  # "default" or "isolated"
    Column("state", _id(16), nullable=False),
    # of a dead one: exhausted permanent expired lost no_handler
    # of a skipped one: shadow rate_limited duplicate superseded handler person
    # of a held one: paused breaker releasing loop
    # of a cancelled one, how it ended: before_start cooperative killed lost
    Column("reason", _id(16)),
    Column("priority", Integer, nullable=False, server_default="1"),  # 0 high, 1 normal, 2 low
    Column(
        "gated", Boolean, nullable=False, server_default=false()
    ),  # workers must not claim it before the gate lets it
    Column("order_key", _id(160)),  # one after the other with the same; NULL: no order
    Column("limit_key", _id(160)),  # of concurrency, throttle or batch; NULL: none
    Column("batch_id", _id()),  # the delivery that leads the batch, for every member
    Column("expires_at", Instant),  # not started later than this
    Column("superseded_by", _id()),  # delivery that was kept instead: the last of a debounce, the first of a dedupe
    Column("cancel_requested_at", Instant),
    Column("cancel_requested_by", Text),
    Column("dismissed_at", Instant),  # a dead one that needs no action any more, says dismissed_by
    Column("dismissed_by", Text),
    Column("operation_id", _id()),  # bulk operation that last acted on it, or made it
    Column("attempt", Integer, nullable=False, server_default="0"),  # number of the running or last attempt
    Column("tries_used", Integer, nullable=False, server_default="0"),  # attempts that count against the policy
    Column("crashes", Integer, nullable=False, server_default="0"),  # attempts that took their worker down
    Column("due_at", Instant, nullable=False),
    Column("lease_owner", _id(160)),
    Column("lease_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),  # of the running or last attempt
    Column("finished_at", Instant),
    Column("error_type", Text),  # of the last failed attempt
    Column("error_message", Text),
    Column("progress_done", Float),
    Column("progress_total", Float),
    Column("progress_message", Text),
    Column("replay", Integer, nullable=False, server_default="0"),  # 0, or the number of the re-run
    Column("replay_of", _id()),
    Column("v", Integer, nullable=False, server_default="0"),  # grows with every change of state
    UniqueConstraint("event_uid", "subscription_id", "replay"),
    # claim: the oldest due row of a lane
    Index(
        "ix_deliveries_due",
        "lane",
        "priority",
        "due_at",
        "id",
        sqlite_where=text("state IN ('pending', 'waiting') AND NOT gated"),
        postgresql_where=text("state IN ('pending', 'waiting') AND NOT gated"),
    ),
    # fair claim: the oldest due row of a subscription
    Index(
        "ix_deliveries_due_fair",
        "lane",
        "subscription_id",
        "due_at",
        "id",
        sqlite_where=text("state IN ('pending', 'waiting') AND NOT gated"),
        postgresql_where=text("state IN ('pending', 'waiting') AND NOT gated"),
    ),
    # the gate: what waits before it, by subscription
    Index(
        "ix_deliveries_gated",
        "subscription_id",
        "due_at",
        "id",
        sqlite_where=text("state IN ('pending', 'waiting') AND gated"),
        postgresql_where=text("state IN ('pending', 'waiting') AND gated"),
    ),
    # order: who is first of its key
    Index(
        "ix_deliveries_order",
        "subscription_id",
        "order_key",
        "id",
        sqlite_where=text("order_key IS NOT NULL AND state NOT IN ('succeeded', 'cancelled', 'skipped')"),
        postgresql_where=text("order_key IS NOT NULL AND state NOT IN ('succeeded', 'cancelled', 'skipped')"),
    ),
    Index(
        "ix_deliveries_limit",
        "subscription_id",
        "limit_key",
        "id",
        sqlite_where=text("limit_key IS NOT NULL AND state IN ('pending', 'waiting', 'running', 'held')"),
        postgresql_where=text("limit_key IS NOT NULL AND state IN ('pending', 'waiting', 'running', 'held')"),
    ),
    Index(
        "ix_deliveries_batch",
        "batch_id",
        sqlite_where=text("batch_id IS NOT NULL"),
        postgresql_where=text("batch_id IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_expires",
        "expires_at",
        sqlite_where=text("expires_at IS NOT NULL AND state IN ('pending', 'waiting', 'held')"),
        postgresql_where=text("expires_at IS NOT NULL AND state IN ('pending', 'waiting', 'held')"),
    ),
    # rescue: leases that ran out
    Index(
        "ix_deliveries_lease",
        "lease_until",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    # pausing and the breaker: the held ones of a subscription, oldest first
    Index(
        "ix_deliveries_held",
        "subscription_id",
        "id",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
    # what needs action, all of it and by subscription
    Index("ix_deliveries_needs", "id", sqlite_where=NEEDS, postgresql_where=NEEDS),
    Index("ix_deliveries_needs_of", "subscription_id", "id", sqlite_where=NEEDS, postgresql_where=NEEDS),
    # what became of a bulk operation's deliveries
    Index("ix_deliveries_operation", "operation_id", "state", sqlite_where=MARKED, postgresql_where=MARKED),
    Index("ix_deliveries_state_id", "state", "id"),
    Index("ix_deliveries_subscription_id_id", "subscription_id", "id"),
)

# One try of a delivery; written once, when the try is over.
attempts = Table(
    "attempts",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("delivery_id", _id(), ForeignKey("deliveries.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("event_uid", _id(), nullable=False),
    Column("subscription_id", _id(), nullable=False),
    Column("worker", _id(128), nullable=False),
    Column("due_at", Instant, nullable=False),  # waiting time = started_at - due_at
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    # succeeded failed timed_out crashed interrupted discarded snoozed skipped cancelled
    Column("outcome", _id(16), nullable=False),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("stack", Text),
    Column("result", Text),  # JSON text, 64 KiB at most
    Column("next_due_at", Instant),
    UniqueConstraint("delivery_id", "n"),
    # a second, independent guard: at most one recorded success of a delivery
    Index(
        "uq_attempts_one_success",
        "delivery_id",
        unique=True,
        sqlite_where=text("outcome = 'succeeded'"),
        postgresql_where=text("outcome = 'succeeded'"),
    ),
    # the errors page, newest first
    Index(
        "ix_attempts_errors",
        "id",
        sqlite_where=text("error_type IS NOT NULL"),
        postgresql_where=text("error_type IS NOT NULL"),
    ),
    Index("ix_attempts_event_uid", "event_uid"),
)

log_lines = Table(
    "log_lines",
    metadata,
    Column("seq", Autokey, primary_key=True, autoincrement=True),
    Column("delivery_id", _id(), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("level", _id(8), nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_log_lines_delivery_id_seq", "delivery_id", "seq"),
)
