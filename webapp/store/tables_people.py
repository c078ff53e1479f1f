"""Who may sign in, and with what; ``webapp.store.tables`` has the other tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, true

from webapp.store.columns import Instant, Json, id_text, metadata

users = Table(
    "users",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("username", id_text(64), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),  # Argon2id, encoded form
    Column("role", id_text(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
    Column(
        "read_through", id_text()
    ),  # of hubs from before the inbox, which may run beside this one: newest notification marked read
    Column("preferences", Json, nullable=False, server_default="{}"),  # how pages look to them
    Column("sees_payloads", Boolean, nullable=False, server_default=true()),
    Column("signed_in_at", Instant),
    Column("totp_sealed", LargeBinary),  # the secret of the second factor, bound to the row
    Column("totp_since", Instant),  # NULL: not confirmed by a code, so not asked for
    Column("totp_step", BigInteger),  # of the last code taken: it and older ones are refused
    Column("recovery", Json, nullable=False, server_default="[]"),  # SHA-256 of codes not used yet
    Column("oidc_subject", id_text(400)),  # issuer and subject of the identity provider
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
    Column("scopes", Json),  # verbs, within those of the role; NULL: all of them
    Column("event_types", Json),  # patterns of the types it may publish; NULL: any
    Column("sources", Json),  # patterns of the sources it may name; NULL: any
    Column("sees_payloads", Boolean, nullable=False, server_default=true()),
    Column("expires_at", Instant),
    Column("previous_hash", id_text(64)),  # the secret before the last rotation
    Column("previous_until", Instant),
    Column("rotated_at", Instant),
)

one_time_links = Table(
    "one_time_links",
    metadata,
    Column("token_hash", id_text(64), primary_key=True),
    Column("purpose", id_text(16), nullable=False),  # "first-admin", "invitation", "password-reset"
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("id", id_text()),  # what it is listed and revoked by; the link of the first admin has none
    Column("role", id_text(16)),
    Column("sees_payloads", Boolean),
    Column("user_id", id_text()),  # whose password it resets, or whom it made
    Column("note", Text),
    Column("created_by", Text),
    Column("revoked_at", Instant),
)

Index("ux_users_oidc_subject", users.c.oidc_subject, unique=True)
Index("ux_api_keys_previous_hash", api_keys.c.previous_hash, unique=True)
Index("ux_one_time_links_id", one_time_links.c.id, unique=True)
