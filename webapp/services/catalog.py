"""The catalogue of handlers: workers write what they offer, the web reads what may be subscribed to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.domain.subscriptions import Offer
from webapp.runtime import Runtime
from webapp.store import subscriptions


@dataclass(frozen=True, slots=True)
class HandlerInfo:
    """A handler as people see it. ``options_schema`` is the JSON Schema of its options."""

    name: str
    description: str = ""
    isolated: bool = False
    options_schema: dict[str, Any] = field(default_factory=dict)
    origin: str = "built-in"
    batches: bool = False  # it takes a list of events in one call


def register_handlers(rt: Runtime, offered: Sequence[HandlerInfo]) -> bool:
    """Replace the catalogue with what this worker offers; answers whether it changed."""
    now = rt.clock()
    rows = [
        {
            "name": one.name,
            "description": one.description,
            "isolated": one.isolated,
            "options_schema": one.options_schema,
            "origin": one.origin,
            "batches": one.batches,
            "seen_at": now,
        }
        for one in offered
    ]
    with rt.db.write() as conn:
        return subscriptions.replace_handlers(conn, rows)


def list_handlers(rt: Runtime) -> list[HandlerInfo]:
    """The catalogue, by name."""
    with rt.db.read() as conn:
        return [
            HandlerInfo(row.name, row.description, row.isolated, row.options_schema, row.origin, row.batches)
            for row in subscriptions.list_handlers(conn)
        ]


def known_handlers(rt: Runtime) -> Offer:
    """What a subscription may name."""
    offered = list_handlers(rt)
    schemas = {one.name: one.options_schema for one in offered}
    return Offer(schemas, [one.name for one in offered if one.batches])
