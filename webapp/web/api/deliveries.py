"""``/api/v1/deliveries``: what became of each event at each subscription, and what can be done about it."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from webapp.domain.access import HIDDEN
from webapp.domain.errors import NotFound
from webapp.domain.instants import iso, iso_or_none
from webapp.domain.lifecycle import CancelEnd, State, cancel_end
from webapp.domain.reasons import reason_in_words
from webapp.domain.retry import RetryPolicy
from webapp.services import operate
from webapp.store import api_feeds, batches
from webapp.store.feed_waiting import waits_of
from webapp.web.api.blueprint import CURSOR, LIMIT, SINCE, UNTIL, answer, answer_page, bp, operation
from webapp.web.api.events import links_of_delivery
from webapp.web.api.once import once
from webapp.web.api.waiting import WAITING_SCHEMAS, waits_json
from webapp.web.auth import current_actor, may_view_payloads, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, choice_of, read_query, text_of

STATES = tuple(str(state) for state in State)
CANCEL_ENDS = tuple(str(end) for end in CancelEnd)
ATTEMPTS_SHOWN = 100
FILTERS = (
    Param("state", choice_of(*STATES), "Only this state.", {"type": "string", "enum": list(STATES)}),
    Param("subscription_id", text_of, "Only deliveries of this subscription."),
    Param("event", text_of, "Only deliveries of this event (its uid)."),
    SINCE,
    UNTIL,
    LIMIT,
    CURSOR,
)


@bp.get("/deliveries")
@require("read")
@operation("List deliveries", "deliveries", {200: "DeliveryList"}, query=FILTERS, problems=(400,))
def list_deliveries() -> Response:
    """Newest first."""
    wanted = read_query(*FILTERS)
    cursor, limit = wanted.pop("cursor"), wanted.pop("limit")
    with get_runtime().db.read() as conn:
        found = api_feeds.list_deliveries(conn, cursor, limit, **wanted)
    return answer_page(found, delivery_json)


@bp.get("/deliveries/<delivery_id>")
@require("read")
@operation("Fetch a delivery with its attempts", "deliveries", {200: "Delivery"}, problems=(404,))
def show_delivery(delivery_id: str) -> Response:
    """The newest hundred attempts, oldest first."""
    read_query()
    return answer(_with_attempts(delivery_id))


@bp.post("/deliveries/<delivery_id>/retry")
@require("operate")
@operation("Retry: try the same delivery again now", "deliveries", {200: "Delivery"}, problems=(404, 409, 503))
def retry_delivery(delivery_id: str) -> Response:
    """A waiting one does not wait any longer, a dead one gets all its tries again. So do the others of its `batch`."""
    read_query()
    operate.retry(get_runtime(), current_actor(), delivery_id)
    return answer(_with_attempts(delivery_id))


@bp.post("/deliveries/<delivery_id>/rerun")
@require("operate")
@operation(
    "Re-run: a new delivery of the same event to the same subscription",
    "deliveries",
    {201: "Delivery"},
    problems=(404, 409, 503),
)
@once()
def rerun_delivery(delivery_id: str) -> Response:
    """The old delivery stays as it is. Of a batch, all that have ended are run again, as a new batch."""
    read_query()
    new_id = operate.rerun(get_runtime(), current_actor(), delivery_id)
    return answer(_with_attempts(new_id), 201, {"Location": f"/api/v1/deliveries/{new_id}"})


@bp.post("/deliveries/<delivery_id>/cancel")
@require("operate")
@operation("Stop a delivery for good", "deliveries", {200: "Delivery"}, problems=(404, 409, 503))
def cancel_delivery(delivery_id: str) -> Response:
    """One that runs is asked to end: `cancel.how` says how it did, once it has."""
    read_query()
    operate.cancel(get_runtime(), current_actor(), delivery_id)
    return answer(_with_attempts(delivery_id))


@bp.post("/deliveries/<delivery_id>/skip")
@require("operate")
@operation("Do without a dead delivery", "deliveries", {200: "Delivery"}, problems=(404, 409, 503))
def skip_delivery(delivery_id: str) -> Response:
    """It counts as skipped; later deliveries of its ordered key that waited for it go on."""
    read_query()
    operate.skip(get_runtime(), current_actor(), delivery_id)
    return answer(_with_attempts(delivery_id))


def delivery_json(row: Any) -> dict[str, Any]:
    """A delivery without its attempts."""
    progress = {"done": row.progress_done, "total": row.progress_total, "message": row.progress_message}
    return {
        "id": row.id,
        "event_id": row.event_id,
        "event_uid": row.event_uid,
        "event_type": row.event_type,
        "subscription_id": row.subscription_id,
        "subscription": row.subscription_name,
        "handler": row.handler,
        "lane": row.lane,
        "state": row.state,
        "reason": row.reason,
        "explanation": reason_in_words(row.reason) or None,
        "attempt": row.attempt,
        "tries_used": row.tries_used,
        "max_attempts": RetryPolicy.from_json(row.retry).max_attempts,
        "created_at": iso(row.created_at),
        "due_at": iso(row.due_at) if row.state in ("pending", "waiting") else None,
        "started_at": iso_or_none(row.started_at),
        "finished_at": iso_or_none(row.finished_at),
        "error": None if row.error_type is None else {"type": row.error_type, "message": row.error_message},
        "progress": None if row.progress_done is None else progress,
        "rerun_of": row.replay_of,
        "batch_id": row.batch_id,
        "cancel": cancel_json(row),
        "superseded_by": row.superseded_by,
        "expires_at": iso_or_none(row.expires_at),
        "links": links_of_delivery(row.id) | {"event": f"/api/v1/events/{row.event_uid}"},
    }


def cancel_json(row: Any) -> dict[str, Any] | None:
    """Who asked for the end and when, and how it came; ``too_late`` when the delivery ended otherwise."""
    how = cancel_end(row.state, row.reason, row.cancel_requested_at is not None)
    if how is None and row.cancel_requested_at is None:
        return None
    return {"requested_at": iso_or_none(row.cancel_requested_at), "requested_by": row.cancel_requested_by, "how": how}


def _with_attempts(delivery_id: str) -> dict[str, Any]:
    rt = get_runtime()
    with rt.db.read() as conn:
        row = api_feeds.find_delivery(conn, delivery_id)
        if row is None:
            raise NotFound("There is no such delivery.")
        tries = api_feeds.attempts_of(conn, delivery_id, ATTEMPTS_SHOWN)
        waits = waits_of(conn, [delivery_id], rt.clock()).get(delivery_id)
        batch = batches.members(conn, row.batch_id)
    more = {"attempts": [_attempt_json(one) for one in tries], "batch": [_mate_json(one) for one in batch]}
    return delivery_json(row) | waits_json(waits) | more


def _mate_json(row: Any) -> dict[str, Any]:
    return {"id": row.id, "event_uid": row.event_uid, "state": row.state}


def _error_json(row: Any) -> dict[str, Any]:
    """A stack shows what it was called with, a message only what the handler chose to say."""
    stack = row.stack if row.stack is None or may_view_payloads() else HIDDEN
    return {"type": row.error_type, "message": row.error_message, "stack": stack}


def _attempt_json(row: Any) -> dict[str, Any]:
    failed = row.error_type is not None
    return {
        "id": row.id,
        "n": row.n,
        "outcome": row.outcome,
        "worker": row.worker,
        "due_at": iso(row.due_at),
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
        "duration_ms": round((row.finished_at - row.started_at).total_seconds() * 1000, 3),
        "result": None if row.result is None else json.loads(row.result) if may_view_payloads() else HIDDEN,
        "error": _error_json(row) if failed else None,
        "next_due_at": iso_or_none(row.next_due_at),
    }


_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}

SCHEMAS: dict[str, Any] = {
    "DeliveryState": {"type": "string", "enum": list(STATES)},
    "Delivery": {
        "type": "object",
        "required": ["id", "event_id", "event_uid", "subscription_id", "handler", "state", "attempt", "created_at", "links"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "event_id": {"type": "string"},
            "event_uid": {"type": "string"},
            "event_type": {"type": "string"},
            "subscription_id": {"type": "string"},
            "subscription": {"type": "string"},
            "handler": {"type": "string"},
            "lane": {"type": "string"},
            "state": {"$ref": "#/components/schemas/DeliveryState"},
            "reason": _TEXT_OR_NULL | {"description": "Of a dead one: exhausted, permanent, expired, lost, no_handler. Of a skipped one: shadow, rate_limited, duplicate, superseded. Of a held one: paused, breaker, releasing, loop."},
            "explanation": _TEXT_OR_NULL | {"description": "The reason in words."},
            "superseded_by": _TEXT_OR_NULL | {"description": "The delivery that was kept instead: of a duplicate the first, of a debounced one the last."},
            "expires_at": _TIME_OR_NULL | {"description": "It is not started later than this."},
            "attempt": {"type": "integer"},
            "tries_used": {"type": "integer"},
            "max_attempts": {"type": ["integer", "null"]},
            "created_at": _TIME,
            "due_at": _TIME_OR_NULL,
            "started_at": _TIME_OR_NULL,
            "finished_at": _TIME_OR_NULL,
            "error": {"type": ["object", "null"]},
            "progress": {"type": ["object", "null"]},
            "rerun_of": _TEXT_OR_NULL,
            "batch_id": _TEXT_OR_NULL | {"description": "The same for all that are given to the handler in one call."},
            "batch": {
                "type": "array",
                "description": "All of its batch, oldest first: retry and re-run act on them too. Not in lists.",
                "items": {
                    "type": "object",
                    "required": ["id", "event_uid", "state"],
                    "properties": {
                        "id": {"type": "string"},
                        "event_uid": {"type": "string"},
                        "state": {"$ref": "#/components/schemas/DeliveryState"},
                    },
                },
            },
            "cancel": {
                "type": ["object", "null"],
                "description": "Of one whose end was asked for.",
                "properties": {
                    "requested_at": _TIME_OR_NULL,
                    "requested_by": _TEXT_OR_NULL,
                    "how": _TEXT_OR_NULL | {"enum": [*CANCEL_ENDS, "too_late", None], "description": "null while it runs on."},
                },
            },
            "links": {"$ref": "#/components/schemas/Links"},
            "waiting_for": {"$ref": "#/components/schemas/WaitingFor"},
            "queue": {"$ref": "#/components/schemas/QueuePlace"},
            "attempts": {"type": "array", "items": {"$ref": "#/components/schemas/Attempt"}, "description": "Not in lists."},
        },
    },
    **WAITING_SCHEMAS,
    "Attempt": {
        "type": "object",
        "required": ["id", "n", "outcome", "worker", "due_at", "started_at", "finished_at", "duration_ms"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "n": {"type": "integer"},
            "outcome": {"type": "string"},
            "worker": {"type": "string"},
            "due_at": _TIME,
            "started_at": _TIME,
            "finished_at": _TIME,
            "duration_ms": {"type": "number"},
            "result": {"description": "What the handler answered."},
            "error": {"type": ["object", "null"]},
            "next_due_at": _TIME_OR_NULL,
        },
    },
}  # fmt: skip
