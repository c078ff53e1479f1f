"""``/api/v1/events``: the door for programs that publish, and the history for programs that look."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from flask import Response

from webapp.domain.access import HIDDEN, Actor
from webapp.domain.errors import HubError, Refused
from webapp.domain.events import STATUSES, TYPE_CHARS, TYPE_PATTERN, parse_event
from webapp.domain.instants import iso, iso_or_none
from webapp.domain.jsontext import parse_json
from webapp.services.accept import Accepted, record_refusal
from webapp.services.notes import Refusals
from webapp.store import api_feeds
from webapp.store.events import get_event_row
from webapp.store.status import status_json
from webapp.web import auth
from webapp.web.api.blueprint import CURSOR, LIMIT, SINCE, UNTIL, answer, answer_page, bp, operation
from webapp.web.api.hiding import without_stacks
from webapp.web.api.once import once
from webapp.web.api.prefer import answer_when_ended, seconds_to_wait
from webapp.web.context import get_hub, get_runtime
from webapp.web.errors import faults_json
from webapp.web.requests import Param, choice_of, read_body, read_query, text_of

HEAD_CHARS = 200
NOT_IN_SOURCES = re.compile(r"[^\x21-\x7e]+")
SOURCE = Param("source", text_of, "Only events of this source; tells events apart that have the same id.")
FILTERS = (
    Param("type", text_of, "Only this type; * stands for any run of characters: order.*"),
    SOURCE,
    Param("status", choice_of(*STATUSES), "Only this status.", {"type": "string", "enum": list(STATUSES)}),
    SINCE,
    UNTIL,
    LIMIT,
    CURSOR,
)
refusals = Refusals()


@bp.post("/events")
@auth.require("publish")
@operation(
    "Publish an event",
    "events",
    {200: "EventStatus", 202: "Accepted"},
    body="EventDraft",
    headers=("Prefer", "Content-Encoding"),
    problems=(400, 409, 413, 415, 422, 429, 503),
    description="Answered when the event and its deliveries are on disk. A known (source, id) is not stored again: "
    "the answer then describes the original and says `duplicate: true`. With `Prefer: wait=10` the answer waits up to "
    "10 s (30 at most) for the event to end: 200 with its status document if it did. An event that breaks the schema of "
    "its type is 422, kept as rejected under `event_id`.",
)
@once()
def publish() -> Response:
    """Accept one event."""
    read_query()
    hub, actor = get_hub(), auth.current_actor()
    settings = hub.rt.settings
    body = read_body(settings.max_body_bytes)
    try:
        document = parse_json(body, max_depth=settings.max_json_depth)
        draft = parse_event(document, default_source=source_of(actor), now=hub.rt.clock())
    except Refused as error:
        note_refusal(actor, error, body)
        raise
    accepted = hub.acceptor.accept(draft, actor)
    response = answer(accepted_json(accepted), 202, deprecation_header([accepted]))
    seconds = seconds_to_wait()
    return response if seconds is None else answer_when_ended(accepted.uid, seconds, response)


@bp.get("/events")
@auth.require("read")
@operation("List events", "events", {200: "EventList"}, query=FILTERS, problems=(400,))
def list_events() -> Response:
    """Newest first, without payloads."""
    wanted = read_query(*FILTERS)
    cursor, limit = wanted.pop("cursor"), wanted.pop("limit")
    with get_runtime().db.read() as conn:
        found = api_feeds.list_events(conn, cursor, limit, **wanted)
    return answer_page(found, event_json)


@bp.get("/events/<event_id>")
@auth.require("read")
@operation("Fetch an event", "events", {200: "Event"}, query=(SOURCE,), problems=(400, 404, 409))
def show_event(event_id: str) -> Response:
    """By the hub's id, else by the sender's."""
    wanted = read_query(SOURCE)
    with get_runtime().db.read() as conn:
        row = get_event_row(conn, event_id, wanted["source"])
    if not auth.may_view_payloads():
        return answer(event_json(row) | {"payload": None, "payload_hidden": HIDDEN})
    return answer(event_json(row) | {"payload": json.loads(row.payload)})


@bp.get("/events/<event_id>/status")
@auth.require("read")
@operation("See what became of an event", "events", {200: "EventStatus"}, query=(SOURCE,), problems=(400, 404, 409))
def show_status(event_id: str) -> Response:
    """The status document."""
    wanted = read_query(SOURCE)
    rt = get_runtime()
    with rt.db.read() as conn:
        document = status_json(conn, event_id, rt.clock(), wanted["source"])
    return answer(document | {"errors": without_stacks(document["errors"])})


def event_json(row: Any) -> dict[str, Any]:
    """An event without its payload."""
    return {
        "id": row.id,
        "uid": row.uid,
        "type": row.type,
        "source": row.source,
        "version": row.version,
        "subject": row.subject,
        "timestamp": iso(row.timestamp),
        "received_at": iso(row.received_at),
        "deliver_at": iso_or_none(row.deliver_at),
        "labels": row.labels,
        "status": row.status,
        "problem": row.problem,
        "duplicates": row.duplicates,
        "duplicate_at": iso_or_none(row.duplicate_at),
        "deliveries": {"total": row.total, "open": row.open, "succeeded": row.succeeded, "failed": row.failed},
        "correlation_id": row.correlation_id,
        "causation_id": row.causation_id,
        "trace_id": row.trace_id,
        "links": links_of_event(row.uid),
    }


def links_of_event(uid: str) -> dict[str, str]:
    """Where to look next."""
    return {"self": f"/api/v1/events/{uid}", "status": f"/api/v1/events/{uid}/status", "page": f"/events/{uid}"}


def links_of_delivery(delivery_id: str) -> dict[str, str]:
    """Where to look next."""
    return {"self": f"/api/v1/deliveries/{delivery_id}", "page": f"/deliveries/{delivery_id}"}


def accepted_json(accepted: Accepted) -> dict[str, Any]:
    """What a publisher is answered."""
    names = {one.subscription_id: one.subscription_name for one in accepted.deliveries}
    document = {
        "id": accepted.id,
        "uid": accepted.uid,
        "duplicate": accepted.duplicate,
        "status": accepted.status,
        "subscriptions": [{"id": key, "name": name} for key, name in names.items()],
        "deliveries": [
            {
                "id": one.id,
                "subscription_id": one.subscription_id,
                "state": one.state,
                "reason": one.reason,
                "links": links_of_delivery(one.id),
            }
            for one in accepted.deliveries
        ],
        "links": links_of_event(accepted.uid),
    }
    if accepted.warnings:
        document["warnings"] = faults_json(accepted.warnings)
    if accepted.deprecation is not None:
        document["deprecation"] = accepted.deprecation.instead
    return document


def deprecation_header(accepted: Iterable[Accepted]) -> dict[str, str] | None:
    """RFC 9745: since when the type is deprecated; of several types, since when the first of them is."""
    since = [one.deprecation.since for one in accepted if one.deprecation is not None]
    return {"Deprecation": f"@{int(min(since).timestamp())}"} if since else None


def source_of(actor: Actor) -> str:
    """The source of an event whose sender named none: the key's name."""
    return NOT_IN_SOURCES.sub("-", actor.name)[:200]


def note_refusal(actor: Actor, error: HubError, body: bytes, count: int = 1) -> None:
    """Nothing vanishes: what was refused leaves a trace, but a flood of it does not flood the audit log."""
    rt = get_runtime()
    if not refusals.may_note(actor.id):
        return
    head = body[:HEAD_CHARS].decode("utf-8", "replace")
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in head)
    try:
        record_refusal(rt, actor, error.slug, error.faults, clean, count)
    except HubError:  # the refusal itself matters more than its trace
        return


SCHEMAS: dict[str, Any] = {
    "EventDraft": {
        "type": "object",
        "required": ["type"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "pattern": TYPE_PATTERN, "maxLength": TYPE_CHARS},
            "source": {"type": ["string", "null"], "maxLength": 200, "description": "The name of the key when left out."},
            "payload": {"type": "object", "description": "Anything; kept as it is."},
            "id": {"type": ["string", "null"], "maxLength": 200, "description": "Unique within the source: sent again, the event is not stored again."},
            "timestamp": {"type": ["string", "null"], "format": "date-time", "description": "When it happened; the time of arrival when left out."},
            "version": {"type": ["integer", "null"], "minimum": 1},
            "subject": {"type": ["string", "null"], "maxLength": 256},
            "labels": {"type": ["object", "null"], "maxProperties": 32, "additionalProperties": {"type": "string", "maxLength": 256}},
            "correlation_id": {"type": ["string", "null"], "maxLength": 200},
            "causation_id": {"type": ["string", "null"], "maxLength": 200, "description": "The id of the event that caused this one. Events that cause one another without end are held."},
            "trace_id": {"type": ["string", "null"], "pattern": "^[0-9a-f]{32}$"},
            "deliver_at": {"type": ["string", "null"], "format": "date-time", "description": "It is stored and routed now, but not delivered before this; at most a year ahead. At once when left out."},
            "delay": {"type": ["string", "number", "null"], "description": "The same from now on: 10m, 1h30m, or seconds. Not together with deliver_at.", "examples": ["10m"]},
        },
        "examples": [{"type": "order.paid", "source": "shop", "payload": {"order": 1042, "amount": 19.9}, "labels": {"region": "eu"}}],
    },
    "Links": {"type": "object", "additionalProperties": {"type": "string"}},
    "Accepted": {
        "type": "object",
        "required": ["id", "uid", "duplicate", "status", "subscriptions", "deliveries", "links"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "uid": {"type": "string", "description": "The hub's own id."},
            "duplicate": {"type": "boolean"},
            "status": {"type": "string", "enum": list(STATUSES)},
            "subscriptions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "name"],
                    "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
                },
            },
            "deliveries": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "subscription_id", "state", "links"],
                    "properties": {
                        "id": {"type": "string"},
                        "subscription_id": {"type": "string"},
                        "state": {"$ref": "#/components/schemas/DeliveryState"},
                        "reason": {"type": ["string", "null"], "description": "Why it is held or was skipped."},
                        "links": {"$ref": "#/components/schemas/Links"},
                    },
                },
            },
            "warnings": {"$ref": "#/components/schemas/Warnings"},
            "deprecation": {"type": "string", "description": "Its type is deprecated: what to use instead."},
            "links": {"$ref": "#/components/schemas/Links"},
        },
    },
    "Event": {
        "type": "object",
        "required": ["id", "uid", "type", "source", "version", "timestamp", "received_at", "labels", "status", "deliveries", "links"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "uid": {"type": "string"},
            "type": {"type": "string"},
            "source": {"type": "string"},
            "version": {"type": "integer"},
            "subject": {"type": ["string", "null"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "received_at": {"type": "string", "format": "date-time"},
            "deliver_at": {"type": ["string", "null"], "format": "date-time", "description": "When it was to be delivered, if not at once."},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "status": {"type": "string", "enum": list(STATUSES)},
            "problem": {"type": ["string", "null"], "description": "Why it was rejected."},
            "duplicates": {"type": "integer", "description": "How often it was sent again."},
            "duplicate_at": {"type": ["string", "null"], "format": "date-time"},
            "deliveries": {
                "type": "object",
                "required": ["total", "open", "succeeded", "failed"],
                "properties": {name: {"type": "integer"} for name in ("total", "open", "succeeded", "failed")},
            },
            "correlation_id": {"type": ["string", "null"]},
            "causation_id": {"type": ["string", "null"]},
            "trace_id": {"type": ["string", "null"]},
            "links": {"$ref": "#/components/schemas/Links"},
            "payload": {"type": ["object", "null"], "description": "Not in lists."},
            "payload_hidden": {"type": "string", "description": "Why there is no payload."},
        },
    },
    "EventStatus": {
        "type": "object",
        "required": ["event_id", "status", "handlers", "errors", "timestamp"],
        "additionalProperties": False,
        "properties": {
            "event_id": {"type": "string"},
            "status": {"type": "string", "enum": list(STATUSES)},
            "handlers": {
                "type": "array",
                "description": "One entry per delivery, oldest first.",
                "items": {
                    "type": "object",
                    "required": ["delivery_id", "subscription_id", "handler", "state", "attempt"],
                    "properties": {
                        "delivery_id": {"type": "string"},
                        "subscription_id": {"type": "string"},
                        "subscription": {"type": "string"},
                        "handler": {"type": "string"},
                        "state": {"$ref": "#/components/schemas/DeliveryState"},
                        "reason": {"type": ["string", "null"]},
                        "explanation": {"type": ["string", "null"], "description": "The reason in words."},
                        "superseded_by": {"type": ["string", "null"], "description": "The delivery that was kept instead."},
                        "attempt": {"type": "integer"},
                        "max_attempts": {"type": ["integer", "null"]},
                        "due_at": {"type": ["string", "null"], "format": "date-time"},
                        "started_at": {"type": ["string", "null"], "format": "date-time"},
                        "finished_at": {"type": ["string", "null"], "format": "date-time"},
                        "progress": {"type": ["object", "null"]},
                    },
                },
            },
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
            "timestamp": {"type": "string", "format": "date-time", "description": "The time of this answer."},
        },
    },
}  # fmt: skip
