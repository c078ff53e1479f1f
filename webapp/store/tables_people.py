"""Who may sign in, and with what; ``webapp.store.tables`` has the other tables."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from webapp.store.columns import Instant, id_text, metadata

users = Table(
    "users",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("username", id_text(64), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),  # Argon2id, encoded form
    Column("role", id_text(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
    Column("read_through", id_text()),  # newest notification that was marked read
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", id_text(64), primary_key=True),  # SHA-256 of the token in the cookie, hex
    Column("user_id", id_text(), ForeignKey("users.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ip", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("hint", id_text(16), nullable=False),  # the first characters, to recognise it by
    Column("secret_hash", id_text(64), nullable=False, unique=True),  # SHA-256 of the whole key, hex
    Column("role", id_text(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", id_text(64), nullable=False),
    Column("last_used_at", Instant),
    Column("rate_limit", Integer),  # requests a minute; NULL: as many as the setting allows
    Column("revoked_at", Instant),
)

one_time_links = Table(
    "one_time_links",
    metadata,
    Column("token_hash", id_text(64), primary_key=True),
    Column("purpose", id_text(16), nullable=False),  # "first-admin"
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
)
