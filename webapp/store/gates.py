"""The gate in SQL: which deliveries wait before it, what is under way behind it, and letting some through.

One decision at a time per subscription: on PostgreSQL under an advisory lock, which is taken first of all and
released by the commit (SQLite has one writer anyway). Whoever holds row locks must not ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, func, literal, or_, select, text, update

from webapp.domain.gate import Load
from webapp.domain.policies import Batch, Policies
from webapp.store.bulk import insert_rows
from webapp.store.engine import within
from webapp.store.loose import Where, first_of_each, first_of_these, some_of_these
from webapp.store.tables import deliveries, quotas, subscriptions

LOCK_CLASS = 0x5B9A7E  # of our advisory locks
MAX_SUBSCRIPTIONS = 256
MAX_KEYS = 1_000  # rows of one subscription that one decision looks at
SET = "ON CONFLICT (subscription_id, kind, key) DO UPDATE SET at = excluded.at, n = excluded.n, until = excluded.until"
THROTTLE = "throttle"


MINE, AFTER = bindparam("mine", type_=Text), bindparam("after", type_=Text)
HEAD = ("state", "gated", "due_at", "expires_at", "order_key", "limit_key")


class Head(NamedTuple):
    """The first delivery of an ordered key that has not ended."""

    id: str
    state: str
    gated: bool
    due_at: datetime
    expires_at: datetime | None
    order_key: str
    limit_key: str | None

    def may_pass(self, now: datetime) -> bool:
        """Whether it waits before the gate, is due and not expired."""
        waits = self.gated and self.state in ("pending", "waiting") and self.due_at <= now
        return waits and (self.expires_at is None or self.expires_at >= now)


def waits(row: Any) -> ColumnElement[bool]:
    """Waiting before the gate; written out, so that the partial index is used."""
    return text(f"{row.name}.state IN ('pending', 'waiting') AND {row.name}.gated")  # type: ignore[return-value]


def may_pass(row: Any, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Waiting, due and not expired."""
    return waits(row), row.c.due_at <= now, or_(row.c.expires_at.is_(None), row.c.expires_at >= now)


def stands_in_order(row: Any) -> ColumnElement[bool]:
    """Has a place in the order of its key: it has not ended, or it is dead."""
    return text(f"{row.name}.order_key IS NOT NULL AND {row.name}.state NOT IN ('succeeded', 'cancelled', 'skipped')")  # type: ignore[return-value]


def stands_in_limit(row: Any) -> ColumnElement[bool]:
    """Counts for its limit, or waits for its batch: it has not ended."""
    states = "('pending', 'waiting', 'running', 'held')"
    return text(f"{row.name}.limit_key IS NOT NULL AND {row.name}.state IN {states}")  # type: ignore[return-value]


def any_waiting(conn: Connection) -> bool:
    """Whether anything waits before any gate: the one cheap look that everybody pays for."""
    return conn.execute(first_waiting()).first() is not None


@cache
def first_waiting() -> Select[Any]:
    """The first row of the gate's index. Asked for in its order: any other way to find none reads the whole table."""
    d = deliveries.c
    waiting = select(literal(1)).where(d.subscription_id > "", waits(deliveries))
    return waiting.order_by(d.subscription_id, d.due_at, d.id).limit(1)


def waiting_subscriptions(conn: Connection, now: datetime, after: str | None = None) -> list[str]:
    """Subscriptions with a due delivery before their gate, in order of their id."""
    rows = conn.execute(_first_waiting_of_each(after is not None), {} if after is None else {"after": after})
    return sorted(row.value for row in rows if row.its_due_at <= now)


@cache  # asked before every claim, and laying it out costs more than running it
def _first_waiting_of_each(is_behind: bool) -> Select[Any]:
    order, after = ("due_at", "id"), AFTER if is_behind else None
    found = first_of_each(
        "subscription_id", order, lambda row: (waits(row),), MAX_SUBSCRIPTIONS, after, carry=("due_at",)
    )
    return select(found.c.value, found.c.its_due_at)


def lock_gate(conn: Connection, subscription_id: str) -> Any:
    """The subscription, once nobody else decides about it; None when it was deleted."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(LOCK_CLASS, func.hashtext(subscription_id))))
    s = subscriptions.c
    columns = select(s.id, s.policies, s.paused_at, s.timeout_ms)
    return conn.execute(columns.where(s.id == subscription_id, s.deleted_at.is_(None))).one_or_none()


def batch_of(conn: Connection, subscription_id: str) -> Batch | None:
    """Its batch policy, if it has one. Without the lock: for a look before a decision."""
    found = conn.execute(select(subscriptions.c.policies).where(subscriptions.c.id == subscription_id)).scalar()
    return Policies.from_json(found).batch if found and "batch" in found else None


def oldest_waiting(conn: Connection, subscription_id: str, now: datetime, limit: int) -> Sequence[Any]:
    """The oldest due deliveries before the gate, whatever their key."""
    d = deliveries.c
    due = select(d.id, d.order_key, d.limit_key).where(d.subscription_id == subscription_id, *may_pass(deliveries, now))
    return conn.execute(due.order_by(d.due_at, d.id).limit(limit)).all()


def oldest_of_each_key(conn: Connection, subscription_id: str, now: datetime, each: int) -> Sequence[Any]:
    """The same, but at most ``each`` of one key, so that a key that is full does not hide the others."""
    mine: Where = lambda row: (row.c.subscription_id == subscription_id, stands_in_limit(row))  # noqa: E731
    keys = first_of_each("limit_key", ("id",), mine, MAX_KEYS)
    names = list(conn.execute(select(keys.c.value)).scalars())
    passing: Where = lambda row: (*mine(row), *may_pass(row, now))  # noqa: E731
    some = some_of_these(conn, "limit_key", names, ("id",), passing, each, lock=False).subquery("some")
    found = select(some.c.id, some.c.value.label("limit_key")).order_by(some.c.due_at, some.c.id)
    return conn.execute(found.limit(MAX_KEYS)).all()


def heads(
    conn: Connection,
    subscription_id: str,
    now: datetime,
    *,
    skip_dead: bool,
    keys: Sequence[str] | None = None,
    after: str | None = None,
) -> tuple[list[Head], bool]:
    """Of each ordered key the first delivery, if it waits before the gate; and whether there are more keys behind."""
    if keys is None:
        query = _first_of_each_key(skip_dead, after is not None)
    else:
        query = first_of_these(conn, "order_key", keys, "id", _in_order(skip_dead), HEAD)
    given = {"mine": subscription_id} | ({} if after is None else {"after": after})
    rows = [Head(*row) for row in conn.execute(query, given)]
    free = _without_busy(conn, subscription_id, [row for row in rows if row.may_pass(now)])
    return sorted(free, key=lambda row: (row.due_at, row.id)), keys is None and len(rows) >= MAX_KEYS


@cache
def _first_of_each_key(skip_dead: bool, is_behind: bool) -> Select[Any]:
    found = first_of_each("order_key", ("id",), _in_order(skip_dead), MAX_KEYS, AFTER if is_behind else None, HEAD)
    return select(found.c.id, *(found.c[f"its_{name}"] for name in HEAD))


def key_of_any_waiting(conn: Connection, subscription_id: str, roll: float) -> str | None:
    """The ordered key of a delivery before the gate that is drawn by lot over the time of waiting."""
    d = deliveries.c
    mine = d.subscription_id == subscription_id, waits(deliveries)
    ends = conn.execute(
        select(
            select(d.due_at).where(*mine).order_by(d.due_at, d.id).limit(1).scalar_subquery(),
            select(d.due_at).where(*mine).order_by(d.due_at.desc(), d.id.desc()).limit(1).scalar_subquery(),
        )
    ).one()
    if ends[0] is None:
        return None
    at = ends[0] + roll * (ends[1] - ends[0])
    return conn.execute(select(d.order_key).where(*mine, d.due_at >= at).order_by(d.due_at, d.id).limit(1)).scalar()


def _in_order(skip_dead: bool) -> Where:
    def where(row: Any) -> Sequence[ColumnElement[bool]]:
        alive = (row.c.state != "dead",) if skip_dead else ()
        return row.c.subscription_id == MINE, stands_in_order(row), *alive

    return where


def _without_busy(conn: Connection, subscription_id: str, rows: list[Head]) -> list[Head]:
    """Leave out keys of which another is under way: a dead one may have been revived behind those that went on."""
    if not rows:
        return rows
    under_way = _under_way()
    busy = select(under_way.c.order_key).where(within(conn, under_way.c.order_key, [row.order_key for row in rows]))
    taken = set(conn.execute(busy, {"mine": subscription_id}).scalars())
    return [row for row in rows if row.order_key not in taken]


def load_of(conn: Connection, subscription_id: str) -> Load:
    """What passed the gate and has not ended its try."""
    rows = conn.execute(_count_under_way(), {"mine": subscription_id}).all()
    return Load(sum(row.n for row in rows), {row.limit_key or "": row.n for row in rows})


@cache
def _count_under_way() -> Select[Any]:
    under_way = _under_way()
    return select(under_way.c.limit_key, func.count().label("n")).group_by(under_way.c.limit_key)


@cache
def _under_way() -> Any:
    """Running (few: workers have so many slots), or let through and not yet claimed (few: the gate let them)."""
    d = deliveries.c
    running = select(d.order_key, d.limit_key).where(text("deliveries.state = 'running'"))
    passed = select(d.order_key, d.limit_key).where(
        d.lane.in_(("default", "isolated")),
        text("deliveries.state IN ('pending', 'waiting') AND NOT deliveries.gated"),
    )
    mine = d.subscription_id == MINE
    return running.where(mine).union_all(passed.where(mine)).subquery("under_way")


def buckets_of(conn: Connection, subscription_id: str, keys: Sequence[str]) -> dict[str, datetime]:
    """When the throttle's buckets are full again, by key."""
    q = quotas.c
    found = select(q.key, q.at).where(q.subscription_id == subscription_id, q.kind == THROTTLE)
    return {row.key: row.at for row in conn.execute(found.where(within(conn, q.key, keys)))}


def keep_buckets(conn: Connection, subscription_id: str, full_at: Mapping[str, datetime]) -> None:
    """Write them down; a full one need not be remembered."""
    same = {"subscription_id": subscription_id, "kind": THROTTLE, "n": 0}
    insert_rows(conn, quotas, [{**same, "key": key, "at": at, "until": at} for key, at in sorted(full_at.items())], SET)


def let_through(conn: Connection, ids: Sequence[str]) -> Sequence[Any]:
    """Open the gate for these; answers (id, lane) of those that still waited before it."""
    if not ids:
        return []
    passed = (
        update(deliveries)
        .where(within(conn, deliveries.c.id, ids), waits(deliveries))
        .values(gated=False, v=deliveries.c.v + 1)
        .returning(deliveries.c.id, deliveries.c.lane)
    )
    return conn.execute(passed).all()
