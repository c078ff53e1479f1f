"""A flood of one subscription and a trickle of another: how long the trickle waits for a worker to take it.

The worker is as busy as it can be with the flood, which was there first. Beside it one delivery of the other
subscription arrives every ``APART_S``; its waiting is from being due to being started, as recorded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import select

from bench import engine
from webapp.runtime import Runtime
from webapp.store import tables as t

FLOOD = 50_000
APART_S = 0.05


@dataclass(frozen=True)
class Waited:
    """Milliseconds that the trickle waited, in order, and how many of the flood were left when it ended."""

    trickle: list[float]
    flood_left: int

    def quantile(self, share: float) -> float:
        """Of the trickle's waiting times."""
        return self.trickle[min(len(self.trickle) - 1, int(share * len(self.trickle)))]


def measure(database_url: str, flood: int = FLOOD, seconds: float = 3.0) -> Waited:
    """One worker, one flood, and a trickle for that long."""
    with engine.hub(database_url) as rt:
        engine.seed(rt, flood)
        trickle = engine.subscription(rt)
        with engine.worker(rt):
            rt.queue.ring("default")
            return _measure(rt, trickle, seconds)


def _measure(rt: Runtime, trickle: str, seconds: float) -> Waited:
    ids = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ids.append(_arrive(rt, trickle))
        time.sleep(APART_S)
    left = _open_of_others(rt, trickle)
    while _open(rt, trickle):
        rt.queue.ring("default")
        time.sleep(0.05)
    a = t.attempts.c
    with rt.db.read() as conn:
        rows = conn.execute(select(a.due_at, a.started_at).where(a.subscription_id == trickle)).all()
    waited = sorted((row.started_at - row.due_at).total_seconds() * 1000 for row in rows)
    assert len(waited) == len(ids)
    return Waited(waited, left)


def _arrive(rt: Runtime, subscription: str) -> str:
    now, uid, id = rt.clock(), rt.new_id("evt"), rt.new_id("dlv")
    with rt.db.write() as conn:
        conn.execute(t.events.insert(), engine.event_row(uid, now))
        conn.execute(t.deliveries.insert(), engine.delivery_row(id, uid, subscription, "bench.noop", now))
    rt.queue.ring("default")
    return id


def _open(rt: Runtime, subscription: str) -> bool:
    d = t.deliveries.c
    waiting = select(d.id).where(d.subscription_id == subscription, d.state.in_(("pending", "running", "waiting")))
    with rt.db.read() as conn:
        return conn.execute(waiting.limit(1)).first() is not None


def _open_of_others(rt: Runtime, subscription: str) -> int:
    d = t.deliveries.c
    waiting = select(d.id).where(d.subscription_id != subscription, d.state == "pending").limit(FLOOD)
    with rt.db.read() as conn:
        return len(conn.execute(waiting).all())
