"""Read models of the overview: activity from the per-minute counters, who is paused, and whether all is new.

Reads only; every list is bounded and every count is capped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from webapp.store import tables as t
from webapp.store.counters import minute_of
from webapp.store.paging import SCAN


@dataclass(frozen=True, slots=True)
class Activity:
    """What came in and how it ended over a stretch of time, in equal slots, oldest first."""

    accepted: tuple[int, ...]
    succeeded: int
    failed: int  # tries that were or will be repeated
    dead: int
    bad: tuple[int, ...]  # dead per slot

    @property
    def events(self) -> int:
        """Events accepted in all."""
        return sum(self.accepted)


@dataclass(frozen=True, slots=True)
class PausedRow:
    """A paused subscription and how much waits for it (capped)."""

    id: str
    name: str
    reason: str | None
    paused_at: datetime
    held: int


def activity(conn: Connection, *, now: datetime, slots: int, minutes: int) -> Activity:
    """The last ``slots`` stretches of ``minutes`` each, from the per-minute counters."""
    c = t.counters.c
    first = (minute_of(now) // minutes - slots + 1) * minutes
    slot: ColumnElement[int] = literal_column(f"(counters.minute - {first:d}) / {minutes:d}").label("slot")
    query = (
        select(slot, c.measure, func.sum(c.n).label("n"))
        .where(c.minute >= first, c.measure.in_(("accepted", "succeeded", "failed", "dead")))
        .group_by(slot, c.measure)
    )
    found = {(int(row.slot), row.measure): int(row.n) for row in conn.execute(query)}
    series = {name: tuple(found.get((i, name), 0) for i in range(slots)) for name in ("accepted", "dead")}
    sums = {
        name: sum(n for (_, measure), n in found.items() if measure == name) for name in ("succeeded", "failed", "dead")
    }
    return Activity(series["accepted"], sums["succeeded"], sums["failed"], sums["dead"], series["dead"])


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
