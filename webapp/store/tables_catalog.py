"""The catalog of event types: what events look like, who owns them, and what did not fit. ``webapp.store.tables`` has the others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from webapp.store.columns import Instant, Json, id_text, metadata

# One row per type that was declared, or that was seen in an event (discovered).
event_types = Table(
    "event_types",
    metadata,
    Column("name", id_text(128), primary_key=True),
    Column("state", id_text(12), nullable=False),  # discovered declared
    Column("owner", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("validation", id_text(8), nullable=False, server_default="off"),  # off warn reject
    Column("compatibility", id_text(8), nullable=False, server_default="none"),  # none backward forward full
    Column("inferred", Json),  # JSON Schema worked out from events, until somebody accepts or writes one
    Column("inferred_from", Integer, nullable=False, server_default="0"),  # how many events it was worked out from
    Column("deprecated_at", Instant),
    Column("deprecation", Text),  # what to use instead, in words
    Column("seen_at", Instant),  # an event of it, the last time somebody looked
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
)

# A version's schema never changes; another schema is another version.
event_type_versions = Table(
    "event_type_versions",
    metadata,
    Column("type", id_text(128), ForeignKey("event_types.name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("schema", Text, nullable=False),  # JSON Schema 2020-12 of the payload, as it was given
    Column("examples", Json, nullable=False, server_default="[]"),
    Column("note", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),  # the name of who added it
)

# Events that somebody kept under a name, to be sent again, tried on rules, or used in tests.
samples = Table(
    "samples",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("type", id_text(128), nullable=False),
    Column("name", Text, nullable=False),
    Column("event", Json, nullable=False),  # what the API would be sent: type, source, subject, payload, labels
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("deleted_at", Instant),
    Index("ix_samples_type_id", "type", "id"),
)

# How an event broke the schema of its type: it was rejected, or kept with a warning.
event_faults = Table(
    "event_faults",
    metadata,
    Column("event_uid", id_text(), ForeignKey("events.uid"), primary_key=True),
    Column("verdict", id_text(8), nullable=False),  # rejected warned
    Column("sent_id", id_text(200)),  # the sender's id of a rejected one: it may be sent again, mended
    Column("schema_version", Integer, nullable=False),
    Column("faults", Json, nullable=False),  # [{"pointer", "code", "message"}], 20 at most
    Column("total", BigInteger, nullable=False),  # of faults
)
