"""Who may pass the gate: the decision about waiting deliveries of one subscription, without clock and database.

A throttle is a bucket of ``limit + burst`` tokens that gains one every ``period / limit``: after a quiet time so many
start at once, then one after the other. It is kept as the moment at which the bucket is full again (the theoretical
arrival time of the generic cell rate algorithm, ITU-T I.371): one number, which nobody has to move on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from webapp.domain.policies import Policies, Throttle

MOST = 500  # deliveries that one decision lets through


@dataclass(frozen=True, slots=True)
class Waiting:
    """A due delivery before the gate. Of an ordered key only the first is here, and only when nothing of it is under way."""

    id: str
    limit_key: str


@dataclass(frozen=True, slots=True)
class Load:
    """How many passed the gate and have not ended their try."""

    total: int = 0
    by_key: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What passes, when the buckets it took from are full again by key, and when an empty one has the next token."""

    admitted: tuple[str, ...] = ()
    full_at: Mapping[str, datetime] = field(default_factory=dict)
    next_at: datetime | None = None


def decide(
    policies: Policies, waiting: Iterable[Waiting], load: Load, full_at: Mapping[str, datetime], now: datetime
) -> Decision:
    """Let through who may pass, in the order of ``waiting``."""
    admitted: list[str] = []
    total, by_key = load.total, Counter(load.by_key)
    changed: dict[str, datetime] = {}
    next_at: datetime | None = None
    for one in waiting:
        if total - load.total >= MOST or not has_room(policies, total, by_key[one.limit_key]):
            continue
        if (throttle := policies.throttle) is not None:
            key = throttle_key(policies, one.limit_key)
            full = changed.get(key) or full_at.get(key)
            free_at = next_start(throttle, full, now)
            if free_at > now:
                next_at = min(next_at or free_at, free_at)
                continue
            changed[key] = started(throttle, full, now)
        admitted.append(one.id)
        total += 1
        by_key[one.limit_key] += 1
    return Decision(tuple(admitted), changed, next_at)


def has_room(policies: Policies, total: int, of_key: int) -> bool:
    """Whether one more may be under way."""
    limits = policies.concurrency
    if limits is None:
        return True
    return (limits.limit is None or total < limits.limit) and (limits.per_key is None or of_key < limits.per_key)


def throttle_key(policies: Policies, limit_key: str) -> str:
    """What the throttle counts by: the delivery's key, or all together."""
    return limit_key if policies.throttle is not None and policies.throttle.key is not None else ""


def next_start(throttle: Throttle, full_at: datetime | None, now: datetime) -> datetime:
    """When the next one may start: ``now``, or later."""
    interval = throttle.period / throttle.limit
    return max(now, max(full_at or now, now) + interval - (throttle.limit + throttle.burst) * interval)


def started(throttle: Throttle, full_at: datetime | None, now: datetime) -> datetime:
    """When the bucket is full again after one more has started."""
    return max(full_at or now, now) + throttle.period / throttle.limit


def is_keyed(policies: Policies) -> bool:
    """Whether deliveries stand in a row of their own per key: a full one must not keep the others waiting."""
    limits, throttle = policies.concurrency, policies.throttle
    return bool((limits is not None and limits.key is not None) or (throttle is not None and throttle.key is not None))


def most_at_once(policies: Policies, load: Load) -> int:
    """How many the limit of all together lets through at most now."""
    limit = policies.concurrency.limit if policies.concurrency is not None else None
    return MOST if limit is None else max(0, min(MOST, limit - load.total))


def most_per_key(policies: Policies) -> int:
    """How many of one key can pass at once."""
    limits, throttle = policies.concurrency, policies.throttle
    per_key = limits.per_key if limits is not None and limits.per_key is not None else MOST
    return min(per_key, throttle.limit + throttle.burst if throttle is not None else MOST, MOST)
