"""The JSON API: one module per resource, each beside the description of what it takes and gives."""

from webapp.web.api import (
    backtest,
    batch,
    bulk,
    cloudevents,
    deliveries,
    errors,
    events,
    explain,
    flow,
    health,
    openapi,
    reroute,
    schedules,
    secrets,
    subscriptions,
)
from webapp.web.api.blueprint import bp

__all__ = [
    "backtest",
    "batch",
    "bp",
    "bulk",
    "cloudevents",
    "deliveries",
    "errors",
    "events",
    "explain",
    "flow",
    "health",
    "openapi",
    "reroute",
    "schedules",
    "secrets",
    "subscriptions",
]
