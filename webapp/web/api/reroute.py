"""``/api/v1/events/{id}/reroute``: a stored event against the subscriptions of today."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.services.reroute import reroute
from webapp.store.events import get_event_row
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.api.events import SOURCE, links_of_delivery, links_of_event
from webapp.web.api.once import once
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, choice_of, read_query

AGAIN = Param(
    "again",
    choice_of("true", "false"),
    "Also those that had it: they get a re-run.",
    {"type": "boolean", "default": False},
    "false",
)


@bp.post("/events/<event_id>/reroute")
@require("operate")
@operation(
    "Re-route: match an event against the subscriptions of today",
    "events",
    {200: "Rerouted"},
    query=(SOURCE, AGAIN),
    problems=(400, 404, 409, 503),
    description="Subscriptions that match now and have not had the event get a delivery; the others are skipped.",
)
@once()
def reroute_event(event_id: str) -> Response:
    """In one transaction; paused subscriptions hold their delivery."""
    wanted, rt = read_query(SOURCE, AGAIN), get_runtime()
    with rt.db.read() as conn:
        uid = get_event_row(conn, event_id, wanted["source"]).uid
    made = reroute(rt, current_actor(), uid, again=wanted["again"] == "true")
    document = {
        "event_uid": uid,
        "deliveries": [{"id": one, "links": links_of_delivery(one)} for one in made.deliveries],
        "skipped": [{"subscription_id": one.rule.id, "subscription": one.rule.name} for one in made.skipped],
        "links": links_of_event(uid),
    }
    return answer(document)


_TEXT: dict[str, Any] = {"type": "string"}

SCHEMAS: dict[str, Any] = {
    "Rerouted": {
        "type": "object",
        "required": ["event_uid", "deliveries", "skipped", "links"],
        "additionalProperties": False,
        "properties": {
            "event_uid": _TEXT,
            "deliveries": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "links"],
                    "properties": {"id": _TEXT, "links": {"$ref": "#/components/schemas/Links"}},
                },
            },
            "skipped": {
                "type": "array",
                "description": "Subscriptions that match but had the event already.",
                "items": {"type": "object", "properties": {"subscription_id": _TEXT, "subscription": _TEXT}},
            },
            "links": {"$ref": "#/components/schemas/Links"},
        },
    }
}
