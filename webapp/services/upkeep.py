"""What keeps the hub going whatever fails: ring for due work, take back lost work, drop what is outdated.

Every step is a compare-and-set, so any number of beats may run it at the same time.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from webapp.domain.access import SYSTEM
from webapp.domain.instants import iso
from webapp.live import EventChanged, WorkerChanged
from webapp.runtime import Runtime
from webapp.services.notify import notify
from webapp.store import audit, outcomes
from webapp.store.deliveries import due_lanes
from webapp.store.intake import any_outdated
from webapp.store.intake import expire as expire_deliveries
from webapp.store.retention import drop_outdated, drop_silent_workers

log = logging.getLogger(__name__)

RESCUE_LIMIT = 500
EXPIRE_LIMIT = 1000
WORKER_SILENT = timedelta(seconds=15)  # no heartbeat for this long: the worker is lost


def ring_due(rt: Runtime) -> None:
    """Ring for every lane that has work due. Redis may have forgotten; the rows have not."""
    with rt.db.read() as conn:
        lanes = due_lanes(conn, rt.clock())
    for lane in lanes:
        rt.queue.ring(lane)


def rescue(rt: Runtime) -> int:
    """Take back deliveries whose lease ran out, audited as the system's doing; answers how many."""
    with rt.db.read() as conn:  # a look without a write lock: nearly always there is nothing
        if not outcomes.any_expired(conn, rt.clock()):
            return 0
    now = rt.clock()
    with rt.db.write() as conn:
        rescued = outcomes.rescue(conn, now=now, limit=RESCUE_LIMIT, delay=_rescue_delay, new_id=rt.new_id)
        audit.add_many(conn, [_rescued(rt, row) for row in rescued])
    for row in rescued:
        log.warning(
            "lease of %s ran out, taken back from %s", row.id, row.lease_owner,
            extra={"action": "lease_rescued", "delivery_id": row.id, "event_uid": row.event_uid},
        )  # fmt: skip
    rt.live.tell(*(EventChanged(row.event_uid, "") for row in rescued))
    return len(rescued)


def expire(rt: Runtime) -> int:
    """Deliveries that were not started in time are dead, audited as the system's doing; answers how many."""
    with rt.db.read() as conn:
        if not any_outdated(conn, rt.clock()):
            return 0
    now = rt.clock()
    with rt.db.write() as conn:
        ended = expire_deliveries(conn, now=now, limit=EXPIRE_LIMIT)
        audit.add_many(conn, [_expired(rt, row) for row in ended])
    rt.live.tell(*{row.event_uid: EventChanged(row.event_uid, "") for row in ended}.values())
    return len(ended)


def prune(rt: Runtime) -> None:
    """Drop ended sessions, used links and old counters; report workers that fell silent."""
    now = rt.clock()
    with rt.db.write() as conn:
        drop_outdated(conn, now)
        lost = drop_silent_workers(conn, now - WORKER_SILENT)
        audit.add_many(conn, [_worker_lost(rt, name) for name in lost])
    for name in lost:
        log.warning("worker %s is lost", name, extra={"action": "worker_lost"})
        body = "It sent no heartbeat for 15 s. Its work was taken back."
        title = f"Worker {name} is lost"
        notify(rt, "warning", title, body, kind="worker_lost", link="/workers", dedupe_key="worker-lost")
    rt.live.tell(*(WorkerChanged(name, "lost") for name in lost))


def _rescue_delay(crashes: int) -> timedelta:
    """The first crash may have been the worker's own fault: at once. Then 5 s, 10 s."""
    return timedelta(seconds=0 if crashes <= 1 else 5 * 2 ** (crashes - 2))


def _rescued(rt: Runtime, row: Any) -> dict[str, Any]:
    details = {"event": row.event_uid, "attempt": row.attempt, "worker": row.lease_owner}
    return audit.entry(
        id=rt.new_id("aud"), at=rt.clock(), actor=SYSTEM,
        action="delivery.rescued" if row.cancel_requested_at is None else "delivery.cancelled",
        target_kind="delivery", target_id=row.id, details=details,
    )  # fmt: skip


def _expired(rt: Runtime, row: Any) -> dict[str, Any]:
    details = {"event": row.event_uid, "due_at": iso(row.due_at), "expires_at": iso(row.expires_at)}
    return audit.entry(
        id=rt.new_id("aud"), at=rt.clock(), actor=SYSTEM, action="delivery.expired",
        target_kind="delivery", target_id=row.id, details=details,
    )  # fmt: skip


def _worker_lost(rt: Runtime, name: str) -> dict[str, Any]:
    return audit.entry(
        id=rt.new_id("aud"), at=rt.clock(), actor=SYSTEM, action="worker.lost",
        target_kind="worker", target_id=name, target_name=name,
    )  # fmt: skip
