"""Numbers for Prometheus: sums of the per-minute counters, and how things stand now. Bounded, whatever is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from webapp.store.paging import COUNT_CAP
from webapp.store.tables import counters, deliveries, subscriptions, workers

SUBSCRIPTIONS = 200
WORKER_IS_LOST = timedelta(seconds=20)
WAITING = ("pending", "waiting")

CountKey = tuple[str, str, int]  # subject, measure, bucket


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand now. Counts stop at ``COUNT_CAP + 1``."""

    depth: Mapping[str, int]  # lane -> deliveries that are due
    oldest: Mapping[str, float]  # lane -> seconds that the oldest of them has been due
    running: int
    held: int
    dead: int
    workers: Mapping[tuple[str, str], int]  # (kind, state) -> how many


def sum_counters(conn: Connection, since: int, until: int | None = None) -> dict[CountKey, int]:
    """Counters of the minutes from ``since`` (and before ``until``), summed."""
    c = counters.c
    query = select(c.subject, c.measure, c.bucket, func.sum(c.n).label("n")).where(c.minute >= since)
    if until is not None:
        query = query.where(c.minute < until)
    rows = conn.execute(query.group_by(c.subject, c.measure, c.bucket))
    return {(row.subject, row.measure, row.bucket): int(row.n) for row in rows}


def subscription_names(conn: Connection) -> dict[str, str]:
    """Names by id of the oldest ``SUBSCRIPTIONS`` that are alive; the others are counted together."""
    s = subscriptions.c
    alive = select(s.id, s.name).where(s.deleted_at.is_(None)).order_by(s.id).limit(SUBSCRIPTIONS)
    return {row.id: row.name for row in conn.execute(alive)}


def read_standing(conn: Connection, now: datetime) -> Standing:
    """All of it, each count capped."""
    depth, oldest = {}, {}
    for lane in ("default", "isolated"):
        depth[lane], oldest[lane] = _due(conn, lane, now)
    seen = select(workers.c.kind, workers.c.state, func.count().label("n")).where(
        workers.c.seen_at > now - WORKER_IS_LOST
    )
    rows = conn.execute(seen.group_by(workers.c.kind, workers.c.state))
    return Standing(
        depth=depth,
        oldest=oldest,
        running=_count(conn, "running"),
        held=_count(conn, "held"),
        dead=_count(conn, "dead"),
        workers={(row.kind, row.state): row.n for row in rows},
    )


def _due(conn: Connection, lane: str, now: datetime) -> tuple[int, float]:
    d = deliveries.c
    due = select(d.due_at).where(d.lane == lane, d.state.in_(WAITING), d.due_at <= now).order_by(d.due_at)
    found = due.limit(COUNT_CAP + 1).subquery()
    n, first = conn.execute(select(func.count(), func.min(found.c.due_at))).one()
    return n, 0.0 if first is None else max(0.0, (now - first).total_seconds())


def _count(conn: Connection, state: str) -> int:
    some = select(deliveries.c.id).where(deliveries.c.state == state).limit(COUNT_CAP + 1).subquery()
    return conn.execute(select(func.count()).select_from(some)).scalar_one()
