"""Deliveries: claimed in bulk under a lease, finished in bulk behind a fence.

Every statement that changes a state names the state that it comes from. A worker that lost its lease
changes nothing: the fence is ``state = running AND attempt = n AND lease_owner = me``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, or_, select, text, update
from sqlalchemy.sql.dml import ReturningUpdate

from webapp.domain.events import Event
from webapp.domain.lifecycle import Settlement
from webapp.domain.policies import Breaker, Policies
from webapp.domain.retry import RetryPolicy
from webapp.domain.state import Wish
from webapp.store import batches, fair
from webapp.store.engine import within
from webapp.store.events import EVENT_COLUMNS, event_of_columns
from webapp.store.tables import deliveries, events, subscriptions

# Written out, not bound: a partial index serves only a predicate that the planner can read.
IS_DUE_STATE = text("deliveries.state IN ('pending', 'waiting') AND NOT deliveries.gated")
IS_RUNNING = text("deliveries.state = 'running'")
# What is tried again or held has given its place behind the gate back. (A first of its key stays the first.)
GATED_AGAIN = or_(deliveries.c.gated, deliveries.c.limit_key.is_not(None))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this worker owns until its lease runs out, with all that its handler needs."""

    id: str
    event_uid: str
    subscription_id: str
    handler: str
    attempt: int  # number of this attempt, from 1
    tries_used: int  # attempts before this one that count against the policy
    crashes: int
    due_at: datetime
    lane: str
    priority: int
    order_key: str | None  # its place in a row of deliveries, see ``services.gatekeeper``
    limit_key: str | None
    event: Event
    options: Mapping[str, Any]
    policy: RetryPolicy
    timeout: timedelta
    breaker: Breaker | None = None  # of its subscription
    transform: Any = None  # what the handler sees instead of the event, see ``domain.transform``
    is_batched: bool = False  # its handler is given a list
    batch_id: str | None = None
    mates: tuple[Claimed, ...] = ()  # the others of its batch: claimed with it, run in the same call

    @property
    def members(self) -> tuple[Claimed, ...]:
        """All that one call of the handler runs, oldest first."""
        return tuple(sorted((self, *self.mates), key=lambda one: one.id)) if self.mates else (self,)


def claim(
    conn: Connection, *, lane: str, owner: str, limit: int, now: datetime, lease: timedelta, roll: float = 0.0
) -> list[Claimed]:
    """Take up to ``limit`` due deliveries of a lane: the oldest of the highest priority, or fairly when more are due.

    Rows that another worker is taking are passed by. ``roll`` in [0, 1) is the lot that ``fair`` draws.
    """
    taken: list[Any] = []
    given_to_all = {"claimer": owner, "started": now, "lease_end": now + lease}

    def take(due: Select[Any], given: Mapping[str, Any]) -> int:
        found = conn.execute(_taking(due), {**given, **given_to_all}).all()
        taken.extend(found)
        return len(found)

    left = limit - fair.take_fairly(conn, take, lane=lane, limit=limit, now=now, roll=roll)
    if left > 0:
        take(fair.oldest_due(lock=True), fair.due_params(lane, left, now))
    if not taken:
        return []
    rules = _rules(conn, {row.subscription_id for row in taken})
    tags = [row.batch_id for row in taken if row.batch_id is not None and rules[row.subscription_id][-1]]
    mates = conn.execute(_taken(batches.waiting_mates(conn, tags, now)), given_to_all).all() if tags else ()
    return _together(_with_contents(conn, [*taken, *mates], rules), {row.id for row in taken})


@lru_cache(maxsize=32)  # laying it out costs more than running it
def _taking(due: Select[Any]) -> ReturningUpdate[Any]:
    return _taken(due)


def _taken(due: Select[Any]) -> ReturningUpdate[Any]:
    chosen = due.cte("chosen")  # a CTE: PostgreSQL may run a bare subquery with LIMIT more than once
    return (
        update(deliveries)
        .where(deliveries.c.id.in_(select(chosen.c.id)))
        .values(
            state="running",
            attempt=deliveries.c.attempt + 1,
            lease_owner=bindparam("claimer"),
            lease_until=bindparam("lease_end"),
            started_at=bindparam("started"),
            progress_done=None,
            progress_total=None,
            progress_message=None,
            v=deliveries.c.v + 1,
        )
        .returning(
            deliveries.c.id,
            deliveries.c.event_uid,
            deliveries.c.subscription_id,
            deliveries.c.handler,
            deliveries.c.attempt,
            deliveries.c.tries_used,
            deliveries.c.crashes,
            deliveries.c.due_at,
            deliveries.c.lane,
            deliveries.c.priority,
            deliveries.c.order_key,
            deliveries.c.limit_key,
            deliveries.c.batch_id,
        )
    )


def _together(claimed: Sequence[Claimed], taken: Collection[str]) -> list[Claimed]:
    """Those that were ``taken``, each with its batch; the others of the batch came along."""
    mates: dict[str | None, list[Claimed]] = defaultdict(list)
    for one in claimed:
        if one.id not in taken:
            mates[one.batch_id].append(one)
    if not mates:
        return list(claimed)
    return [replace(one, mates=tuple(mates.pop(one.batch_id, ()))) for one in claimed if one.id in taken]


def _with_contents(conn: Connection, taken: Sequence[Any], rules: Mapping[str, Any]) -> list[Claimed]:
    uids = list({row.event_uid for row in taken})
    contents = select(*EVENT_COLUMNS).where(within(conn, events.c.uid, uids))
    found = {event.uid: event for event in map(event_of_columns, conn.execute(contents).all())}
    claimed = [  # columns in the order of the fields
        Claimed(*(*row[:-1], found[row[1]], *rules[row[2]], row[-1])) for row in taken
    ]
    claimed.sort(key=lambda one: (one.priority, one.due_at, one.id))
    return claimed


def _rules(
    conn: Connection, ids: Iterable[str]
) -> dict[str, tuple[Any, RetryPolicy, timedelta, Breaker | None, Any, bool]]:
    s = subscriptions.c
    rows = conn.execute(
        select(s.id, s.options, s.retry, s.timeout_ms, s.policies, s.transform).where(within(conn, s.id, list(ids)))
    )
    return {
        row.id: (
            row.options,
            RetryPolicy.from_json(row.retry),
            timedelta(milliseconds=row.timeout_ms),
            Policies.from_json(row.policies).breaker if "breaker" in row.policies else None,
            row.transform,
            "batch" in row.policies,
        )
        for row in rows
    }


def policies(conn: Connection, subscription_ids: Iterable[str]) -> dict[str, RetryPolicy]:
    """The retry policies of these subscriptions."""
    return {id: policy for id, (_, policy, *_) in _rules(conn, subscription_ids).items()}


def renew(conn: Connection, *, owner: str, ids: Sequence[str], until: datetime) -> dict[str, bool]:
    """Prolong leases; answers the ids that are still ours, and of each whether its cancellation was asked for.

    The rest was rescued or taken away.
    """
    if not ids:
        return {}
    renewed = conn.execute(
        update(deliveries)
        .where(IS_RUNNING, deliveries.c.lease_owner == owner, within(conn, deliveries.c.id, ids))
        .values(lease_until=until)
        .returning(deliveries.c.id, deliveries.c.cancel_requested_at)
    )
    return {row.id: row.cancel_requested_at is not None for row in renewed}


def renew_all(conn: Connection, *, owner: str, until: datetime) -> None:
    """Prolong the lease of whatever this owner runs, or end it."""
    conn.execute(update(deliveries).where(IS_RUNNING, deliveries.c.lease_owner == owner).values(lease_until=until))


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that is over: what was settled, and what is to be written down about it."""

    claimed: Claimed
    settlement: Settlement
    started_at: datetime
    finished_at: datetime
    error_type: str | None = None
    error_message: str | None = None
    stack: str | None = None
    result: str | None = None  # JSON text
    state: Wish | None = None  # what the handler wants to remember


def settle_rows(conn: Connection, rows: Sequence[Finished], owner: str) -> list[Finished]:
    """Move deliveries to their settled states; answers those that really were ours."""
    alike: dict[tuple[Any, ...], list[Finished]] = defaultdict(list)
    for row in rows:
        settled = row.settlement
        key = (settled.state, settled.reason, settled.due_at, settled.counts, row.claimed.attempt)
        alike[*key, row.error_type, row.error_message].append(row)
    ours: list[Finished] = []
    for same in alike.values():
        ids = _settle_alike(conn, same, owner)
        ours.extend(row for row in same if row.claimed.id in ids)
    return ours


def _settle_alike(conn: Connection, rows: Sequence[Finished], owner: str) -> set[str]:
    first = rows[0]
    settled = first.settlement
    values: dict[str, Any] = {
        "state": str(settled.state),
        "reason": settled.reason,
        "lease_owner": None,
        "lease_until": None,
        "v": deliveries.c.v + 1,
    }
    if settled.counts:
        values["tries_used"] = deliveries.c.tries_used + 1
    if settled.due_at is not None:
        values |= {"due_at": settled.due_at, "gated": GATED_AGAIN}
    else:
        values["finished_at"] = max(row.finished_at for row in rows)
    if first.error_type is not None:
        values |= {"error_type": first.error_type, "error_message": first.error_message}
    changed = conn.execute(
        update(deliveries)
        .where(
            IS_RUNNING,
            deliveries.c.attempt == first.claimed.attempt,
            deliveries.c.lease_owner == owner,
            within(conn, deliveries.c.id, [row.claimed.id for row in rows]),
        )
        .values(**values)
        .returning(deliveries.c.id)
    )
    return set(changed.scalars().all())


def of_deleted_subscriptions(conn: Connection, ids: Sequence[str]) -> list[str]:
    """Which of these belong to a subscription that was deleted meanwhile."""
    if not ids:
        return []
    gone = select(subscriptions.c.id).where(subscriptions.c.deleted_at.is_not(None))
    return list(
        conn.execute(
            select(deliveries.c.id).where(within(conn, deliveries.c.id, ids), deliveries.c.subscription_id.in_(gone))
        ).scalars()
    )


def expired(conn: Connection, *, now: datetime, limit: int) -> Sequence[Any]:
    """Running rows whose lease ran out; locked against other rescuers on PostgreSQL."""
    lapsed = (
        select(deliveries)
        .where(IS_RUNNING, deliveries.c.lease_until < now)
        .order_by(deliveries.c.lease_until)
        .limit(limit)
    )
    if conn.dialect.name == "postgresql":
        lapsed = lapsed.with_for_update(skip_locked=True)
    return conn.execute(lapsed).all()


def due_lanes(conn: Connection, now: datetime) -> list[str]:
    """Lanes that have work due."""
    oldest = fair.oldest_due(lock=False)
    return [lane for lane in fair.LANES if conn.execute(oldest, fair.due_params(lane, 1, now)).first()]
