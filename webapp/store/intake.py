"""What is asked and written when events come in and when deliveries come too late: quotas, debounce, causes, expiry.

A row of ``quotas`` is locked by its upsert until the commit, so two processes that accept events of the same
key at the same time are served one after the other. Callers ask in order of kind, subscription and key: nobody
waits in a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, text, tuple_, update

from webapp.domain.lifecycle import Verb, sources_of
from webapp.store.columns import Instant
from webapp.store.counters import minute_of, raise_counts
from webapp.store.engine import within
from webapp.store.events import shift_counts
from webapp.store.tables import deliveries, events, quotas

# Written out, so that the planner can use the partial index.
CAN_EXPIRE = text("deliveries.expires_at IS NOT NULL AND deliveries.state IN ('pending', 'waiting', 'held')")
NOT_LOOP = or_(deliveries.c.reason.is_(None), deliveries.c.reason != "loop")


class Place(NamedTuple):
    """Whose quota: a subscription and a key within it."""

    subscription_id: str
    key: str


_INSERT = (
    "INSERT INTO quotas (subscription_id, kind, key, at, n, delivery_id, until) "
    "VALUES (:subscription_id, :kind, :key, :now, :n, :delivery_id, :until) "
    "ON CONFLICT (subscription_id, kind, key) DO UPDATE SET "
)
_INSTANTS = tuple(bindparam(name, type_=Instant) for name in ("now", "until"))
_OUTDATED = bindparam("outdated", type_=Instant)

_COUNT = text(
    _INSERT + "at = CASE WHEN quotas.at <= :outdated THEN excluded.at ELSE quotas.at END, "
    "until = CASE WHEN quotas.at <= :outdated THEN excluded.until ELSE quotas.until END, "
    "n = CASE WHEN quotas.at <= :outdated THEN 0 WHEN quotas.n > :most THEN :most ELSE quotas.n END + excluded.n "
    "RETURNING n"
).bindparams(*_INSTANTS, _OUTDATED)

_FIRST = text(
    _INSERT + "delivery_id = CASE WHEN quotas.at <= :outdated THEN excluded.delivery_id ELSE quotas.delivery_id END, "
    "until = CASE WHEN quotas.at <= :outdated THEN excluded.until ELSE quotas.until END, "
    "at = CASE WHEN quotas.at <= :outdated THEN excluded.at ELSE quotas.at END "
    "RETURNING delivery_id"
).bindparams(*_INSTANTS, _OUTDATED)

_LOCK = text(_INSERT + "n = quotas.n RETURNING at, delivery_id").bindparams(*_INSTANTS).columns(at=Instant)


def count_in_window(conn: Connection, place: Place, *, n: int, most: int, period: timedelta, now: datetime) -> int:
    """Count ``n`` more in the window of this place; answers how many of them are within ``most``."""
    values = _values(place, "rate_limit", now, now + period, n=n) | {"most": most, "outdated": now - period}
    counted = int(conn.execute(_COUNT, values).scalar_one())
    return min(n, max(0, most - (counted - n)))


def first_in_window(conn: Connection, place: Place, *, delivery_id: str, window: timedelta, now: datetime) -> str:
    """The delivery that came first in the window of this place: ``delivery_id`` itself when there was none."""
    values = _values(place, "dedupe", now, now + window, delivery_id=delivery_id) | {"outdated": now - window}
    return str(conn.execute(_FIRST, values).scalar_one())


def last_of_chain(conn: Connection, place: Place, *, delivery_id: str, now: datetime) -> tuple[datetime, str]:
    """When the debounce chain of this place began, and its last delivery: ``delivery_id`` itself in a new chain."""
    found = conn.execute(_LOCK, _values(place, "debounce", now, now, delivery_id=delivery_id)).one()
    return found.at, found.delivery_id


def keep_chain(conn: Connection, place: Place, *, delivery_id: str, began: datetime, until: datetime) -> None:
    """The chain of this place (locked by ``last_of_chain``) goes on with this delivery."""
    same = (quotas.c.subscription_id == place.subscription_id, quotas.c.kind == "debounce", quotas.c.key == place.key)
    conn.execute(update(quotas).where(*same).values(delivery_id=delivery_id, at=began, until=until))


def _values(place: Place, kind: str, now: datetime, until: datetime, **more: Any) -> dict[str, Any]:
    values = {"subscription_id": place.subscription_id, "kind": kind, "key": place.key, "now": now, "until": until}
    return values | {"n": 0, "delivery_id": None} | more


def supersede(conn: Connection, delivery_id: str, *, by: str, now: datetime) -> str | None:
    """A debounce keeps ``by`` instead; answers the event of the delivery, None when it is due, was started or ended.

    One that is due is left alone: under a steady stream of events it would never run.
    """
    moved = conn.execute(
        update(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.state.in_([str(state) for state in sources_of(Verb.SUPERSEDE)]),
            or_(deliveries.c.state != "pending", deliveries.c.due_at > now),
            deliveries.c.attempt == 0,
            NOT_LOOP,
        )
        .values(state="skipped", reason="superseded", superseded_by=by, finished_at=now, v=deliveries.c.v + 1)
        .returning(deliveries.c.event_uid)
    )
    return moved.scalar()


def depths_of(conn: Connection, keys: Sequence[str]) -> dict[str, int]:
    """By key (uid or sender's id of an event): how many events caused it, one after the other. Unknown ones are left out."""
    found: dict[str, int] = {}
    for column in (events.c.id, events.c.uid):
        depth = func.max(events.c.depth)
        rows = conn.execute(select(column, depth).where(within(conn, column, keys)).group_by(column))
        for key, deepest in rows:
            found[key] = max(deepest, found.get(key, 0))
    return found


def any_outdated(conn: Connection, now: datetime) -> bool:
    """Whether a delivery came too late to be started."""
    late = select(deliveries.c.id).where(CAN_EXPIRE, deliveries.c.expires_at < now)
    return conn.execute(late.limit(1)).first() is not None


def expire(conn: Connection, *, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """Deliveries that were not started in time are dead: no try, but counted like any that died. Answers them."""
    d = deliveries.c
    late = select(d.id).where(CAN_EXPIRE, d.expires_at < now).order_by(d.expires_at, d.id).limit(limit)
    if conn.dialect.name == "postgresql":
        late = late.with_for_update(skip_locked=True)
    ids = list(conn.execute(late).scalars())
    if not ids:
        return []
    states = [str(state) for state in sources_of(Verb.EXPIRE)]
    ended = conn.execute(
        update(deliveries)
        .where(within(conn, d.id, ids), d.state.in_(states))
        .values(state="dead", reason="expired", finished_at=now, gated=False, v=d.v + 1)
        .returning(d.id, d.event_uid, d.subscription_id, d.due_at, d.expires_at)
    ).all()
    shift_counts(conn, {uid: (-n, 0, n) for uid, n in Counter(row.event_uid for row in ended).items()})
    counted = ((minute_of(now), row.subscription_id, measure, 0) for row in ended for measure in ("dead", "expired"))
    raise_counts(conn, Counter(counted))
    return ended


def drop_outdated_quotas(conn: Connection, now: datetime, limit: int = 5000) -> None:
    """Windows that are over; those that somebody is renewing at this moment are passed by."""
    names = (quotas.c.subscription_id, quotas.c.kind, quotas.c.key)
    outdated = select(*names).where(quotas.c.until < now).order_by(quotas.c.until).limit(limit)
    if conn.dialect.name == "postgresql":
        outdated = outdated.with_for_update(skip_locked=True)
    conn.execute(delete(quotas).where(tuple_(*names).in_(outdated)))
