"""What stands at the doors: inbound sources with their last requests, and answers kept for repeated requests.

``webapp.store.tables`` has the others.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from webapp.store.columns import Instant, Json, id_text, metadata

# An address of its own for one sender that speaks its own dialect.
sources = Table(
    "sources",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("token", id_text(64), nullable=False, unique=True),  # the part of the URL that cannot be guessed
    Column("kind", id_text(16), nullable=False),  # github stripe ... publish, or that of a broker: see domain/sources
    Column("options", Json, nullable=False, server_default="{}"),  # header names, tolerance, user name: nothing secret
    Column("sealed", LargeBinary),  # its secret, encrypted
    Column("previous_sealed", LargeBinary),  # the one before, while senders change over
    Column("previous_until", Instant),
    Column("mapping", Json, nullable=False, server_default="{}"),  # templates: type, id, subject
    Column("event_source", id_text(200), nullable=False),  # the source of its events
    Column("disabled_at", Instant),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
)

# The last requests of a source, newest first; older ones are pruned.
source_requests = Table(
    "source_requests",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("source_id", id_text(), ForeignKey("sources.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("ip", Text, nullable=False),
    Column("verdict", id_text(12), nullable=False),  # accepted duplicate ignored rejected
    Column("status", Integer, nullable=False),  # that was answered
    Column("reason", Text),  # why it was rejected or ignored
    Column("headers", Json, nullable=False),  # without credentials
    Column("body", Text, nullable=False),  # its beginning
    Column("event_uid", id_text()),
    Index("ix_source_requests_source_id_id", "source_id", "id"),
)

# What each consumer process says of its connection for a source that is consumed; a row is a claim, as of seen_at.
source_connections = Table(
    "source_connections",
    metadata,
    Column("source_id", id_text(), ForeignKey("sources.id"), primary_key=True),
    Column("worker", id_text(128), primary_key=True),
    Column("state", id_text(12), nullable=False),  # connecting connected waiting
    Column("error", Text),  # the last one, also after it was overcome
    Column("error_at", Instant),
    Column("taken", Integer, nullable=False, server_default="0"),  # messages, since the process began
    Column("since", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

# Idempotency-Key: what was answered to a request, for when it is sent again.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", id_text(64), primary_key=True),  # SHA-256 over actor, method, path and the key, hex
    Column("fingerprint", id_text(64), nullable=False),  # SHA-256 of the body, hex
    Column("state", id_text(8), nullable=False),  # running done
    Column("status", Integer),
    Column("headers", Json),
    Column("body", Text),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)
