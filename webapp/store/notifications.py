"""Notifications for people: written once, or counted on the one of the same cause; and who of the users is to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from webapp.store import tables as t
from webapp.store.tables import inbox, notification_sends, notifications

DEDUPE_WINDOW = timedelta(hours=1)
KEPT = timedelta(days=90)
SENDS_KEPT = timedelta(days=30)
USERS = 1000  # are told at most
DROPPED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Added:
    """The notification that is shown, and whether anybody's inbox changed by it."""

    id: str
    fresh: bool
    changed: bool


def add_notification(conn: Connection, row: Mapping[str, Any]) -> Added:
    """Insert, or count it on one with the same dedupe key of the last hour, which is then unread again."""
    at: datetime = row["at"]
    if row.get("dedupe_key"):
        recent = (
            select(notifications.c.id)
            .where(notifications.c.dedupe_key == row["dedupe_key"], notifications.c.at > at - DEDUPE_WINDOW)
            .order_by(notifications.c.id.desc())
            .limit(1)
        )
        known = conn.execute(recent).scalar()
        if known is not None:
            again = {"count": notifications.c.count + 1, "last_at": at, "body": row["body"]}
            conn.execute(update(notifications).where(notifications.c.id == known).values(**again))
            return Added(str(known), fresh=False, changed=_read_no_more(conn, known))
    conn.execute(notifications.insert(), {**row, "last_at": at})
    return Added(str(row["id"]), fresh=True, changed=True)


def _read_no_more(conn: Connection, notification_id: str) -> bool:
    """It happened again: whoever had read it has not read that. Archived ones, and those of a summary, stay."""
    summed_up = select(notification_sends.c.user_id).where(
        notification_sends.c.notification_id == notification_id, notification_sends.c.channel == "digest"
    )
    again = update(inbox).where(
        inbox.c.notification_id == notification_id, inbox.c.state == "read", inbox.c.user_id.not_in(summed_up)
    )
    return bool(conn.execute(again.values(state="unread")).rowcount)


def list_listeners(conn: Connection) -> Sequence[Any]:
    """Every user who may sign in: id, what they chose about pages (``zone``), and about notifications (or ``None``)."""
    p = t.notification_preferences.c
    query = (
        select(t.users.c.id, t.users.c.preferences, p.document)
        .outerjoin(t.notification_preferences, p.user_id == t.users.c.id)
        .where(t.users.c.disabled_at.is_(None))
        .order_by(t.users.c.id)
        .limit(USERS)
    )
    return conn.execute(query).all()


def browsers_of(conn: Connection) -> dict[str, list[str]]:
    """Per user the push subscriptions, by id."""
    found: dict[str, list[str]] = {}
    p = t.push_subscriptions.c
    for row in conn.execute(select(p.id, p.user_id).order_by(p.id).limit(USERS * 10)):
        found.setdefault(row.user_id, []).append(row.id)
    return found


def put_into_inboxes(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """One row per user."""
    if rows:
        conn.execute(inbox.insert(), rows)


def add_sends(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """What was sent, or is to be."""
    if rows:
        conn.execute(notification_sends.insert(), rows)


def acknowledge(conn: Connection, notification_id: str, *, by: str, at: datetime) -> bool:
    """Somebody takes care of it; False when somebody did before, or there is none."""
    n = notifications.c
    fresh = update(notifications).where(n.id == notification_id, n.acknowledged_at.is_(None))
    return bool(conn.execute(fresh.values(acknowledged_at=at, acknowledged_by=by)).rowcount)


def drop_old_notifications(conn: Connection, now: datetime) -> None:
    """Those of 90 days ago with everybody's row of them, and what was sent 30 days ago; some at a time."""
    n, s = notifications.c, notification_sends.c
    old = list(conn.execute(select(n.id).where(n.last_at < now - KEPT).order_by(n.id).limit(DROPPED_AT_ONCE)).scalars())
    if old:
        conn.execute(delete(inbox).where(inbox.c.notification_id.in_(old)))
        conn.execute(delete(notifications).where(n.id.in_(old)))
    sent = select(s.id).where(s.at < now - SENDS_KEPT, s.state != "due").order_by(s.id).limit(DROPPED_AT_ONCE)
    conn.execute(delete(notification_sends).where(s.id.in_(list(conn.execute(sent).scalars()))))
