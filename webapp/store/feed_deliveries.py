"""Read models of the delivery pages: a filtered list, one delivery with its attempts and log, counts by state.

Reads only, newest first by keyset, each query carried by an index of ``tables.deliveries``. Payloads
are never loaded for a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, literal, select, union_all

from webapp.domain.ids import first_id_at
from webapp.domain.lifecycle import cancel_end
from webapp.domain.policies import MAX_BATCH
from webapp.store import needs
from webapp.store import tables as t
from webapp.store.engine import within
from webapp.store.paging import LIMIT, NEWER_CAP, Page, page_of

ATTEMPTS_SHOWN = 100
STATES_CAP = 1_000
STATES_SCAN = 5_000
STACK_CHARS = 20_000
TEXT_CHARS = 2_000
RESULT_CHARS = 8_000
ACTION = "action"  # no state: dead, and it is for people to do something about it (see ``needs``)
COUNTED = (ACTION, "running", "waiting", "held", "pending", "dead")  # worth a number beside their name


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """What to list; empty text and ``None`` mean: any."""

    state: str = ""
    subscription_id: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery with the names of what it joins."""

    id: str
    event_uid: str
    event_type: str
    event_source: str
    event_subject: str | None
    subscription_id: str
    subscription_name: str
    subscription_deleted: bool
    handler: str
    lane: str
    state: str
    reason: str | None
    attempt: int
    tries_used: int
    max_attempts: int | None
    crashes: int
    due_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    error_type: str | None
    error_message: str | None
    progress_done: float | None
    progress_total: float | None
    progress_message: str | None
    rerun: int  # 0, or the number of the re-run
    rerun_of: str | None
    cancel_requested_at: datetime | None
    cancel_requested_by: str | None
    dismissed_at: datetime | None
    dismissed_by: str | None
    expires_at: datetime | None
    superseded_by: str | None  # what was kept instead: of a duplicate the first, of a debounced one the last
    batch_id: str | None
    pause_reason: str | None
    timeout_ms: int
    v: int

    @property
    def cancel_end(self) -> str | None:
        """How its cancellation ended, if there was one and it has."""
        return cancel_end(self.state, self.reason, self.cancel_requested_at is not None)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One finished try."""

    id: str
    n: int
    worker: str
    due_at: datetime
    started_at: datetime
    finished_at: datetime
    outcome: str
    error_type: str | None
    error_message: str | None
    stack: str | None
    result: str | None
    next_due_at: datetime | None

    @property
    def wait_s(self) -> float:
        """From being due to being started."""
        return max(0.0, (self.started_at - self.due_at).total_seconds())

    @property
    def run_s(self) -> float:
        """From start to end."""
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Mate:
    """A delivery of a batch."""

    id: str
    event_uid: str
    event_type: str
    event_subject: str | None
    state: str
    has_log: bool  # progress and log lines of the batch are with it


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """Everything that the page of one delivery shows."""

    delivery: DeliveryRow
    attempts: tuple[AttemptRow, ...]  # oldest first
    reruns: tuple[tuple[str, str], ...]  # later re-runs of the same pair: (id, state)
    batch: tuple[Mate, ...] = ()  # all of its batch, oldest first


def list_deliveries(
    conn: Connection, wanted: DeliveryFilter, *, before: str = "", limit: int = LIMIT
) -> Page[DeliveryRow]:
    """Deliveries older than the cursor, newest first."""
    d = t.deliveries.c
    query = _filtered(_rows(), wanted)
    if before:
        query = query.where(d.id < before)
    return page_of(conn.execute(query.order_by(d.id.desc()).limit(limit + 1)).all(), limit, _delivery)


def count_newer(conn: Connection, wanted: DeliveryFilter, newest: str) -> int:
    """How many came after that one; stops at ``NEWER_CAP + 1``."""
    d = t.deliveries.c
    newer = _filtered(select(d.id), wanted).where(d.id > newest).limit(NEWER_CAP + 1).subquery()
    return conn.execute(select(func.count()).select_from(newer)).scalar_one() if newest else 0


def _filtered(query: Select[Any], wanted: DeliveryFilter) -> Select[Any]:
    d = t.deliveries.c
    if wanted.state:
        query = query.where(d.state == wanted.state)
    if wanted.subscription_id:
        query = query.where(d.subscription_id == wanted.subscription_id)
    if wanted.since is not None:
        query = query.where(d.id >= first_id_at("dlv", int(wanted.since.timestamp() * 1000)))
    return query


def find_delivery(conn: Connection, delivery_id: str) -> DeliveryRow | None:
    """One delivery, or ``None``."""
    row = conn.execute(_rows().where(t.deliveries.c.id == delivery_id)).first()
    return None if row is None else _delivery(row)


def rows_by_id(conn: Connection, ids: Sequence[str]) -> tuple[DeliveryRow, ...]:
    """These deliveries, newest first."""
    if not ids:
        return ()
    query = _rows().where(within(conn, t.deliveries.c.id, list(ids))).order_by(t.deliveries.c.id.desc())
    return tuple(_delivery(row) for row in conn.execute(query))


def deliveries_of_event(conn: Connection, event_uid: str, limit: int = LIMIT) -> tuple[DeliveryRow, ...]:
    """The deliveries of one event, oldest first."""
    d = t.deliveries.c
    query = _rows().where(d.event_uid == event_uid).order_by(d.id).limit(limit)
    return tuple(_delivery(row) for row in conn.execute(query))


def find_view(conn: Connection, delivery_id: str) -> DeliveryView | None:
    """One delivery with its newest attempts and its re-runs, or ``None``."""
    delivery = find_delivery(conn, delivery_id)
    if delivery is None:
        return None
    return DeliveryView(
        delivery, _attempts(conn, delivery_id), _reruns(conn, delivery), _batch(conn, delivery.batch_id)
    )


def count_states(conn: Connection, subscription_id: str = "", *, needing: int | None = None) -> dict[str, int]:
    """How many deliveries are in each state of ``COUNTED``; each count stops at ``STATES_CAP + 1``.

    Of one subscription, only its newest ``STATES_SCAN`` are looked at: no index leads to subscription and state.
    ``needing``: how many need action, of all, when that is known already.
    """
    if subscription_id:
        return _count_of_one(conn, subscription_id)
    needing = needs.count_needing(conn, STATES_CAP) if needing is None else min(needing, STATES_CAP + 1)
    parts = [select(literal(ACTION).label("state"), literal(needing).label("n"))]
    for state in COUNTED[1:]:
        some = _filtered(select(t.deliveries.c.id), DeliveryFilter(state)).limit(STATES_CAP + 1)
        parts.append(select(literal(state).label("state"), func.count().label("n")).select_from(some.subquery()))
    return {row.state: row.n for row in conn.execute(union_all(*parts))}


def _count_of_one(conn: Connection, subscription_id: str) -> dict[str, int]:
    d = t.deliveries.c
    newest = (
        select(d.id).where(d.subscription_id == subscription_id).order_by(d.id.desc()).limit(STATES_SCAN).subquery()
    )
    query = select(d.state, func.count().label("n")).join_from(newest, t.deliveries, d.id == newest.c.id)
    counts = {row.state: row.n for row in conn.execute(query.group_by(d.state))}
    counts[ACTION] = needs.count_needing(conn, STATES_CAP, subscription_id)
    return {state: min(counts.get(state, 0), STATES_CAP + 1) for state in COUNTED}


def _rows() -> Select[Any]:
    d, e, s = t.deliveries.c, t.events.c, t.subscriptions.c
    return (
        select(
            t.deliveries,
            func.substr(d.error_message, 1, TEXT_CHARS).label("error_text"),
            e.type.label("event_type"),
            e.source.label("event_source"),
            e.subject.label("event_subject"),
            s.name.label("subscription_name"),
            s.deleted_at,
            s.retry,
            s.pause_reason,
            s.timeout_ms,
        )
        .join_from(t.deliveries, t.events, e.uid == d.event_uid)
        .join(t.subscriptions, s.id == d.subscription_id)
    )


def _delivery(row: Row[Any]) -> DeliveryRow:
    return DeliveryRow(
        id=row.id,
        event_uid=row.event_uid,
        event_type=row.event_type,
        event_source=row.event_source,
        event_subject=row.event_subject,
        subscription_id=row.subscription_id,
        subscription_name=row.subscription_name,
        subscription_deleted=row.deleted_at is not None,
        handler=row.handler,
        lane=row.lane,
        state=row.state,
        reason=row.reason,
        attempt=row.attempt,
        tries_used=row.tries_used,
        max_attempts=tries_of(row.retry),
        crashes=row.crashes,
        due_at=row.due_at,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        error_type=row.error_type,
        error_message=row.error_text,
        progress_done=row.progress_done,
        progress_total=row.progress_total,
        progress_message=row.progress_message,
        rerun=row.replay,
        rerun_of=row.replay_of,
        cancel_requested_at=row.cancel_requested_at,
        cancel_requested_by=row.cancel_requested_by,
        dismissed_at=row.dismissed_at,
        dismissed_by=row.dismissed_by,
        expires_at=row.expires_at,
        superseded_by=row.superseded_by,
        batch_id=row.batch_id,
        pause_reason=row.pause_reason,
        timeout_ms=row.timeout_ms,
        v=row.v,
    )


def tries_of(retry: Any) -> int | None:
    """How many tries a stored retry policy allows (the first one included)."""
    return retry.get("max_attempts") if isinstance(retry, dict) else None


def _attempts(conn: Connection, delivery_id: str) -> tuple[AttemptRow, ...]:
    a = t.attempts.c
    query = (
        select(
            a.id, a.n, a.worker, a.due_at, a.started_at, a.finished_at, a.outcome, a.error_type, a.next_due_at,
            func.substr(a.error_message, 1, TEXT_CHARS).label("error_message"),
            func.substr(a.stack, 1, STACK_CHARS).label("stack"),
            func.substr(a.result, 1, RESULT_CHARS).label("result"),
        )
        .where(a.delivery_id == delivery_id)
        .order_by(a.n.desc())
        .limit(ATTEMPTS_SHOWN)
    )  # fmt: skip
    rows = conn.execute(query).all()
    return tuple(AttemptRow(**row._mapping) for row in reversed(rows))


def _reruns(conn: Connection, delivery: DeliveryRow) -> tuple[tuple[str, str], ...]:
    d = t.deliveries.c
    query = (
        select(d.id, d.state)
        .where(
            d.event_uid == delivery.event_uid,
            d.subscription_id == delivery.subscription_id,
            d.replay > delivery.rerun,
        )
        .order_by(d.replay)
        .limit(20)
    )
    return tuple((row.id, row.state) for row in conn.execute(query))


def _batch(conn: Connection, batch_id: str | None) -> tuple[Mate, ...]:
    if batch_id is None:
        return ()
    d, e, line = t.deliveries.c, t.events.c, t.log_lines.c
    has_log = exists().where(line.delivery_id == d.id).label("has_log")
    query = select(d.id, d.event_uid, e.type, e.subject, d.state, has_log).join_from(
        t.deliveries, t.events, e.uid == d.event_uid
    )
    rows = conn.execute(query.where(d.batch_id == batch_id).order_by(d.id).limit(MAX_BATCH))
    return tuple(Mate(*row) for row in rows)
