"""Routing a stored event again: which subscriptions have had it, and the new deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from webapp.domain.errors import NotFound
from webapp.store.tables import deliveries, events


@dataclass(frozen=True, slots=True)
class Had:
    """The last delivery of the event to one subscription."""

    delivery_id: str
    state: str
    n: int  # 0, or the number of the re-run


def lock_event(conn: Connection, uid: str) -> Row[Any]:
    """The event, kept from others who would add deliveries to it at the same moment; or ``NotFound``."""
    row = conn.execute(select(events).where(events.c.uid == uid).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"There is no event {uid[:80]!r}.")
    return row


def had_by(conn: Connection, uid: str) -> dict[str, Had]:
    """By subscription: what it had of this event."""
    d = deliveries.c
    found = select(d.subscription_id, d.id, d.state, d.replay).where(d.event_uid == uid).order_by(d.replay)
    return {row.subscription_id: Had(row.id, row.state, row.replay) for row in conn.execute(found)}


def add_deliveries(conn: Connection, uid: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries of one event and count them."""
    if not rows:
        return
    opened = sum(row["state"] != "skipped" for row in rows)
    conn.execute(deliveries.insert(), list(rows))
    counts = {"total": events.c.total + len(rows), "open": events.c.open + opened}
    conn.execute(update(events).where(events.c.uid == uid).values(**counts))
