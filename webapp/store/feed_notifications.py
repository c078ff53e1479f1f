"""Notifications as one user sees them: newest first, unread above the mark, a capped unread count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, update

from webapp.store import tables as t
from webapp.store.paging import LIMIT, Page, page_of

UNREAD_CAP = 99


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One notification; ``count`` says how often it was raised since ``at``."""

    id: str
    at: datetime
    severity: str
    title: str
    body: str
    link: str | None
    event_uid: str | None
    count: int
    last_at: datetime
    unread: bool


def list_notifications(
    conn: Connection, read_through: str, *, before: str = "", severity: str = "", limit: int = LIMIT
) -> Page[NotificationRow]:
    """Notifications older than the cursor, newest first."""
    n = t.notifications.c
    query = select(t.notifications)
    if severity:
        query = query.where(n.severity == severity)
    if before:
        query = query.where(n.id < before)
    rows = conn.execute(query.order_by(n.id.desc()).limit(limit + 1)).all()
    return page_of(rows, limit, lambda row: _notification(row, read_through))


def find_notification(conn: Connection, notification_id: str) -> NotificationRow | None:
    """One notification, or ``None``."""
    row = conn.execute(select(t.notifications).where(t.notifications.c.id == notification_id)).first()
    return None if row is None else _notification(row, "")


def count_unread(conn: Connection, read_through: str) -> int:
    """How many are newer than the mark; stops at ``UNREAD_CAP + 1``."""
    n = t.notifications.c
    newer = select(n.id).where(n.id > read_through).limit(UNREAD_CAP + 1).subquery()
    return conn.execute(select(func.count()).select_from(newer)).scalar_one()


def read_through(conn: Connection, user_id: str) -> str:
    """The newest notification that the user marked read, or "" when there is none."""
    query = select(t.users.c.read_through).where(t.users.c.id == user_id)
    return conn.execute(query).scalar_one_or_none() or ""


def newest_id(conn: Connection) -> str | None:
    """The newest notification there is."""
    newest: str | None = conn.execute(select(func.max(t.notifications.c.id))).scalar_one()
    return newest


def move_mark(conn: Connection, user_id: str, newest: str) -> None:
    """Remember that the user has read up to there; the mark only ever moves forward."""
    u = t.users.c
    behind = or_(u.read_through.is_(None), u.read_through < newest)
    conn.execute(update(t.users).where(u.id == user_id, behind).values(read_through=newest))


def _notification(row: Row[Any], read_through: str) -> NotificationRow:
    return NotificationRow(
        id=row.id,
        at=row.at,
        severity=row.severity,
        title=row.title,
        body=row.body,
        link=row.link,
        event_uid=row.event_uid,
        count=row._mapping["count"],  # ``row.count`` is a method of tuples
        last_at=row.last_at,
        unread=row.id > read_through,
    )
