"""Gauges by the minute: how long the oldest due delivery waits, how many are due, how many workers there are.

They lie among the counters, where they are pruned and read like these. Any number of beats may note them: of what
is due a minute keeps the most, of the workers the fewest, so that a short trouble is not overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select

from webapp.store.bulk import insert_rows
from webapp.store.counters import minute_of
from webapp.store.feed_events import WORKER_IS_LOST
from webapp.store.feed_workers import KIND_OF_LANE, LANES, read_lane
from webapp.store.tables_hub import counters, workers

MOST = ("oldest", "due")  # milliseconds; deliveries (capped)
FEWEST = ("workers",)
GAUGES = MOST + FEWEST
WORSE = f"""ON CONFLICT (minute, subject, measure, bucket) DO UPDATE SET n = CASE
    WHEN (counters.n > excluded.n) = (counters.measure <> '{FEWEST[0]}') THEN counters.n ELSE excluded.n END"""


def read_gauges(conn: Connection, now: datetime) -> Mapping[str, int]:
    """How things stand."""
    lanes = [read_lane(conn, lane, 0, now) for lane in LANES]
    ages = [now - lane.oldest_due_at for lane in lanes if lane.oldest_due_at is not None]
    alive = select(func.count()).where(
        workers.c.seen_at >= now - WORKER_IS_LOST, workers.c.kind.in_(tuple(KIND_OF_LANE.values()))
    )
    return {
        "oldest": int(max((age.total_seconds() for age in ages), default=0) * 1000),
        "due": sum(lane.due for lane in lanes),
        "workers": conn.execute(alive).scalar_one(),
    }


def save_gauges(conn: Connection, now: datetime, gauges: Mapping[str, int]) -> None:
    """Into the minute of now."""
    minute = minute_of(now)
    rows = [
        {"minute": minute, "subject": "", "measure": name, "bucket": 0, "n": gauges[name]} for name in sorted(gauges)
    ]
    insert_rows(conn, counters, rows, WORSE)
