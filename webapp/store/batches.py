"""Batches in SQL: who waits to be collected, binding deliveries to a batch, and letting one that came back fly again.

Deliveries of a batch share ``batch_id``, the id of the one that was its oldest. The gate opens one of them, the
carrier; whoever claims it takes the others along (see ``deliveries.claim``). A batch of which none is under way and
some are due has come back from a try, or its carrier has ended meanwhile: then the gate opens another of it. No other
part of the hub needs to know. Runs under the lock of the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, LargeBinary, and_, case, cast, exists, func, or_, select, text, update

from webapp.domain.breaker import BreakerState
from webapp.domain.flow import Hold
from webapp.domain.gate import MOST
from webapp.domain.gathering import MAX_BYTES, Collected
from webapp.domain.policies import Batch
from webapp.store.engine import within
from webapp.store.fair import LANES
from webapp.store.gates import may_pass, stands_in_limit, waits
from webapp.store.loose import Where, some_of_these
from webapp.store.tables import deliveries, events, gates

MAX_KEYS = 1_000  # of which one decision looks
RIPE_KEYS = 100  # of which it forms batches
EACH = 5  # batches of one key that it forms
MOST_OPEN = 5_000  # deliveries of one subscription that wait for a worker, in their batches
HEAVY_KEYS = 20  # it weighs what so many have collected

# Written out, so that the planner can use the partial index.
IS_OPEN = text("deliveries.state IN ('pending', 'waiting') AND NOT deliveries.gated")


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be done about the batches of a subscription now."""

    ripe: tuple[str, ...] = ()  # keys with something to form
    idle: tuple[str, ...] = ()  # batches to let fly again
    strays: tuple[str, ...] = ()  # deliveries from before the policy: they have no key
    next_at: datetime | None = None  # when the next key has waited enough, or now if there was too much
    at_once: bool = False  # the breaker probes: nobody is waited for
    room: int = 0  # for so many more batches that wait for a worker

    @property
    def is_quiet(self) -> bool:
        return not (self.ripe or self.idle or self.strays)


def look(conn: Connection, subscription_id: str, policy: Batch, now: datetime) -> Look:
    """Reads only. With enough batches open nothing is to be done: who ends asks again."""
    room = _room(conn, subscription_id, policy)
    if room <= 0:
        return Look()
    at_once = _is_probing(conn, subscription_id)
    groups = _groups(conn, subscription_id, policy, now)
    keyed = [row for row in groups if row.limit_key is not None]
    ripe = [row.limit_key for row in keyed if at_once or row.n >= policy.size or row.first <= now - policy.wait]
    is_ripe = set(ripe)
    left = [row for row in keyed if row.limit_key not in is_ripe]
    ripe += _heavy(conn, subscription_id, [row.limit_key for row in left if row.n > 1], now)
    next_at = min((row.first + policy.wait for row in left), default=None)
    if len(ripe) > RIPE_KEYS or any(row.n > EACH * policy.size for row in keyed):
        next_at = now
    strays = _strays(conn, subscription_id, now) if len(keyed) < len(groups) else ()
    idle = _idle(conn, subscription_id, now, room)
    return Look(tuple(ripe[:RIPE_KEYS]), idle, strays[: room - len(idle)], next_at, at_once, room)


def look_again(conn: Connection, subscription_id: str, policy: Batch, now: datetime, found: Look) -> Look:
    """What was found, under the lock. What is ripe or stray is asked for when it is taken; the rest is looked up anew."""
    room = max(0, _room(conn, subscription_id, policy))
    idle = _idle(conn, subscription_id, now, room)
    return replace(found, idle=idle, strays=found.strays[: room - len(idle)], room=room)


def _room(conn: Connection, subscription_id: str, policy: Batch) -> int:
    """How many more may be open: a claim takes all of a batch, so not many at a time."""
    d = deliveries.c
    unclaimed = select(d.id).where(d.lane.in_(LANES), d.subscription_id == subscription_id, IS_OPEN).limit(MOST)
    most = max(1, min(MOST, MOST_OPEN // policy.size))
    return most - conn.execute(select(func.count()).select_from(unclaimed.subquery())).scalar_one()


def _groups(conn: Connection, subscription_id: str, policy: Batch, now: datetime) -> Sequence[Any]:
    """(limit_key, n, first) of what is not in a batch: the full ones first, then who waits longest."""
    d = deliveries.c
    n, first = func.count(), func.min(d.due_at)
    query = select(d.limit_key, n.label("n"), first.label("first")).where(*_unbound(deliveries, subscription_id, now))
    order = case((n >= policy.size, 0), else_=1)
    return conn.execute(query.group_by(d.limit_key).order_by(order, first).limit(MAX_KEYS)).all()


def _unbound(row: Any, subscription_id: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return row.c.subscription_id == subscription_id, *may_pass(row, now), row.c.batch_id.is_(None)


def _heavy(conn: Connection, subscription_id: str, keys: Sequence[str], now: datetime) -> list[str]:
    """Those keys of which the payloads together are more than one call may carry."""
    if not keys:
        return []
    d = deliveries.c
    joined = select(d.limit_key).join(events, events.c.uid == d.event_uid)
    mine = joined.where(*_unbound(deliveries, subscription_id, now), within(conn, d.limit_key, keys[:HEAVY_KEYS]))
    heavy = mine.group_by(d.limit_key).having(func.sum(_weight(conn)) >= MAX_BYTES)
    return list(conn.execute(heavy).scalars())


def _weight(conn: Connection) -> ColumnElement[int]:
    """Bytes of the payload, without reading it where the database knows."""
    if conn.dialect.name == "postgresql":
        return func.octet_length(events.c.payload)
    return func.length(cast(events.c.payload, LargeBinary))


def _strays(conn: Connection, subscription_id: str, now: datetime) -> tuple[str, ...]:
    d = deliveries.c
    found = select(d.id).where(*_unbound(deliveries, subscription_id, now), d.limit_key.is_(None))
    return tuple(conn.execute(found.order_by(d.due_at, d.id).limit(MOST)).scalars())


def _is_probing(conn: Connection, subscription_id: str) -> bool:
    probing = gates.c.subscription_id == subscription_id, gates.c.breaker != BreakerState.CLOSED
    return conn.execute(select(gates.c.subscription_id).where(*probing)).first() is not None


def _idle(conn: Connection, subscription_id: str, now: datetime, limit: int) -> tuple[str, ...]:
    """Batches with members that are due while none is under way. Those that are being released are waited for."""
    d, mate = deliveries.c, deliveries.alias("mate")
    mine = d.subscription_id == subscription_id, *may_pass(deliveries, now), d.batch_id.is_not(None)
    tags = select(d.batch_id).where(*mine).distinct().subquery("tags")
    open_ = and_(mate.c.state.in_(("pending", "waiting")), ~mate.c.gated)
    coming = and_(mate.c.state == "held", mate.c.reason == str(Hold.RELEASING))
    busy = exists().where(mate.c.batch_id == tags.c.batch_id, or_(mate.c.state == "running", open_, coming))
    return tuple(conn.execute(select(tags.c.batch_id).where(~busy).limit(limit)).scalars())


def collected(conn: Connection, subscription_id: str, keys: Sequence[str], size: int, now: datetime) -> list[Collected]:
    """The oldest unbound deliveries of these keys, by key and age."""
    where: Where = lambda row: (*_unbound(row, subscription_id, now), stands_in_limit(row))  # noqa: E731
    some = some_of_these(conn, "limit_key", keys, ("due_at", "id"), where, EACH * size, lock=False).subquery("some")
    weighed = (
        select(some.c.id, some.c.value, some.c.due_at, _weight(conn).label("weight"))
        .join_from(some, deliveries, deliveries.c.id == some.c.id)
        .join(events, events.c.uid == deliveries.c.event_uid)
        .order_by(some.c.value, some.c.due_at, some.c.id)
    )
    return [Collected(*row) for row in conn.execute(weighed)]


def bind(conn: Connection, batch: Sequence[str]) -> list[Any]:
    """Make these a batch and open its first; answers (id, lane) of that. Who is not there any more stays out."""
    d = deliveries.c
    bound = conn.execute(
        update(deliveries)
        .where(within(conn, d.id, list(batch)), waits(deliveries), d.batch_id.is_(None))
        .values(batch_id=batch[0], gated=case((d.id == batch[0], False), else_=True), v=d.v + 1)
        .returning(d.id, d.lane)
    ).all()
    return [row for row in bound if row.id == batch[0]]


def carriers(conn: Connection, batch_ids: Sequence[str], now: datetime) -> list[str]:
    """Of each of these batches the delivery to be opened: one that must run alone if there is any, else the oldest."""
    if not batch_ids:
        return []
    d = deliveries.c
    due = select(d.id, d.batch_id).where(within(conn, d.batch_id, list(batch_ids)), *may_pass(deliveries, now))
    chosen: dict[str, str] = {}
    for row in conn.execute(due.order_by(case((d.lane == "isolated", 0), else_=1), d.id)):
        chosen.setdefault(row.batch_id, row.id)
    return list(chosen.values())


def waiting_mates(conn: Connection, batch_ids: Sequence[str], now: datetime) -> Any:
    """The ids of the others of these batches that go along now; who is being changed by somebody is passed by."""
    d = deliveries.c
    due = d.due_at <= now, or_(d.expires_at.is_(None), d.expires_at >= now)
    mine = within(conn, d.batch_id, list(batch_ids)), waits(deliveries)
    return select(d.id).where(*mine, *due).with_for_update(skip_locked=True)


def members(conn: Connection, batch_id: str | None) -> Sequence[Any]:
    """(id, event_uid, state) of a batch, oldest first."""
    if batch_id is None:
        return ()
    d = deliveries.c
    return conn.execute(select(d.id, d.event_uid, d.state).where(d.batch_id == batch_id).order_by(d.id)).all()


def under_way(conn: Connection, batch_id: str) -> Any:
    """(id, event_uid, state) of the delivery of a batch that was opened or runs; None when none is."""
    d = deliveries.c
    moving = or_(d.state == "running", and_(d.state.in_(("pending", "waiting")), ~d.gated))
    query = select(d.id, d.event_uid, d.state).where(d.batch_id == batch_id, moving)
    return conn.execute(query.order_by(d.id).limit(1)).first()


def collected_so_far(conn: Connection, subscription_id: str, key: str | None, now: datetime) -> Any:
    """(n, first): how many of a key wait for their batch, and since when."""
    d = deliveries.c
    query = select(func.count().label("n"), func.min(d.due_at).label("first"))
    return conn.execute(query.where(*_unbound(deliveries, subscription_id, now), d.limit_key == key)).one()
