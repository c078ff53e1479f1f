"""Who works, on what, and what waits for whom: workers, the deliveries they hold, the depth of each lane.

Depths stop at a cap, and the lane queries repeat the predicate of ``ix_deliveries_due`` literally: SQLite
uses a partial index only when it can prove, without looking at parameters, that it fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from webapp.store import tables as t
from webapp.store.feed_events import WORKER_IS_LOST
from webapp.store.paging import COUNT_CAP

WORKERS_SHOWN = 200
RUNNING_SHOWN = 500
LANES = ("default", "isolated")
KIND_OF_LANE = {"default": "shared", "isolated": "isolated"}
OPEN_STATES = text("deliveries.state IN ('pending', 'waiting')")


@dataclass(frozen=True, slots=True)
class RunningRow:
    """A delivery that a worker holds right now."""

    delivery_id: str
    event_uid: str
    event_type: str
    subscription_name: str
    handler: str
    attempt: int
    started_at: datetime | None
    lease_owner: str
    progress_done: float | None
    progress_total: float | None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker process as its last heartbeat described it."""

    name: str
    kind: str
    host: str
    pid: int
    state: str  # idle busy stopping, or lost
    running: int
    finished: int
    started_at: datetime
    seen_at: datetime
    work: tuple[RunningRow, ...] = ()


@dataclass(frozen=True, slots=True)
class LaneRow:
    """What is due in a lane and who is there to do it."""

    lane: str
    due: int  # stops at COUNT_CAP + 1
    oldest_due_at: datetime | None
    workers: int

    @property
    def is_stuck(self) -> bool:
        """Whether work waits and nobody is there."""
        return self.due > 0 and self.workers == 0


def list_workers(conn: Connection, now: datetime) -> tuple[WorkerRow, ...]:
    """Every worker that is known, the live ones first, each with what it runs."""
    w = t.workers.c
    rows = conn.execute(select(t.workers).order_by(w.seen_at.desc()).limit(WORKERS_SHOWN)).all()
    work = _running(conn)
    found = [
        WorkerRow(
            name=row.name,
            kind=row.kind,
            host=row.host,
            pid=row.pid,
            state="lost" if now - row.seen_at > WORKER_IS_LOST else row.state,
            running=row.running,
            finished=row.finished,
            started_at=row.started_at,
            seen_at=row.seen_at,
            work=tuple(r for r in work if _holds(row.name, r.lease_owner)),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda worker: (worker.state == "lost", worker.kind, worker.name)))


def list_lanes(conn: Connection, workers: tuple[WorkerRow, ...], now: datetime) -> tuple[LaneRow, ...]:
    """Depth and oldest due row of each lane, and the live workers that serve it."""
    live = [worker.kind for worker in workers if worker.state != "lost"]
    return tuple(read_lane(conn, lane, live.count(KIND_OF_LANE[lane]), now) for lane in LANES)


def read_lane(conn: Connection, lane: str, workers: int, now: datetime) -> LaneRow:
    """Depth and oldest due row of one lane."""
    d = t.deliveries.c
    due = select(d.due_at).where(d.lane == lane, d.due_at <= now, OPEN_STATES)
    oldest = conn.execute(due.order_by(d.due_at, d.id).limit(1)).scalar_one_or_none()
    depth = 0
    if oldest is not None:
        counted = due.limit(COUNT_CAP + 1).subquery()
        depth = conn.execute(select(func.count()).select_from(counted)).scalar_one()
    return LaneRow(lane, depth, oldest, workers)


def _holds(name: str, owner: str) -> bool:
    """A lease owner is the name of the worker, alone or followed by a token of this run."""
    return owner == name or owner.startswith((f"{name}#", f"{name}:", f"{name}/"))


def _running(conn: Connection) -> list[RunningRow]:
    d, e, s = t.deliveries.c, t.events.c, t.subscriptions.c
    query = (
        select(
            d.id, d.event_uid, e.type, s.name, d.handler, d.attempt, d.started_at, d.lease_owner,
            d.progress_done, d.progress_total,
        )
        .join_from(t.deliveries, t.events, e.uid == d.event_uid)
        .join(t.subscriptions, s.id == d.subscription_id)
        .where(d.state == "running")
        .order_by(d.id)
        .limit(RUNNING_SHOWN)
    )  # fmt: skip
    return [_running_row(row) for row in conn.execute(query)]


def _running_row(row: Any) -> RunningRow:
    return RunningRow(
        delivery_id=row.id,
        event_uid=row.event_uid,
        event_type=row.type,
        subscription_name=row.name,
        handler=row.handler,
        attempt=row.attempt,
        started_at=row.started_at,
        lease_owner=row.lease_owner or "",
        progress_done=row.progress_done,
        progress_total=row.progress_total,
    )
