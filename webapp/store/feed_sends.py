"""The log of what was sent: newest first, by channel, outcome and user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from webapp.store import tables as t
from webapp.store.paging import LIMIT, Page, page_of

CHANNELS = ("inbox", "email", "push", "digest", "confirm")
WITHOUT = {"confirm": "Whether a mail address is right"}  # sent about no notification
STATES = ("due", "sent", "failed", "gone", "muted")


@dataclass(frozen=True, slots=True)
class SendRow:
    """One notification on one channel to one user."""

    id: str
    at: datetime
    username: str
    notification_id: str
    title: str
    severity: str
    channel: str
    state: str
    due_at: datetime | None
    attempts: int
    sent_at: datetime | None
    error: str | None


def list_sends(
    conn: Connection, *, channel: str = "", state: str = "", user: str = "", before: str = "", limit: int = LIMIT
) -> Page[SendRow]:
    """Older than the cursor."""
    s, n, u = t.notification_sends.c, t.notifications.c, t.users.c
    query = (
        select(t.notification_sends, n.title, n.severity, u.username)
        .outerjoin(t.notifications, n.id == s.notification_id)
        .outerjoin(t.users, u.id == s.user_id)
    )
    for column, value in ((s.channel, channel), (s.state, state), (u.username, user)):
        if value:
            query = query.where(column == value)
    if before:
        query = query.where(s.id < before)
    return page_of(conn.execute(query.order_by(s.id.desc()).limit(limit + 1)).all(), limit, _send)


def _send(row: Row[Any]) -> SendRow:
    return SendRow(
        id=row.id,
        at=row.at,
        username=row.username or "a user who is gone",
        notification_id=row.notification_id,
        title=row.title or WITHOUT.get(row.channel, "a notification that is gone"),
        severity=row.severity or "info",
        channel=row.channel,
        state=row.state,
        due_at=row.due_at,
        attempts=row.attempts,
        sent_at=row.sent_at,
        error=row.error,
    )
