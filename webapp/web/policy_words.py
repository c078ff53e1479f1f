"""Policies in words, one line each, for the page of a subscription."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from webapp.domain.keytemplates import KeyTemplate
from webapp.domain.policies import Batch, Breaker, Concurrency, Debounce, Ordering, Policies, RateLimit, Throttle
from webapp.domain.retry import format_duration


def policy_words(policies: Policies) -> list[tuple[str, str]]:
    """(title, what it says) of every policy that is on, in the order in which they are asked."""
    priority = policies.priority if policies.priority != "normal" else None
    found: list[tuple[str, Any, Callable[[Any], str]]] = [
        ("Priority", priority, str),
        ("Rate limit", policies.rate_limit, _rate_limit),
        ("Once per key", policies.dedupe, lambda one: f"{one.key.text} within {_time(one.window)}"),
        ("Debounce", policies.debounce, _debounce),
        ("Batch", policies.batch, _batch),
        ("In order", policies.ordering, _ordering),
        ("At once", policies.concurrency, _concurrency),
        ("Throttle", policies.throttle, _throttle),
        ("Expires", policies.expires, lambda after: f"after {_time(after)} in the queue"),
        ("Circuit breaker", policies.breaker, _breaker),
    ]
    return [(title, say(policy)) for title, policy, say in found if policy is not None]


def _time(value: timedelta) -> str:
    return format_duration(value)


def _per(key: KeyTemplate | None) -> str:
    return "" if key is None else f" per {key.text}"


def _rate_limit(one: RateLimit) -> str:
    return f"{one.limit:,} in {_time(one.period)}{_per(one.key)}, others skipped"


def _debounce(one: Debounce) -> str:
    words = f"the last event{_per(one.key)} after {_time(one.period)} of quiet"
    return words if one.max_wait is None else f"{words}, {_time(one.max_wait)} at most"


def _batch(one: Batch) -> str:
    return f"up to {one.size:,} events{_per(one.key)} in one call, none later than {_time(one.wait)} after the first"


def _ordering(one: Ordering) -> str:
    dead = "a dead one blocks its key" if one.on_dead == "block" else "a dead one is passed by"
    return f"one after the other{_per(one.key)}; {dead}"


def _concurrency(limits: Concurrency) -> str:
    parts = [] if limits.limit is None else [f"{limits.limit:,} in all"]
    if limits.per_key is not None:
        parts.append(f"{limits.per_key:,}{_per(limits.key)}")
    return ", ".join(parts)


def _throttle(one: Throttle) -> str:
    burst = f", {one.burst:,} more at first" if one.burst else ""
    return f"{one.limit:,} starts in {_time(one.period)}{_per(one.key)}{burst}, others queue"


def _breaker(one: Breaker) -> str:
    words = f"opens at {one.failure_rate:.0%} failures of {one.min_tries:,} tries or more in {_time(one.window)}"
    words += f", probes after {_time(one.open_for)}"
    return words if one.disable_after is None else f"{words}, pauses for good after {_time(one.disable_after)}"
