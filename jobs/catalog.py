"""Tells the hub which handlers this worker offers, so that people can subscribe to them."""

from __future__ import annotations

import logging

from jobs.registry import Registry, load_registry
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers

log = logging.getLogger(__name__)


def sync(rt: Runtime, registry: Registry | None = None) -> Registry:
    """Load the handlers (unless they are given) and write them down; answers them."""
    registry = registry or load_registry(rt.settings.handler_modules)
    offered = [
        HandlerInfo(
            name=name,
            description=entry.handler.description or entry.first_line(),
            isolated=entry.handler.isolated,
            options_schema=dict(entry.handler.options_schema),
            origin=entry.origin,
            batches=entry.handler.batches,
        )
        for name, entry in sorted(registry.entries.items())
    ]
    if register_handlers(rt, offered):
        log.info("handlers: %s", ", ".join(one.name for one in offered), extra={"action": "handlers_registered"})
    return registry
