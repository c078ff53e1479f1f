"""Who is told what, and how: inboxes, preferences, browsers that take pushes. ``webapp.store.tables`` has the others."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from webapp.store.columns import Instant, Json, id_text, metadata

# One row per user and notification: written in the transaction that writes the notification.
inbox = Table(
    "inbox",
    metadata,
    Column("user_id", id_text(), ForeignKey("users.id"), primary_key=True),
    Column("notification_id", id_text(), ForeignKey("notifications.id"), primary_key=True),
    Column("state", id_text(8), nullable=False),  # unread read archived
    Column("toast", Boolean, nullable=False),  # pages that are open show it
    Column("browser", Boolean, nullable=False),  # and have the browser show it while nobody looks at them
    Column("snoozed_until", Instant),  # not shown before
    Index("ix_inbox_user_id_state_notification_id", "user_id", "state", "notification_id"),
    Index("ix_inbox_notification_id", "notification_id"),
    # who is snoozing what, by the time at which it comes back
    Index(
        "ix_inbox_snoozed",
        "snoozed_until",
        sqlite_where=text("snoozed_until IS NOT NULL"),
        postgresql_where=text("snoozed_until IS NOT NULL"),
    ),
)

# Whoever has no row has the defaults.
notification_preferences = Table(
    "notification_preferences",
    metadata,
    Column("user_id", id_text(), ForeignKey("users.id"), primary_key=True),
    Column("document", Json, nullable=False),  # domain.notices.Preferences.to_json()
    Column("updated_at", Instant, nullable=False),
)

# A browser that a user allowed to be pushed to. What the browser gave is sealed: whoever has it can reach the person.
push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("user_id", id_text(), ForeignKey("users.id"), nullable=False),
    Column("fingerprint", id_text(64), nullable=False, unique=True),  # SHA-256 of the endpoint, hex
    Column("host", Text, nullable=False),  # of the push service
    Column("browser", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # JSON: endpoint, p256dh, auth
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant),
    Index("ix_push_subscriptions_user_id", "user_id"),
)

# The hub's own key (VAPID): made once; browsers tie what they allow to it.
push_keys = Table(
    "push_keys",
    metadata,
    Column("name", id_text(16), primary_key=True),  # "vapid"
    Column("public", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Where a user gets mail: at one address, used once whoever reads its mail has confirmed it. Another one is another row.
mail_addresses = Table(
    "mail_addresses",
    metadata,
    Column("id", id_text(), primary_key=True),  # what the links in its mails are sealed with
    Column("user_id", id_text(), ForeignKey("users.id"), nullable=False, unique=True),
    Column("address", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),  # of the link that confirms it
    Column("confirmed_at", Instant),
    Column("stopped_at", Instant),  # by the link in a mail
    Column("used_at", Instant),  # the last mail that the server took
    Column("error", Text),  # what it said when it took the last one not
)

# What was sent, to whom and how it went; and, while it is due, what is still to be sent.
notification_sends = Table(
    "notification_sends",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("user_id", id_text(), nullable=False),
    Column("notification_id", id_text(), nullable=False),
    Column("channel", id_text(8), nullable=False),  # inbox push digest email confirm
    Column("target", id_text()),  # the push subscription, the mail address
    Column("state", id_text(8), nullable=False),  # due sent failed gone muted
    Column("due_at", Instant),  # not before; moved on as a lease while it is being sent
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", Instant),
    Column("error", Text),
    Index("ix_notification_sends_user_id_id", "user_id", "id"),
    Index(
        "ix_notification_sends_due",
        "due_at",
        sqlite_where=text("state = 'due'"),
        postgresql_where=text("state = 'due'"),
    ),
)
