"""Read models of the catalog's pages: who sends and who gets a type, how much came lately, what did not fit.

Everything is counted among the newest events of a type, along ``ix_events_type_uid``: however much history there is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, union_all

from webapp.domain.globs import Glob
from webapp.domain.ids import first_id_at
from webapp.store import tables as t

HOURS = 24
COUNTED = 300  # newest events of a type within the last day that its line counts
LOOKED_AT = 1_000  # newest events of a type that its page looks at
PROBLEMS_SHOWN = 10
CONSUMERS_READ = 5_000
CONSUMERS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Lately:
    """How many events of a type came in each of the last ``HOURS``, oldest first; at most ``COUNTED`` in all."""

    hours: tuple[int, ...] = (0,) * HOURS

    @property
    def total(self) -> int:
        return sum(self.hours)

    @property
    def is_capped(self) -> bool:
        """Whether there were more."""
        return self.total >= COUNTED


@dataclass(frozen=True, slots=True)
class Producer:
    """A source among the newest events."""

    source: str
    events: int
    newest: str  # uid


@dataclass(frozen=True, slots=True)
class Problem:
    """An event that did not fit the schema."""

    event_uid: str
    source: str
    received_at: datetime
    verdict: str
    schema_version: int
    faults: Sequence[dict[str, str]]
    total: int


def read_lately(conn: Connection, names: Sequence[str], now: datetime) -> dict[str, Lately]:
    """The last day of these types."""
    if not names:
        return {}
    e, hour = t.events.c, now.replace(minute=0, second=0, microsecond=0)
    starts = [first_id_at("evt", _ms(hour - timedelta(hours=HOURS - 1 - n))) for n in range(HOURS)]
    parts = []
    for name in names:
        newest = select(e.type, e.uid).where(e.type == name, e.uid >= starts[0])
        newest = newest.order_by(e.uid.desc()).limit(COUNTED)
        parts.append(select(newest.subquery()))
    counts = {name: [0] * HOURS for name in names}
    for kind, uid in conn.execute(union_all(*parts)):
        counts[kind][bisect_right(starts, uid) - 1] += 1
    return {name: Lately(tuple(found)) for name, found in counts.items()}


def producers_of(conn: Connection, name: str) -> list[Producer]:
    """The sources of its newest events, the busiest first."""
    e = t.events.c
    window = select(e.source, e.uid).where(e.type == name).order_by(e.uid.desc()).limit(LOOKED_AT).subquery()
    count = func.count().label("n")
    query = select(window.c.source, count, func.max(window.c.uid)).group_by(window.c.source)
    return [Producer(*row) for row in conn.execute(query.order_by(count.desc(), window.c.source).limit(50))]


def consumers_of(conn: Connection, name: str) -> list[Any]:
    """The subscriptions whose pattern fits the type, by name; whether their condition holds depends on the event."""
    s = t.subscriptions.c
    query = select(s.id, s.name, s.pattern, s.condition, s.handler, s.paused_at, s.mode).where(s.deleted_at.is_(None))
    rows = conn.execute(query.order_by(s.name, s.id).limit(CONSUMERS_READ))
    return [row for row in rows if Glob(row.pattern).matches(name)][:CONSUMERS_SHOWN]


def problems_of(conn: Connection, name: str) -> list[Problem]:
    """Which of its newest events did not fit, newest first."""
    e, f = t.events.c, t.event_faults.c
    window = select(e.uid, e.source, e.received_at).where(e.type == name).order_by(e.uid.desc()).limit(LOOKED_AT)
    newest = window.subquery()
    query = select(newest, f.verdict, f.schema_version, f.faults, f.total).join(
        t.event_faults, f.event_uid == newest.c.uid
    )
    rows = conn.execute(query.order_by(newest.c.uid.desc()).limit(PROBLEMS_SHOWN))
    return [Problem(*row) for row in rows]


def faults_of_event(conn: Connection, uid: str) -> Problem | None:
    """How one event broke the schema of its type, or ``None``."""
    e, f = t.events.c, t.event_faults.c
    query = select(e.uid, e.source, e.received_at, f.verdict, f.schema_version, f.faults, f.total)
    row = conn.execute(query.join(t.event_faults, f.event_uid == e.uid).where(e.uid == uid)).first()
    return None if row is None else Problem(*row)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
