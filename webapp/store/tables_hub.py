"""What the hub knows of itself: handlers, workers, counts, notifications, the audit log. ``webapp.store.tables`` has the others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text, false

from webapp.store.columns import Instant, Json, id_text, metadata

# Handlers that the workers offer; a worker writes its catalogue when it starts.
handlers = Table(
    "handlers",
    metadata,
    Column("name", id_text(128), primary_key=True),
    Column("description", Text, nullable=False),
    Column("isolated", Boolean, nullable=False),
    Column("batches", Boolean, nullable=False, server_default=false()),  # it can take a list of events in one call
    Column("options_schema", Json, nullable=False),  # JSON Schema (2020-12) of the options
    Column("origin", Text, nullable=False),  # "built-in" or the plug-in package
    Column("seen_at", Instant, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("name", id_text(128), primary_key=True),
    Column("kind", id_text(16), nullable=False),  # shared, isolated, beat
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("state", id_text(16), nullable=False),  # idle busy stopping
    Column("running", Integer, nullable=False, server_default="0"),
    Column("finished", BigInteger, nullable=False, server_default="0"),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

# Per-minute counts and histograms, written in the transaction that they count.
counters = Table(
    "counters",
    metadata,
    Column("minute", Integer, primary_key=True, autoincrement=False),  # minutes since 1970
    Column("subject", id_text(), primary_key=True),  # subscription id, or "" for events
    # accepted duplicate unrouted rejected | succeeded failed dead skipped; expired (of the dead) | wait run (histograms)
    Column("measure", id_text(16), primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),  # domain.histogram bucket, else 0
    Column("n", BigInteger, nullable=False),
    sqlite_with_rowid=False,  # the key is the table: a range of minutes is read in one go
)

# What happened around the hub, such as a deploy: a line on the charts. Many processes tell of one: it is kept once a minute.
marks = Table(
    "marks",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("minute", Integer, nullable=False),  # of ``at``, since 1970
    Column("title", Text, nullable=False),
    Column("actor_kind", id_text(16), nullable=False),
    Column("actor_name", Text, nullable=False),
    Index("ux_marks_minute_title", "minute", "title", unique=True),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("severity", id_text(16), nullable=False),  # info success warning error
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("link", Text),  # a path of the hub
    Column("event_uid", id_text()),
    Column("dedupe_key", id_text(200)),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("last_at", Instant, nullable=False),
    Column("kind", id_text(24), nullable=False, server_default="handler"),  # domain.notices.KINDS
    Column("subscription_id", id_text()),  # that it is about
    Column("delivery_id", id_text()),  # that can be retried
    Column("acknowledged_at", Instant),  # somebody takes care of it
    Column("acknowledged_by", Text),
    Index("ix_notifications_dedupe_key_id", "dedupe_key", "id"),
    Index("ix_notifications_event_uid_id", "event_uid", "id"),  # what people were told of an event
)

# Append-only. The last three columns are filled by a sealer, never by the writer of the row.
audit = Table(
    "audit",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor_kind", id_text(16), nullable=False),
    Column("actor_id", id_text(64), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", id_text(64), nullable=False),  # dotted, past tense: subscription.paused
    Column("target_kind", id_text(32), nullable=False),
    Column("target_id", id_text(200), nullable=False),
    Column("target_name", Text, nullable=False),
    Column("request_id", id_text(64), nullable=False),
    Column("ip", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("words", Text, nullable=False),  # lower-cased text that the search looks in
    Column("seq", BigInteger, unique=True),
    Column("prev_hash", LargeBinary(32)),
    Column("row_hash", LargeBinary(32)),
    Index("ix_audit_action_id", "action", "id"),
    Index("ix_audit_actor_id_id", "actor_id", "id"),
    Index("ix_audit_target_id_id", "target_id", "id"),
)

meta = Table(
    "meta",
    metadata,
    Column("name", id_text(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("details", Json),  # what belongs to the number, such as the reason of read-only mode
)
