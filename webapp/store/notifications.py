"""Notifications for people: written once, or counted on the one of the same cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from webapp.store.tables import notifications

DEDUPE_WINDOW = timedelta(hours=1)


def add_notification(conn: Connection, row: Mapping[str, Any]) -> str:
    """Insert, or count it on one with the same dedupe key of the last hour; answers the id of the one shown."""
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
            return str(known)
    conn.execute(notifications.insert(), {**row, "last_at": at})
    return str(row["id"])
