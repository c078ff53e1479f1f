"""Who may pass the gate: the decision about waiting deliveries of one subscription, without clock and database.

A throttle counts in windows of one period. A window begins with the first start after the one before has ended,
so that a backlog never starts more than ``limit`` within a period, however late somebody looks. After a period
without any start there are ``burst`` more.
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
class Window:
    """A throttle's present window. ``n`` starts were counted in it; below zero as long as the burst lasts."""

    at: datetime
    n: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What passes, the windows that changed by key, and when a full one ends."""

    admitted: tuple[str, ...] = ()
    windows: Mapping[str, Window] = field(default_factory=dict)
    next_at: datetime | None = None


def decide(
    policies: Policies, waiting: Iterable[Waiting], load: Load, windows: Mapping[str, Window], now: datetime
) -> Decision:
    """Let through who may pass, in the order of ``waiting``."""
    admitted: list[str] = []
    total, by_key = load.total, Counter(load.by_key)
    changed: dict[str, Window] = {}
    next_at: datetime | None = None
    for one in waiting:
        if total - load.total >= MOST or not has_room(policies, total, by_key[one.limit_key]):
            continue
        if (throttle := policies.throttle) is not None:
            key = throttle_key(policies, one.limit_key)
            window = current_window(throttle, changed.get(key) or windows.get(key), now)
            if window.n >= throttle.limit:
                next_at = min(next_at or ends_at(throttle, window), ends_at(throttle, window))
                continue
            changed[key] = Window(window.at, window.n + 1)
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


def current_window(throttle: Throttle, window: Window | None, now: datetime) -> Window:
    """The window that ``now`` falls into: the one that is open, or a new one."""
    if window is None or now >= window.at + 2 * throttle.period:
        return Window(now, -throttle.burst)
    return window if now < ends_at(throttle, window) else Window(now, 0)


def ends_at(throttle: Throttle, window: Window) -> datetime:
    """When the next window may begin."""
    return window.at + throttle.period


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
