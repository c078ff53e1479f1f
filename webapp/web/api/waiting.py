"""Why a delivery has not started, as JSON: what it waits for, and its place in the queue. Of one delivery, not in lists."""

from __future__ import annotations

from typing import Any

from webapp.domain.instants import iso_or_none
from webapp.store.feed_waiting import Waits


def waits_json(waits: Waits | None) -> dict[str, Any]:
    """``waiting_for`` and ``queue``; null for a delivery that is not due or does not wait."""
    if waits is None:
        return {"waiting_for": None, "queue": None}
    reason, place = waits.waiting_for, waits.place
    return {
        "waiting_for": None if reason is None else {
            "kind": reason.kind,
            "delivery_id": reason.delivery_id,
            "event_uid": reason.event_uid,
            "state": reason.state,
            "used": reason.used,
            "limit": reason.limit,
            "key": reason.key,
            "until": iso_or_none(reason.until),
        },
        "queue": None if place is None else {"ahead": place.ahead, "is_more": place.is_more, "eta_s": place.eta_s},
    }  # fmt: skip


_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_COUNT_OR_NULL: dict[str, Any] = {"type": ["integer", "null"]}

WAITING_SCHEMAS: dict[str, Any] = {
    "WaitingFor": {
        "type": ["object", "null"],
        "description": "What has to happen before a due delivery passes its gate. Null: only a free worker.",
        "required": ["kind"],
        "additionalProperties": False,
        "properties": {
            "kind": {
                "type": "string",
                "enum": ["batch", "order", "slot", "throttle", "gate"],
                "description": "batch: more deliveries of its batch, or the call of it; order: an earlier delivery of its key; slot: a place within the concurrency; throttle: the next period; gate: nothing, it passes next.",
            },
            "delivery_id": _TEXT_OR_NULL
            | {"description": "order: the first delivery of the key; batch: the one it goes along with."},
            "event_uid": _TEXT_OR_NULL | {"description": "order: the event of that delivery."},
            "state": _TEXT_OR_NULL
            | {"description": "order: the state of that delivery; a dead one waits for a person."},
            "used": _COUNT_OR_NULL | {"description": "slot: how many are under way; batch: how many are collected."},
            "limit": _COUNT_OR_NULL
            | {"description": "slot: how many may be; throttle: how many start per period; batch: its size."},
            "key": _TEXT_OR_NULL,
            "until": _TEXT_OR_NULL
            | {
                "format": "date-time",
                "description": "throttle: when the next may start; batch: when what is there goes.",
            },
        },
    },
    "QueuePlace": {
        "type": ["object", "null"],
        "required": ["ahead", "is_more", "eta_s"],
        "additionalProperties": False,
        "properties": {
            "ahead": {"type": "integer", "description": "Deliveries ahead, 1,000 at most."},
            "is_more": {"type": "boolean", "description": "More than that are ahead."},
            "eta_s": {
                "type": ["number", "null"],
                "description": "Seconds until its turn at the pace of the last minutes.",
            },
        },
    },
}
