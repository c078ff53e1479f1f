"""Versions of subscriptions: the whole document at every revision that changed it, never altered, never dropped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from webapp.domain.access import Actor
from webapp.domain.errors import NotFound
from webapp.store.paging import LIMIT, Page
from webapp.store.tables import subscription_versions as versions

NOTE_CHARS = 500
v = versions.c


def add(
    conn: Connection,
    subscription_id: str,
    revision: int,
    document: Mapping[str, Any],
    *,
    at: datetime,
    actor: Actor,
    action: str,
    note: str = "",
) -> None:
    """Write one down; ``action`` is created, updated, restored or applied."""
    row = {
        "subscription_id": subscription_id,
        "revision": revision,
        "document": dict(document),
        "at": at,
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_name": actor.name,
        "action": action,
        "note": note[:NOTE_CHARS],
    }
    conn.execute(insert(versions), row)


def has_any(conn: Connection, subscription_id: str) -> bool:
    """Whether one was ever written down: rows from before this table have none."""
    return conn.execute(select(v.revision).where(v.subscription_id == subscription_id).limit(1)).first() is not None


def get(conn: Connection, subscription_id: str, revision: int) -> Row[Any]:
    """One version, or ``NotFound``."""
    of = select(versions).where(v.subscription_id == subscription_id, v.revision == revision)
    row = conn.execute(of).one_or_none()
    if row is None:
        raise NotFound(f"There is no version {revision} of this subscription.")
    return row


def newest(conn: Connection, subscription_id: str, before: int | None = None, limit: int = LIMIT) -> Page[Row[Any]]:
    """Versions below the cursor, newest first; the cursor is a revision."""
    query = select(versions).where(v.subscription_id == subscription_id)
    if before is not None:
        query = query.where(v.revision < before)
    rows = conn.execute(query.order_by(v.revision.desc()).limit(limit + 1)).all()
    return Page(tuple(rows[:limit]), str(rows[limit - 1].revision) if len(rows) > limit else None)
