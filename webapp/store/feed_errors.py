"""Read models of the errors page: failed attempts newest first, and the same grouped by what failed where.

Both look at a bounded window of the newest failed attempts (the partial index ``ix_attempts_errors``), so
a flood of errors cannot make the page that explains it slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Subquery, case, distinct, func, select

from webapp.domain.ids import first_id_at
from webapp.store import tables as t
from webapp.store.feed_deliveries import STACK_CHARS, TEXT_CHARS, tries_of
from webapp.store.paging import LIMIT, NEWER_CAP, SCAN, Page

GROUP_SCAN = 5_000
GROUPS = 20


@dataclass(frozen=True, slots=True)
class ErrorFilter:
    """What to list; empty text and ``None`` mean: any."""

    error_type: str = ""
    subscription_id: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One failed try and what became of its delivery."""

    id: str
    n: int
    delivery_id: str
    event_uid: str
    event_type: str
    subscription_id: str
    subscription_name: str
    handler: str
    outcome: str
    error_type: str
    error_message: str
    stack: str | None
    worker: str
    finished_at: datetime
    run_s: float
    state: str
    reason: str | None
    due_at: datetime
    tries_used: int
    max_attempts: int | None


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """The failures of one type at one subscription."""

    error_type: str
    subscription_id: str
    subscription_name: str
    message: str  # of the newest
    tries: int
    deliveries: int
    dead: int
    first_at: datetime
    last_at: datetime


def list_errors(conn: Connection, wanted: ErrorFilter, *, before: str = "", limit: int = LIMIT) -> Page[ErrorRow]:
    """Failed attempts older than the cursor, newest first, out of the next ``SCAN`` of them."""
    is_narrow = bool(wanted.error_type or wanted.subscription_id)
    window = _window(wanted, before, SCAN if is_narrow else limit + 1)
    query = _filtered(_rows(window), wanted).order_by(window.c.id.desc()).limit(limit + 1)
    rows = conn.execute(query).all()
    shown = tuple(_error(row) for row in rows[:limit])
    if len(rows) > limit:
        return Page(shown, shown[-1].id)
    if not is_narrow:
        return Page(shown)
    seen, last = conn.execute(select(func.count(), func.min(window.c.id))).one()
    return Page(shown, last if seen == SCAN else None, scanned_out=seen == SCAN)


def group_errors(conn: Connection, since: datetime | None) -> tuple[ErrorGroup, ...]:
    """The newest failures by (type, subscription), most frequent first."""
    a, d, s = t.attempts.c, t.deliveries.c, t.subscriptions.c
    window = _window(ErrorFilter(since=since), "", GROUP_SCAN)
    grouped = (
        select(
            a.error_type,
            a.subscription_id,
            func.count().label("tries"),
            func.count(distinct(a.delivery_id)).label("deliveries"),
            func.count(distinct(case((d.state == "dead", d.id)))).label("dead"),
            func.min(a.finished_at).label("first_at"),
            func.max(a.finished_at).label("last_at"),
            func.max(a.id).label("newest"),
        )
        .join_from(window, t.attempts, a.id == window.c.id)
        .join(t.deliveries, d.id == a.delivery_id)
        .group_by(a.error_type, a.subscription_id)
        .subquery()
    )
    newest = t.attempts.alias()
    query = (
        select(grouped, s.name, func.substr(newest.c.error_message, 1, TEXT_CHARS).label("message"))
        .join_from(grouped, newest, newest.c.id == grouped.c.newest)
        .join(t.subscriptions, s.id == grouped.c.subscription_id)
        .order_by(grouped.c.tries.desc(), grouped.c.newest.desc())
        .limit(GROUPS)
    )
    return tuple(
        ErrorGroup(
            error_type=row.error_type,
            subscription_id=row.subscription_id,
            subscription_name=row.name,
            message=row.message or "",
            tries=row.tries,
            deliveries=row.deliveries,
            dead=row.dead,
            first_at=row.first_at,
            last_at=row.last_at,
        )
        for row in conn.execute(query)
    )


def count_newer(conn: Connection, wanted: ErrorFilter, newest: str) -> int:
    """How many failed after that one; stops at ``NEWER_CAP + 1``."""
    a = t.attempts.c
    newer = _filtered(select(a.id), wanted).where(a.error_type.is_not(None), a.id > newest)
    limited = newer.limit(NEWER_CAP + 1).subquery()
    return conn.execute(select(func.count()).select_from(limited)).scalar_one() if newest else 0


def _window(wanted: ErrorFilter, before: str, size: int) -> Subquery:
    a = t.attempts.c
    query = select(a.id).where(a.error_type.is_not(None))
    if wanted.since is not None:
        query = query.where(a.id >= first_id_at("att", int(wanted.since.timestamp() * 1000)))
    if before:
        query = query.where(a.id < before)
    return query.order_by(a.id.desc()).limit(size).subquery()


def _rows(window: Subquery) -> Select[Any]:
    a, d, e, s = t.attempts.c, t.deliveries.c, t.events.c, t.subscriptions.c
    return (
        select(
            a.id, a.n, a.delivery_id, a.event_uid, a.subscription_id, a.outcome, a.error_type, a.worker,
            a.started_at, a.finished_at,
            func.substr(a.error_message, 1, TEXT_CHARS).label("error_message"),
            func.substr(a.stack, 1, STACK_CHARS).label("stack"),
            d.handler, d.state, d.reason, d.due_at, d.tries_used,
            e.type.label("event_type"), s.name.label("subscription_name"), s.retry,
        )
        .join_from(window, t.attempts, a.id == window.c.id)
        .join(t.deliveries, d.id == a.delivery_id)
        .join(t.events, e.uid == a.event_uid)
        .join(t.subscriptions, s.id == a.subscription_id)
    )  # fmt: skip


def _filtered(query: Select[Any], wanted: ErrorFilter) -> Select[Any]:
    a = t.attempts.c
    if wanted.error_type:
        query = query.where(a.error_type == wanted.error_type)
    if wanted.subscription_id:
        query = query.where(a.subscription_id == wanted.subscription_id)
    return query


def _error(row: Row[Any]) -> ErrorRow:
    return ErrorRow(
        id=row.id,
        n=row.n,
        delivery_id=row.delivery_id,
        event_uid=row.event_uid,
        event_type=row.event_type,
        subscription_id=row.subscription_id,
        subscription_name=row.subscription_name,
        handler=row.handler,
        outcome=row.outcome,
        error_type=row.error_type,
        error_message=row.error_message or "",
        stack=row.stack,
        worker=row.worker,
        finished_at=row.finished_at,
        run_s=max(0.0, (row.finished_at - row.started_at).total_seconds()),
        state=row.state,
        reason=row.reason,
        due_at=row.due_at,
        tries_used=row.tries_used,
        max_attempts=tries_of(row.retry),
    )
