"""The tables behind policies, schedules and bulk operations; ``webapp.store.tables`` has the others."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
)

from webapp.store.columns import Autokey, Instant, Json, id_text, metadata

# How a subscription's deliveries flow: its circuit breaker, and the pace of a release. One row, once it is needed.
gates = Table(
    "gates",
    metadata,
    Column("subscription_id", id_text(), ForeignKey("subscriptions.id"), primary_key=True),
    Column("breaker", id_text(12), nullable=False, server_default="closed"),  # closed open half_open
    Column("opened_at", Instant),  # the first opening since it was last closed
    Column("probe_at", Instant),  # an open one lets one delivery through then, a half-open one did
    Column("probe_id", id_text()),  # that delivery
    Column("probe_attempt", Integer),  # and its last attempt before
    Column("counted_from", Instant),  # tries before are not counted any more
    Column("base_succeeded", Integer, nullable=False, server_default="0"),  # what that minute had already
    Column("base_failed", Integer, nullable=False, server_default="0"),
    Column("release_pace", Float),  # held deliveries per second while releasing, 0: no limit; NULL: not releasing
    Column("released_at", Instant),  # when the pace last let some go
    Column("v", Integer, nullable=False, server_default="0"),
)

# Throttles (theoretical arrival time), rate limits (window and count) and dedupe windows, by subscription and key.
quotas = Table(
    "quotas",
    metadata,
    Column("subscription_id", id_text(), primary_key=True),
    Column("kind", id_text(12), primary_key=True),  # throttle rate_limit dedupe
    Column("key", id_text(160), primary_key=True),
    Column("at", Instant, nullable=False),  # throttle: next free time; rate limit: begin of the window
    Column("n", Integer, nullable=False, server_default="0"),
    Column("delivery_id", id_text()),  # dedupe: the first of the window
    Column("until", Instant, nullable=False),  # outdated after this
    Index("ix_quotas_until", "until"),
)

# What handlers remember between events, written in the transaction of the outcome.
handler_state = Table(
    "handler_state",
    metadata,
    Column("subscription_id", id_text(), primary_key=True),
    Column("key", id_text(200), primary_key=True),
    Column("value", Json),
    Column("v", Integer, nullable=False, server_default="1"),
    Column("updated_at", Instant, nullable=False),
)

# Cron schedules that publish an event at every tick.
schedules = Table(
    "schedules",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("type", id_text(128), nullable=False),
    Column("source", id_text(200), nullable=False),
    Column("payload", Text, nullable=False),  # JSON text
    Column("labels", Json, nullable=False),
    Column("catch_up", id_text(8), nullable=False, server_default="latest"),  # skip latest all
    Column("paused_at", Instant),
    Column("next_at", Instant),  # of the next tick
    Column("last_at", Instant),
    Column("last_event_uid", id_text()),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Index("ix_schedules_next_at", "next_at"),
)

# Something done to every delivery that matches a selection, in the background.
bulk_operations = Table(
    "bulk_operations",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("kind", id_text(16), nullable=False),  # retry rerun cancel replay
    Column("selection", Json, nullable=False),
    Column("options", Json, nullable=False, server_default="{}"),
    Column("reason", Text, nullable=False),
    Column("state", id_text(16), nullable=False),  # running paused done aborted
    Column("state_reason", Text),
    Column("total", BigInteger, nullable=False, server_default="0"),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("failed", BigInteger, nullable=False, server_default="0"),
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("cursor", id_text()),  # the last delivery (or event) that was looked at
    Column("pace", Float),  # items per second; NULL: as fast as it goes
    Column("abort_rate", Float),  # share of failures that ends it
    Column("before", Json),  # deliveries by state when it began
    Column("after", Json),
    Column("lease_owner", id_text(160)),
    Column("lease_until", Instant),
    Column("actor_kind", id_text(16), nullable=False),
    Column("actor_id", id_text(64), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("v", Integer, nullable=False, server_default="0"),
    Index("ix_bulk_operations_state", "state", "id"),
)

bulk_errors = Table(
    "bulk_errors",
    metadata,
    Column("seq", Autokey, primary_key=True, autoincrement=True),
    Column("operation_id", id_text(), ForeignKey("bulk_operations.id"), nullable=False),
    Column("target_id", id_text(), nullable=False),
    Column("message", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_bulk_errors_operation_id_seq", "operation_id", "seq"),
)
