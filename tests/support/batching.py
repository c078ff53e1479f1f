"""Deliveries that wait for their batch, and a worker's steps with it."""

from __future__ import annotations

from typing import Any

from tests.support.factories import make_delivery, make_event, make_subscription, row_of
from webapp.runtime import Runtime
from webapp.store import tables as t

TWICE = {"max_attempts": 2, "base_s": 1, "cap_s": 1, "jitter": False}


def batching(rt: Runtime, size: int = 3, wait: str = "1m", *, handler: str = "log", **more: Any) -> str:
    """A subscription that collects; ``more`` are other policies."""
    policies = {"batch": {"size": size, "wait": wait}, **more}
    return make_subscription(rt, handler=handler, retry=TWICE, policies=policies)


def arrive(rt: Runtime, subscription_id: str, n: int = 1, key: str = "", **fields: Any) -> list[str]:
    """New deliveries as accepting leaves them: before the gate."""
    payload = {"payload": fields.pop("payload")} if "payload" in fields else {}
    return [
        make_delivery(rt, make_event(rt, **payload), subscription_id, gated=True, limit_key=key, **fields)
        for _ in range(n)
    ]


def states(rt: Runtime, ids: list[str]) -> list[str]:
    """In the order of ``ids``."""
    return [row_of(rt, t.deliveries, id).state for id in ids]
