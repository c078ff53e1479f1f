"""What belongs to subscriptions beside their row: every version of each, and the secrets that options name.

``webapp.store.tables`` has the others.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, Table, Text

from webapp.store.columns import Instant, Json, id_text, metadata

# The document of a subscription as it was at every revision that changed it.
subscription_versions = Table(
    "subscription_versions",
    metadata,
    Column("subscription_id", id_text(), ForeignKey("subscriptions.id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("document", Json, nullable=False),  # what the API would be sent
    Column("at", Instant, nullable=False),
    Column("actor_kind", id_text(16), nullable=False),
    Column("actor_id", id_text(64), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", id_text(16), nullable=False),  # created updated restored applied
    Column("note", Text, nullable=False),
)

# Encrypted; named in options as {secret.NAME}, resolved where a handler starts, never shown.
secrets = Table(
    "secrets",
    metadata,
    Column("name", id_text(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("description", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)
