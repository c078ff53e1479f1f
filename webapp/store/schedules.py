"""Cron schedules: kept, listed by name, found when they are due, moved on by compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from webapp.domain.errors import NotFound
from webapp.store import revisions
from webapp.store.paging import walk_by_name
from webapp.store.tables import schedules


def get_schedule(conn: Connection, schedule_id: str) -> Row[Any]:
    """A schedule that is not deleted, or ``NotFound``."""
    found = select(schedules).where(schedules.c.id == schedule_id, schedules.c.deleted_at.is_(None))
    row = conn.execute(found).one_or_none()
    if row is None:
        raise NotFound(f"There is no schedule {schedule_id[:80]!r}.")
    return row


def list_schedules(conn: Connection, after: str, limit: int) -> tuple[Sequence[Row[Any]], str | None]:
    """Those that are not deleted, by name, and the cursor of the next page."""
    query = select(schedules).where(schedules.c.deleted_at.is_(None))
    return walk_by_name(conn, query, schedules, after, limit)


def add_schedule(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert."""
    conn.execute(schedules.insert(), dict(row))


def change_schedule(conn: Connection, schedule_id: str, *, revision: int | None, at: datetime, **values: Any) -> None:
    """Compare-and-set on the revision (when one is given). Raises ``Conflict`` when somebody was faster."""
    revisions.change(conn, schedules, schedule_id, noun="schedule", revision=revision, at=at, **values)


def due_schedules(conn: Connection, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """Those whose next tick has come, the longest overdue first."""
    s = schedules.c
    due = select(schedules).where(s.next_at <= now, s.paused_at.is_(None), s.deleted_at.is_(None))
    return conn.execute(due.order_by(s.next_at).limit(limit)).all()


def move_on(conn: Connection, row: Row[Any], *, next_at: datetime | None, last_at: datetime, uid: str | None) -> bool:
    """From the tick that ``row`` stood at to the next; False when another beat or a person was faster."""
    s = schedules.c
    ticked = {"last_at": last_at, "last_event_uid": uid} if uid is not None else {}
    moved = conn.execute(
        update(schedules)
        .where(s.id == row.id, s.next_at == row.next_at, s.revision == row.revision)
        .values(next_at=next_at, **ticked)
    )
    return moved.rowcount == 1


def note_run(conn: Connection, schedule_id: str, at: datetime, uid: str) -> None:
    """Remember the event that a person asked for."""
    conn.execute(update(schedules).where(schedules.c.id == schedule_id).values(last_at=at, last_event_uid=uid))
