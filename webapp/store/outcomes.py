"""Recording how attempts ended: delivery, attempt, event counts and counters in one go, behind one fence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from webapp.domain.access import SYSTEM
from webapp.domain.histogram import bucket_of
from webapp.domain.lifecycle import CancelEnd
from webapp.store import cancels, states
from webapp.store import deliveries as rows_of
from webapp.store.bulk import insert_rows
from webapp.store.counters import Key, minute_of, raise_counts
from webapp.store.deliveries import Finished
from webapp.store.engine import within
from webapp.store.events import Shift, shift_counts
from webapp.store.flow import hold_blocked
from webapp.store.tables import attempts, deliveries, log_lines

MAX_CRASHES = 3  # a delivery that took its worker down this often is not tried again
COUNTED = {"succeeded": "succeeded", "dead": "dead", "skipped": "skipped", "waiting": "failed"}
NewId = Callable[[str], str]


def finish(conn: Connection, rows: Sequence[Finished], *, owner: str, new_id: NewId) -> set[str]:
    """Record finished attempts; answers the delivery ids that were recorded. The others were no longer ours."""
    rows = states.write(conn, cancels.honour(conn, rows), owner)
    ours = rows_of.settle_rows(conn, rows, owner)
    if not ours:
        return set()
    waiting = [row.claimed.id for row in ours if row.settlement.due_at is not None]
    hold_blocked(conn, waiting)
    shift_counts(conn, _shifts(ours))
    of_deleted = rows_of.of_deleted_subscriptions(conn, waiting)
    cancels.cancel_open(conn, of_deleted, at=max(row.finished_at for row in ours), by=SYSTEM.name)
    insert_rows(conn, attempts, [_attempt(row, owner, new_id) for row in ours])
    raise_counts(conn, _counts(ours))
    return {row.claimed.id for row in ours}


def _shifts(rows: Sequence[Finished]) -> dict[str, Shift]:
    """Change of (open, succeeded, failed) of each event."""
    shifts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        state = str(row.settlement.state)
        if row.settlement.due_at is None:
            shift = shifts[row.claimed.event_uid]
            shift[0] -= 1
            shift[1] += state == "succeeded"
            shift[2] += state in ("dead", "cancelled")
    return {uid: (opened, won, lost) for uid, (opened, won, lost) in shifts.items()}


def _attempt(row: Finished, owner: str, new_id: NewId) -> dict[str, Any]:
    claimed = row.claimed
    return {
        "id": new_id("att"),
        "delivery_id": claimed.id,
        "n": claimed.attempt,
        "event_uid": claimed.event_uid,
        "subscription_id": claimed.subscription_id,
        "worker": owner[:128],
        "due_at": claimed.due_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "outcome": row.settlement.outcome,
        "error_type": row.error_type,
        "error_message": row.error_message,
        "stack": row.stack,
        "result": row.result,
        "next_due_at": row.settlement.due_at,
    }


def _counts(rows: Sequence[Finished]) -> Counter[Key]:
    counts: Counter[Key] = Counter()
    for row in rows:
        minute, subject = minute_of(row.finished_at), row.claimed.subscription_id
        wait = max(0.0, (row.started_at - row.claimed.due_at).total_seconds())
        run = max(0.0, (row.finished_at - row.started_at).total_seconds())
        counts[minute, subject, "wait", bucket_of(wait)] += 1
        counts[minute, subject, "run", bucket_of(run)] += 1
        measure = COUNTED.get(str(row.settlement.state))
        if measure and (row.settlement.counts or row.settlement.due_at is None):
            counts[minute, subject, measure, 0] += 1
    return counts


def release(conn: Connection, ids: Sequence[str], *, owner: str, at: datetime, new_id: NewId) -> set[str]:
    """Give running deliveries back undone (a worker stops): due at once, and the try does not count."""
    ours = conn.execute(
        select(deliveries).where(
            rows_of.IS_RUNNING, deliveries.c.lease_owner == owner, within(conn, deliveries.c.id, list(ids))
        )
    ).all()
    unasked = [row for row in ours if row.cancel_requested_at is None]
    given = [row for row in unasked if _hand_back(conn, row, state="pending", due_at=at)]
    _write_lost_attempts(conn, given, at, new_id, "interrupted", None, None)
    given += _stop_asked(conn, ours, CancelEnd.KILLED, at, new_id)  # its handler ends with its process
    hold_blocked(conn, [row.id for row in given])
    return {row.id for row in given}


def _stop_asked(conn: Connection, rows: Sequence[Any], how: CancelEnd, at: datetime, new_id: NewId) -> list[Any]:
    """Those of these running rows whose cancellation was asked for are cancelled; answers them."""
    asked = [row for row in rows if row.cancel_requested_at is not None]
    values = {"state": "cancelled", "reason": str(how), "finished_at": at}
    stopped = [row for row in asked if _hand_back(conn, row, **values)]
    for row in stopped:
        shift_counts(conn, {row.event_uid: (-1, 0, 1)})
    _write_lost_attempts(conn, stopped, at, new_id, "cancelled", None, None)
    return stopped


def rescue(
    conn: Connection, *, now: datetime, limit: int, delay: Callable[[int], timedelta], new_id: NewId
) -> list[Any]:
    """Take back deliveries whose worker fell silent; answers their rows as they were.

    From now on they run one by one in a forked process, so that the one that kills its worker takes no
    other down; after ``MAX_CRASHES`` it is dead (``lost``). ``delay`` gives the wait by number of crashes.
    One whose cancellation was asked for is cancelled.
    """
    expired = rows_of.expired(conn, now=now, limit=limit)
    rescued = _stop_asked(conn, expired, CancelEnd.LOST, now, new_id)
    lapsed = [row for row in expired if row.cancel_requested_at is None]
    policies = rows_of.policies(conn, {row.subscription_id for row in lapsed})
    for row in lapsed:
        crashes = row.crashes + 1
        tries = policies[row.subscription_id].max_attempts
        lost = crashes >= MAX_CRASHES or row.tries_used + 1 >= tries
        values = {"crashes": crashes, "tries_used": row.tries_used + 1, "lane": "isolated"}
        values |= {
            "error_type": "WorkerLost",
            "error_message": f"Worker {row.lease_owner} fell silent in attempt {row.attempt}",
        }
        if lost:
            values |= {"state": "dead", "reason": "lost", "finished_at": now}
        else:
            values |= {"state": "waiting", "due_at": now + delay(crashes), "gated": rows_of.GATED_AGAIN}
        if _hand_back(conn, row, **values):
            rescued.append(row)
            shift_counts(conn, {row.event_uid: (-1, 0, 1)} if lost else {})
            raise_counts(conn, Counter({(minute_of(now), row.subscription_id, "dead" if lost else "failed", 0): 1}))
            _write_lost_attempts(conn, [row], now, new_id, "crashed", values["error_type"], values["error_message"])
    hold_blocked(conn, [row.id for row in rescued])
    return rescued


def _hand_back(conn: Connection, row: Any, **values: Any) -> bool:
    changed = conn.execute(
        update(deliveries)
        .where(
            deliveries.c.id == row.id,
            rows_of.IS_RUNNING,
            deliveries.c.attempt == row.attempt,
            deliveries.c.lease_owner == row.lease_owner,
            deliveries.c.lease_until == row.lease_until,  # lost against a renewal that came in between
        )
        .values(lease_owner=None, lease_until=None, v=deliveries.c.v + 1, **values)
    )
    return changed.rowcount == 1


def _write_lost_attempts(
    conn: Connection,
    rows: Sequence[Any],
    at: datetime,
    new_id: NewId,
    outcome: str,
    error_type: str | None,
    message: str | None,
) -> None:
    if rows:
        conn.execute(attempts.insert(), [_lost(row, at, new_id, outcome, error_type, message) for row in rows])


def _lost(
    row: Any, at: datetime, new_id: NewId, outcome: str, error_type: str | None, message: str | None
) -> dict[str, Any]:
    return {
        "id": new_id("att"),
        "delivery_id": row.id,
        "n": row.attempt,
        "event_uid": row.event_uid,
        "subscription_id": row.subscription_id,
        "worker": (row.lease_owner or "")[:128],
        "due_at": row.due_at,
        "started_at": row.started_at,
        "finished_at": at,
        "outcome": outcome,
        "error_type": error_type,
        "error_message": message,
        "stack": None,
        "result": None,
        "next_due_at": None,
    }


def save_progress(conn: Connection, rows: Sequence[Mapping[str, Any]], *, owner: str) -> None:
    """Keep the last progress of running deliveries: rows of ``id, attempt, done, total, message``."""
    for row in rows:
        conn.execute(
            update(deliveries)
            .where(
                deliveries.c.id == row["id"],
                rows_of.IS_RUNNING,
                deliveries.c.attempt == row["attempt"],
                deliveries.c.lease_owner == owner,
            )
            .values(
                progress_done=row["done"],
                progress_total=row["total"],
                progress_message=row["message"],
                v=deliveries.c.v + 1,
            )
        )


def add_log_lines(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append log lines: rows of ``delivery_id, attempt, at, level, text``."""
    if rows:
        conn.execute(log_lines.insert(), [dict(row) for row in rows])


def any_expired(conn: Connection, now: datetime) -> bool:
    """Whether a lease ran out."""
    lapsed = select(deliveries.c.id).where(rows_of.IS_RUNNING, deliveries.c.lease_until < now)
    return conn.execute(lapsed.limit(1)).first() is not None
