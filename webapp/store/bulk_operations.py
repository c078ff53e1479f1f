"""Rows of bulk operations. Whoever works on one holds its lease; every change of its state names where it comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from webapp.domain.bulk import ENDED, Standing
from webapp.domain.errors import NotFound
from webapp.store.paging import LIMIT, Page
from webapp.store.tables import bulk_errors, bulk_operations, deliveries

b = bulk_operations.c
MAX_ERRORS = 1_000  # kept of one operation
AT_ONCE = 20  # operations that are worked on side by side


def add(conn: Connection, row: Mapping[str, Any]) -> None:
    """A new operation."""
    conn.execute(insert(bulk_operations), dict(row))


def get(conn: Connection, operation_id: str) -> Row[Any]:
    """The row, or ``NotFound``."""
    row = conn.execute(select(bulk_operations).where(b.id == operation_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no bulk operation {operation_id[:80]!r}.")
    return row


def newest(conn: Connection, before: str = "", limit: int = LIMIT) -> Page[Row[Any]]:
    """Operations older than the cursor, newest first."""
    query = select(bulk_operations).order_by(b.id.desc()).limit(limit + 1)
    rows = conn.execute(query.where(b.id < before) if before else query).all()
    return Page(tuple(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None)


def running(conn: Connection, owner: str, now: datetime) -> Sequence[str]:
    """Operations that ``owner`` may work on now, oldest first."""
    free = or_(b.lease_owner.is_(None), b.lease_owner == owner, b.lease_until < now)
    query = select(b.id).where(b.state == Standing.RUNNING, free)
    return conn.execute(query.order_by(b.id).limit(AT_ONCE)).scalars().all()


def lease(conn: Connection, operation_id: str, owner: str, now: datetime, until: datetime) -> Row[Any] | None:
    """Take or renew the lease; None when somebody else has it, or the operation does not run any more."""
    free = or_(b.lease_owner.is_(None), b.lease_owner == owner, b.lease_until < now)
    return conn.execute(
        update(bulk_operations)
        .where(b.id == operation_id, b.state == Standing.RUNNING, free)
        .values(lease_owner=owner, lease_until=until)
        .returning(bulk_operations)
    ).one_or_none()


def save(conn: Connection, operation_id: str, now: datetime, **values: Any) -> None:
    """Write down what was done, in the transaction that did it under the lease."""
    conn.execute(
        update(bulk_operations).where(b.id == operation_id).values(updated_at=now, v=b.v + 1, **values)
    )  # fmt: skip


def move(
    conn: Connection, operation_id: str, sources: Collection[str], target: str, now: datetime, why: str | None
) -> bool:
    """Compare-and-set of the state; the lease is void from then on."""
    values: dict[str, Any] = {"state": str(target), "state_reason": why, "lease_owner": None, "lease_until": None}
    if target in ENDED:
        values["finished_at"] = now
    changed = conn.execute(
        update(bulk_operations)
        .where(b.id == operation_id, b.state.in_([str(state) for state in sources]))
        .values(updated_at=now, v=b.v + 1, **values)
    )
    return changed.rowcount == 1


def unsettled(conn: Connection, since: datetime, limit: int = AT_ONCE) -> Sequence[Row[Any]]:
    """Operations that ended lately, newest first: their deliveries may still be on their way."""
    query = select(bulk_operations).where(b.state.in_([str(state) for state in ENDED]), b.finished_at > since)
    return conn.execute(query.order_by(b.id.desc()).limit(limit)).all()


def outcomes_of(conn: Connection, operation_id: str) -> dict[str, int]:
    """How many of its deliveries are in each state."""
    d = deliveries.c
    query = select(d.state, func.count().label("n")).where(d.operation_id == operation_id).group_by(d.state)
    return {row.state: row.n for row in conn.execute(query)}


def add_errors(conn: Connection, operation_id: str, faults: Mapping[str, str], now: datetime) -> None:
    """Keep what went wrong, by target; no more than ``MAX_ERRORS`` of one operation."""
    if not faults:
        return
    kept = select(func.count()).select_from(bulk_errors).where(bulk_errors.c.operation_id == operation_id)
    room = MAX_ERRORS - conn.execute(kept).scalar_one()
    rows = [
        {"operation_id": operation_id, "target_id": target, "message": message[:500], "at": now}
        for target, message in list(faults.items())[: max(0, room)]
    ]
    if rows:
        conn.execute(insert(bulk_errors), rows)


def errors_of(conn: Connection, operation_id: str, after: int = 0, limit: int = LIMIT) -> Page[Row[Any]]:
    """What went wrong, in order; the cursor is a ``seq``."""
    e = bulk_errors.c
    query = select(bulk_errors).where(and_(e.operation_id == operation_id, e.seq > after))
    rows = conn.execute(query.order_by(e.seq).limit(limit + 1)).all()
    return Page(tuple(rows[:limit]), str(rows[limit - 1].seq) if len(rows) > limit else None)
