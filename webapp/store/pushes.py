"""Browsers that take pushes, the hub's key for them, and sends that are due. A lease on a send is its time moved on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from webapp.store import tables as t
from webapp.store.tables import notification_sends, push_keys, push_subscriptions

VAPID = "vapid"


def find_key(conn: Connection) -> Any:
    """The hub's key, or ``None``."""
    return conn.execute(select(push_keys).where(push_keys.c.name == VAPID)).first()


def add_key(conn: Connection, public: str, sealed: bytes, now: datetime) -> None:
    """The first to write it wins; others find an ``IntegrityError``."""
    conn.execute(push_keys.insert(), {"name": VAPID, "public": public, "sealed": sealed, "created_at": now})


def put_subscription(conn: Connection, row: Mapping[str, Any]) -> None:
    """A browser; one that was known goes over to whoever uses it now."""
    p = push_subscriptions.c
    conn.execute(delete(push_subscriptions).where(p.fingerprint == row["fingerprint"]))
    conn.execute(push_subscriptions.insert(), row)


def list_subscriptions(conn: Connection, user_id: str, limit: int = 50) -> Sequence[Any]:
    """Of that user, newest first; without what is sealed."""
    p = push_subscriptions.c
    query = select(p.id, p.fingerprint, p.host, p.browser, p.created_at, p.used_at).where(p.user_id == user_id)
    return conn.execute(query.order_by(p.id.desc()).limit(limit)).all()


def drop_subscription(conn: Connection, subscription_id: str, user_id: str) -> bool:
    """False when that user has none of that id."""
    p = push_subscriptions.c
    gone = delete(push_subscriptions).where(p.id == subscription_id, p.user_id == user_id)
    return bool(conn.execute(gone).rowcount)


def any_due(conn: Connection, now: datetime, channel: str, *also: ColumnElement[bool]) -> bool:
    """A look before the write lock is taken."""
    s = notification_sends.c
    due = select(s.id).where(s.state == "due", s.due_at <= now, s.channel == channel, *also).limit(1)
    return conn.execute(due).first() is not None


def take_due(
    conn: Connection, now: datetime, until: datetime, channel: str, limit: int, *also: ColumnElement[bool]
) -> list[Any]:
    """Sends whose time has come, each moved on to ``until``, so that nobody else takes it before."""
    s = notification_sends.c
    due = (
        select(notification_sends)
        .where(s.state == "due", s.due_at <= now, s.channel == channel, *also)
        .order_by(s.due_at, s.id)
        .limit(limit)
    )
    taken = []
    for row in conn.execute(due).all():
        mine = update(notification_sends).where(s.id == row.id, s.state == "due", s.due_at == row.due_at)
        if conn.execute(mine.values(due_at=until, attempts=row.attempts + 1)).rowcount:
            taken.append(row)
    return taken


def with_texts(conn: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """The notifications of those ids."""
    n = t.notifications.c
    query = select(n.id, n.title, n.severity, n.link).where(n.id.in_(ids))
    return {row.id: row for row in conn.execute(query)}


def sealed_of(conn: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """The subscriptions of those ids, with what is sealed."""
    p = push_subscriptions.c
    return {row.id: row for row in conn.execute(select(push_subscriptions).where(p.id.in_(ids)))}


def end_sends(conn: Connection, ids: Sequence[str], state: str, now: datetime, error: str | None = None) -> int:
    """They are over, as ``sent``, ``failed`` or ``gone``; answers how many were still due."""
    s = notification_sends.c
    over = update(notification_sends).where(s.id.in_(ids), s.state == "due")
    return conn.execute(over.values(state=state, sent_at=now, due_at=None, error=error)).rowcount


def put_off(conn: Connection, ids: Sequence[str], until: datetime, error: str) -> None:
    """Tried in vain: once more then."""
    s = notification_sends.c
    later = update(notification_sends).where(s.id.in_(ids), s.state == "due")
    conn.execute(later.values(due_at=until, error=error))


def note_use(conn: Connection, subscription_id: str, now: datetime) -> None:
    """A push reached its service."""
    used = update(push_subscriptions).where(push_subscriptions.c.id == subscription_id)
    conn.execute(used.values(used_at=now))


def forget(conn: Connection, subscription_id: str) -> None:
    """The service says that it is no more."""
    conn.execute(delete(push_subscriptions).where(push_subscriptions.c.id == subscription_id))
