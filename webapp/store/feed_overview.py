"""Read models of the overview: who is paused, and whether all is new.

Reads only; every list is bounded and every count is capped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from webapp.store import tables as t
from webapp.store.paging import SCAN


@dataclass(frozen=True, slots=True)
class PausedRow:
    """A paused subscription and how much waits for it (capped)."""

    id: str
    name: str
    reason: str | None
    paused_at: datetime
    held: int


def paused_subscriptions(conn: Connection, limit: int = 8) -> tuple[PausedRow, ...]:
    """Paused subscriptions for which deliveries are held, most first; counted among the newest ``SCAN`` held ones."""
    s, d = t.subscriptions.c, t.deliveries.c
    held = select(d.subscription_id).where(d.state == "held").order_by(d.id.desc()).limit(SCAN).subquery()
    counts = select(held.c.subscription_id, func.count().label("n")).group_by(held.c.subscription_id).subquery()
    query = (
        select(s.id, s.name, s.pause_reason, s.paused_at, counts.c.n)
        .join_from(counts, t.subscriptions, s.id == counts.c.subscription_id)
        .where(s.paused_at.is_not(None), s.deleted_at.is_(None))
        .order_by(counts.c.n.desc(), s.id)
        .limit(limit)
    )
    return tuple(PausedRow(row.id, row.name, row.pause_reason, row.paused_at, row.n) for row in conn.execute(query))


def is_empty(conn: Connection) -> bool:
    """Whether no event was ever accepted."""
    return conn.execute(select(t.events.c.uid).limit(1)).first() is None
