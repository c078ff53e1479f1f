"""The gate: deliveries of subscriptions with ordering, concurrency, a throttle or a batch pass it one decision at a time.

Asked before workers claim, when something under way has ended, and by every pulse of the beat. Each decision
has a transaction of its own, one at a time per subscription, so two processes never let too many through.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from webapp.domain.errors import Unavailable
from webapp.domain.gate import MOST, Load, Waiting, decide, is_keyed, most_at_once, most_per_key, throttle_key
from webapp.domain.gathering import form
from webapp.domain.policies import Batch, Ordering, Policies
from webapp.runtime import Runtime
from webapp.store import batches, gates
from webapp.store.batches import Look

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passed:
    """What came of asking: how many passed, and when a throttle lets the next through."""

    count: int = 0
    next_at: datetime | None = None


def admit(rt: Runtime) -> int:
    """Let through all that may pass, of every subscription; answers how many."""
    return open_gates(rt).count


def open_gates(rt: Runtime, *, claims_next: str | None = None) -> Passed:
    """The same, saying when to ask again. Workers are told, but not of the lane that the caller itself claims from."""
    with rt.db.read() as conn:
        if not gates.any_waiting(conn):
            return Passed()
        waiting = gates.waiting_subscriptions(conn, rt.clock())
    return _open(rt, dict.fromkeys(waiting), claims_next)


class HasPlace(Protocol):
    """A delivery that others may wait for: a claimed one, or a row."""

    @property
    def subscription_id(self) -> str: ...
    @property
    def order_key(self) -> str | None: ...
    @property
    def limit_key(self) -> str | None: ...


def after_end(rt: Runtime, ended: Iterable[HasPlace]) -> Passed:
    """Tries have ended: who waited for them may pass. Of ordered keys only these are looked at.

    Never raises: what has ended is on record, and the beat asks again.
    """
    freed: dict[str, set[str] | None] = defaultdict(set)
    for one in ended:
        if one.limit_key is not None:
            freed[one.subscription_id] = None
        elif one.order_key is not None and (keys := freed[one.subscription_id]) is not None:
            keys.add(one.order_key)
    try:
        return _open(rt, freed) if freed else Passed()
    except Unavailable:
        log.warning("gates stay closed: the database does not answer", extra={"action": "gate_failed"})
    except Exception:
        log.exception("a gate could not be opened", extra={"action": "gate_failed"})
    return Passed()


def _open(rt: Runtime, asked: Mapping[str, Iterable[str] | None], claims_next: str | None = None) -> Passed:
    count, times, lanes = 0, [], set()
    for subscription_id in sorted(asked):
        keys = asked[subscription_id]
        found = _look_at_batches(rt, subscription_id) if keys is None else None
        if found is not None and found.is_quiet:
            times += [] if found.next_at is None else [found.next_at]
            continue
        with rt.db.write() as conn:
            subscription = gates.lock_gate(conn, subscription_id)
            if subscription is None or subscription.paused_at is not None:
                continue
            passed, next_at = _decide(conn, rt, subscription, None if keys is None else sorted(keys), found)
        count += len(passed)
        times += [] if next_at is None else [next_at]
        lanes |= {row.lane for row in passed}
    for lane in lanes - {claims_next}:
        rt.queue.ring(lane)
    return Passed(count, min(times, default=None))


def _decide(
    conn: Connection, rt: Runtime, subscription: Any, keys: Sequence[str] | None, found: Look | None
) -> tuple[Sequence[Any], datetime | None]:
    now, policies = rt.clock(), Policies.from_json(subscription.policies)
    if policies.batch is not None:
        return ((), now) if found is None else _gather(conn, subscription.id, policies.batch, found, now)
    load = gates.load_of(conn, subscription.id) if policies.concurrency is not None else Load()
    waiting = _candidates(conn, rt, subscription.id, policies, load, keys, now)
    if policies.throttle is None or not waiting:
        return gates.let_through(conn, decide(policies, waiting, load, {}, now).admitted), None
    counted = {throttle_key(policies, one.limit_key) for one in waiting}
    buckets = gates.buckets_of(conn, subscription.id, sorted(counted))
    decision = decide(policies, waiting, load, buckets, now)
    gates.keep_buckets(conn, subscription.id, decision.full_at)
    return gates.let_through(conn, decision.admitted), decision.next_at


def _look_at_batches(rt: Runtime, subscription_id: str) -> Look | None:
    """What is to be done about its batches, if it has any: a look that keeps nobody from writing."""
    with rt.db.read() as conn:
        policy = gates.batch_of(conn, subscription_id)
        return None if policy is None else batches.look(conn, subscription_id, policy, rt.clock())


def _gather(
    conn: Connection, subscription_id: str, policy: Batch, found: Look, now: datetime
) -> tuple[Sequence[Any], datetime | None]:
    """Form the batches that are complete, and let those fly again that came back."""
    found = batches.look_again(conn, subscription_id, policy, now, found)
    waiting = batches.collected(conn, subscription_id, found.ripe, policy.size, now) if found.ripe else []
    formed = form(policy, waiting, now, at_once=found.at_once)
    again = [*batches.carriers(conn, found.idle, now), *found.strays]
    opened = [row for one in formed.batches[: found.room - len(again)] for row in batches.bind(conn, one)]
    times = [at for at in (found.next_at, formed.next_at) if at is not None]
    return [*opened, *gates.let_through(conn, again)], min(times, default=None)


def _candidates(
    conn: Connection,
    rt: Runtime,
    subscription_id: str,
    policies: Policies,
    load: Load,
    keys: Sequence[str] | None,
    now: datetime,
) -> list[Waiting]:
    """Who is to be decided about, oldest first. Policies may have been changed since they were made."""
    most = most_at_once(policies, load)
    if most == 0:
        return []
    if policies.ordering is not None:
        rows = _heads(conn, rt, subscription_id, policies.ordering, keys)
        rows += _strays(conn, subscription_id, now, "order_key") if keys is None else []
    elif is_keyed(policies):
        rows = list(gates.oldest_of_each_key(conn, subscription_id, now, min(most, most_per_key(policies))))
        rows += _strays(conn, subscription_id, now, "limit_key")
    else:
        rows = list(gates.oldest_waiting(conn, subscription_id, now, most))
    return [Waiting(row.id, row.limit_key or "") for row in rows]


def _heads(
    conn: Connection, rt: Runtime, subscription_id: str, ordering: Ordering, keys: Sequence[str] | None
) -> list[Any]:
    """The first of each key. Where there are very many keys, a second look begins at one that is drawn by lot."""
    skip_dead = ordering.on_dead == "continue"
    rows, is_more = gates.heads(conn, subscription_id, rt.clock(), skip_dead=skip_dead, keys=keys)
    if is_more:
        after = gates.key_of_any_waiting(conn, subscription_id, rt.roll())
        more, _ = gates.heads(conn, subscription_id, rt.clock(), skip_dead=skip_dead, keys=None, after=after)
        rows += [row for row in more if row.id not in {one.id for one in rows}]
    return rows


def _strays(conn: Connection, subscription_id: str, now: datetime, column: str) -> list[Any]:
    """Deliveries from before the policies were changed: they have no key, and nothing to wait for."""
    oldest = gates.oldest_waiting(conn, subscription_id, now, MOST)
    return [row for row in oldest if getattr(row, column) is None]
