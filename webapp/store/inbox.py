"""What a user does with the notifications in the inbox. Every move names the states it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from webapp.store import tables as t
from webapp.store.tables import inbox, notification_preferences

MOVES = {  # where to, and from where
    "read": ("unread",),
    "unread": ("read", "archived"),
    "archived": ("unread", "read"),
}


def move(conn: Connection, user_id: str, notification_id: str, state: str) -> bool:
    """To that state; False when it was in none that leads there."""
    here = (inbox.c.user_id == user_id, inbox.c.notification_id == notification_id)
    moved = update(inbox).where(*here, inbox.c.state.in_(MOVES[state]))
    return bool(conn.execute(moved.values(state=state, snoozed_until=None)).rowcount)


def read_all(conn: Connection, user_id: str, through: str, now: datetime) -> int:
    """Everything unread up to that id, but for what is snoozed; answers how many."""
    i = inbox.c
    shown = (i.snoozed_until.is_(None)) | (i.snoozed_until <= now)
    unread = update(inbox).where(i.user_id == user_id, i.state == "unread", i.notification_id <= through, shown)
    return conn.execute(unread.values(state="read")).rowcount


def snooze(conn: Connection, user_id: str, notification_id: str, until: datetime) -> bool:
    """Out of sight, and unread when it comes back."""
    i = inbox.c
    here = update(inbox).where(i.user_id == user_id, i.notification_id == notification_id, i.state != "archived")
    return bool(conn.execute(here.values(state="unread", snoozed_until=until)).rowcount)


def wake(conn: Connection, now: datetime, limit: int = 1000) -> list[str]:
    """What was snoozed until now is shown again; answers the notifications."""
    i = inbox.c
    due = select(i.user_id, i.notification_id).where(i.snoozed_until <= now).order_by(i.snoozed_until).limit(limit)
    woken = []
    for row in conn.execute(due).all():
        one = (i.user_id == row.user_id, i.notification_id == row.notification_id, i.snoozed_until <= now)
        if conn.execute(update(inbox).where(*one).values(snoozed_until=None)).rowcount:
            woken.append(str(row.notification_id))
    return woken


def any_snoozed_until(conn: Connection, now: datetime) -> bool:
    """A look before the write lock is taken."""
    return conn.execute(select(inbox.c.user_id).where(inbox.c.snoozed_until <= now).limit(1)).first() is not None


def read_preferences(conn: Connection, user_id: str) -> Mapping[str, Any] | None:
    """The document, or ``None`` for the defaults."""
    p = notification_preferences.c
    document: Mapping[str, Any] | None = conn.execute(select(p.document).where(p.user_id == user_id)).scalar()
    return document


def write_preferences(conn: Connection, user_id: str, document: Mapping[str, Any], now: datetime) -> None:
    """Of that user; the last who writes wins."""
    p, values = notification_preferences.c, {"document": dict(document), "updated_at": now}
    if not conn.execute(update(notification_preferences).where(p.user_id == user_id).values(**values)).rowcount:
        conn.execute(notification_preferences.insert(), {"user_id": user_id, **values})


def living_subscriptions(conn: Connection, limit: int = 200) -> Sequence[Any]:
    """Id and name of those that can be chosen, by name."""
    s = t.subscriptions.c
    return conn.execute(select(s.id, s.name).where(s.deleted_at.is_(None)).order_by(s.name, s.id).limit(limit)).all()
