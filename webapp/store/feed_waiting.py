"""Why a delivery has not started: what it waits for at its gate, its place in the row, and how long that takes.

Every count is bounded. The place is what it would be if nobody else came: claims are fair among subscriptions,
so a place behind a flood of another is better than it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, union_all

from webapp.domain.gate import has_room, next_start, throttle_key
from webapp.domain.policies import Batch, Policies
from webapp.store import batches, gates
from webapp.store.counters import minute_of
from webapp.store.engine import within
from webapp.store.fair import may_start
from webapp.store.tables import counters, deliveries, subscriptions

COUNT_CAP = 1_000
MOST = 20  # deliveries of one page
RATE_MINUTES = 2  # whole minutes before this one; the speed of now, not of an hour ago


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """What has to happen first. ``kind``: batch, order, slot, throttle, or gate (the next decision lets it through)."""

    kind: str
    delivery_id: str | None = None  # order: the one that is first of the key; batch: the one it goes along with
    event_uid: str | None = None
    state: str | None = None
    used: int | None = None  # slot: that many are under way; batch: that many are collected
    limit: int | None = None  # slot, throttle, batch
    key: str | None = None
    until: datetime | None = None  # throttle: when the next may start; batch: when what there is goes


@dataclass(frozen=True, slots=True)
class Place:
    """How many are ahead (``COUNT_CAP`` at most), and in how many seconds it is its turn, if anything moves."""

    ahead: int
    is_more: bool
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Waits:
    """A delivery that is due and has not started."""

    waiting_for: WaitingFor | None
    place: Place | None


def waits_of(conn: Connection, delivery_ids: Sequence[str], now: datetime) -> dict[str, Waits]:
    """By id, for those of these deliveries that are due and wait; of the first ``MOST`` of them."""
    d, s = deliveries.c, subscriptions.c
    columns = (d.id, d.subscription_id, d.lane, d.priority, d.gated, d.order_key, d.limit_key, d.batch_id, d.due_at)
    due = select(*columns, s.policies).join(subscriptions, s.id == d.subscription_id)
    due = due.where(within(conn, d.id, delivery_ids), d.state.in_(("pending", "waiting")), d.due_at <= now)
    rates: dict[str | None, float] = {}
    return {row.id: _waits(conn, row, now, rates) for row in conn.execute(due.order_by(d.id).limit(MOST)).all()}


def _waits(conn: Connection, row: Any, now: datetime, rates: dict[str | None, float]) -> Waits:
    subject = row.subscription_id if row.gated else None
    if subject not in rates:
        rates[subject] = _rate(conn, now, subject)
    if not row.gated:
        return Waits(None, _place(conn, _ahead_in_lane(row, now), rates[subject]))
    policies = Policies.from_json(row.policies)
    if policies.batch is not None:
        return Waits(_for_its_batch(conn, row, policies.batch, now), None)
    ahead = _ahead_in_key(row) if policies.ordering is not None else _ahead_at_gate(row)
    reason = _waiting_for(conn, row, policies, now)
    needs_a_person = reason.state in ("dead", "held")  # nobody knows when that will be
    return Waits(reason, _place(conn, ahead, 0.0 if needs_a_person else rates[subject]))


def _waiting_for(conn: Connection, row: Any, policies: Policies, now: datetime) -> WaitingFor:
    return (
        _blocked_by(conn, row, policies) or _no_slot(conn, row, policies) or _throttled(conn, row, policies, now)
        or WaitingFor("gate")
    )  # fmt: skip


def _for_its_batch(conn: Connection, row: Any, policy: Batch, now: datetime) -> WaitingFor:
    """More of its key, or the time at which what there is goes; once the batch is formed, the one that it goes with."""
    if row.batch_id is not None:
        carrier = batches.under_way(conn, row.batch_id)
        if carrier is not None:
            return WaitingFor("batch", carrier.id, carrier.event_uid, carrier.state, key=row.limit_key or None)
        return WaitingFor("gate")
    found = batches.collected_so_far(conn, row.subscription_id, row.limit_key, now)
    if row.limit_key is None or found.n >= policy.size or found.first is None or found.first + policy.wait <= now:
        return WaitingFor("gate")
    until = found.first + policy.wait
    return WaitingFor("batch", used=found.n, limit=policy.size, key=row.limit_key or None, until=until)


def _blocked_by(conn: Connection, row: Any, policies: Policies) -> WaitingFor | None:
    if policies.ordering is None or row.order_key is None:
        return None
    d = deliveries.c
    first = select(d.id, d.event_uid, d.state).where(*_earlier_of_key(row))
    if policies.ordering.on_dead == "continue":
        first = first.where(d.state != "dead")
    found = conn.execute(first.order_by(d.id).limit(1)).first()
    return None if found is None else WaitingFor("order", found.id, found.event_uid, found.state, key=row.order_key)


def _no_slot(conn: Connection, row: Any, policies: Policies) -> WaitingFor | None:
    limits = policies.concurrency
    if limits is None:
        return None
    load, key = gates.load_of(conn, row.subscription_id), row.limit_key or ""
    if has_room(policies, load.total, load.by_key.get(key, 0)):
        return None
    if limits.limit is not None and load.total >= limits.limit:
        return WaitingFor("slot", used=load.total, limit=limits.limit)
    return WaitingFor("slot", used=load.by_key.get(key, 0), limit=limits.per_key, key=key)


def _throttled(conn: Connection, row: Any, policies: Policies, now: datetime) -> WaitingFor | None:
    throttle = policies.throttle
    if throttle is None:
        return None
    key = throttle_key(policies, row.limit_key or "")
    free_at = next_start(throttle, gates.buckets_of(conn, row.subscription_id, [key]).get(key), now)
    if free_at <= now:
        return None
    return WaitingFor("throttle", limit=throttle.limit, key=key or None, until=free_at)


def is_blocking(conn: Connection, delivery_id: str) -> bool:
    """Whether a dead delivery keeps others of its key waiting."""
    d = deliveries.c
    columns = select(d.id, d.subscription_id, d.order_key, d.state, subscriptions.c.policies)
    joined = columns.join(subscriptions, subscriptions.c.id == d.subscription_id)
    row = conn.execute(joined.where(d.id == delivery_id)).one_or_none()
    if row is None or row.state != "dead" or row.order_key is None:
        return False
    ordering = Policies.from_json(row.policies).ordering
    if ordering is None or ordering.on_dead == "continue":
        return False
    mine = d.subscription_id == row.subscription_id, d.order_key == row.order_key
    later = select(d.id).where(*mine, gates.stands_in_order(deliveries), d.id > row.id, d.gated).limit(1)
    return conn.execute(later).first() is not None


# Places


def _earlier_of_key(row: Any) -> tuple[ColumnElement[bool], ...]:
    d = deliveries.c
    mine = d.subscription_id == row.subscription_id, d.order_key == row.order_key
    return *mine, gates.stands_in_order(deliveries), d.id < row.id


def _ahead_in_key(row: Any) -> Select[Any]:
    return select(deliveries.c.id).where(*_earlier_of_key(row), deliveries.c.state != "dead").limit(COUNT_CAP + 1)


def _ahead_at_gate(row: Any) -> Select[Any]:
    d = deliveries.c
    mine = d.subscription_id == row.subscription_id, gates.waits(deliveries)
    return select(d.id).where(*mine, _is_before(row)).limit(COUNT_CAP + 1)


def _ahead_in_lane(row: Any, now: datetime) -> Select[Any]:
    d = deliveries.c
    arms = []
    for priority in range(row.priority + 1):
        due = select(d.id).where(d.lane == row.lane, d.priority == priority, *may_start(deliveries, now))
        due = due if priority < row.priority else due.where(_is_before(row))
        arms.append(due.limit(COUNT_CAP + 1).subquery(f"ahead_{priority}"))
    return select(union_all(*(select(arm.c.id) for arm in arms)).limit(COUNT_CAP + 1).subquery().c.id)


def _is_before(row: Any) -> ColumnElement[bool]:
    d = deliveries.c
    return and_(d.due_at <= row.due_at, or_(d.due_at < row.due_at, d.id < row.id))


def _place(conn: Connection, ahead: Select[Any], rate: float) -> Place:
    count = conn.execute(select(func.count()).select_from(ahead.subquery("ahead"))).scalar_one()
    known, is_more = min(count, COUNT_CAP), count > COUNT_CAP
    return Place(known, is_more, None if is_more or not rate else round((known + 1) / rate, 1))


def _rate(conn: Connection, now: datetime, subscription_id: str | None) -> float:
    """Tries that ended a second, lately: of the subscription, or of all."""
    c, this = counters.c, minute_of(now)
    begin = datetime.fromtimestamp((this - RATE_MINUTES) * 60, now.tzinfo)
    ended = select(func.sum(c.n)).where(c.minute >= this - RATE_MINUTES, c.minute <= this, c.measure == "run")
    if subscription_id is not None:
        ended = ended.where(c.subject == subscription_id)
    return float(conn.execute(ended).scalar() or 0) / max(1.0, (now - begin) / timedelta(seconds=1))
