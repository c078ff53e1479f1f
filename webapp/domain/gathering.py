"""Which waiting deliveries make a batch: by their number, their weight and their age. Without clock and database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from webapp.domain.policies import Batch

MAX_BYTES = 1024 * 1024  # payloads of one call, all together; a heavier event goes alone


@dataclass(frozen=True, slots=True)
class Collected:
    """A due delivery that is in no batch yet."""

    id: str
    key: str
    due_at: datetime
    weight: int  # bytes of its payload


@dataclass(frozen=True, slots=True)
class Formed:
    """The batches that are complete, each with its oldest delivery first, and when the next one has waited enough."""

    batches: tuple[tuple[str, ...], ...] = ()
    next_at: datetime | None = None


def form(policy: Batch, collected: Iterable[Collected], now: datetime, *, at_once: bool = False) -> Formed:
    """``collected`` comes by key, oldest first. ``at_once``: nobody is waited for."""
    batches: list[tuple[str, ...]] = []
    next_at: datetime | None = None
    for _, of_key in groupby(collected, lambda one: one.key):
        for some, is_full in _portions(policy, of_key):
            ripe_at = min(one.due_at for one in some) + policy.wait
            if is_full or at_once or ripe_at <= now:
                batches.append(tuple(one.id for one in some))
            else:
                next_at = ripe_at if next_at is None else min(next_at, ripe_at)
    return Formed(tuple(batches), next_at)


def _portions(policy: Batch, waiting: Iterable[Collected]) -> list[tuple[list[Collected], bool]]:
    """Cut by number and weight; every one but the last is full."""
    found: list[tuple[list[Collected], bool]] = []
    some: list[Collected] = []
    weight = 0
    for one in waiting:
        if some and weight + one.weight > MAX_BYTES:
            found.append((some, True))
            some, weight = [], 0
        some.append(one)
        weight += one.weight
        if len(some) == policy.size or weight >= MAX_BYTES:
            found.append((some, True))
            some, weight = [], 0
    return [*found, (some, False)] if some else found


def name_of(delivery_ids: Sequence[str]) -> str:
    """The name of one call: the same for the same deliveries, another as soon as one is missing or more are there.

    So whoever takes it for an idempotency key never drops an event that it has not had.
    """
    return "bat_" + hashlib.sha256("\n".join(sorted(delivery_ids)).encode()).hexdigest()[:26]
