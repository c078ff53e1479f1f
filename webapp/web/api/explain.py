"""``/api/v1/explain`` and ``/api/v1/events/<id>/explain``: why would, did, or didn't a subscription run?"""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.access import HIDDEN
from webapp.domain.events import Event, EventDraft, parse_event
from webapp.domain.explain import Verdict
from webapp.domain.instants import iso
from webapp.services.explain import Explained, explain_draft, explain_event
from webapp.store.events import get_event_row, to_event
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.api.events import SOURCE, links_of_delivery, source_of
from webapp.web.auth import current_actor, may_view_payloads, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, read_json, read_query, text_of

ONLY = Param("subscription", text_of, "Only this subscription, also when its pattern does not fit.")


@bp.post("/explain")
@require("read")
@operation(
    "Try an event",
    "events",
    {200: "Explanation"},
    body="EventDraft",
    query=(ONLY,),
    problems=(400, 404, 413, 415, 422),
    description="What would become of this event if it were published now. Nothing is stored, nothing runs.",
)
def try_event() -> Response:
    """Explain an event that nobody has sent."""
    only = read_query(ONLY)["subscription"]
    rt = get_runtime()
    draft = parse_event(read_json(), default_source=source_of(current_actor()), now=rt.clock())
    return answer(explained_json(explain_draft(rt, draft, only)))


@bp.get("/events/<event_id>/explain")
@require("read")
@operation(
    "Explain an event",
    "events",
    {200: "Explanation"},
    query=(SOURCE, ONLY),
    problems=(400, 404, 409),
    description="Today's rules, asked as of the moment when the event came; `happened` and `note` tell what it led to "
    "then, and where that differs.",
)
def show_explanation(event_id: str) -> Response:
    """Explain a stored event."""
    wanted = read_query(SOURCE, ONLY)
    rt = get_runtime()
    with rt.db.read() as conn:
        event = to_event(get_event_row(conn, event_id, wanted["source"]))
    return answer(explained_json(explain_event(rt, event, wanted["subscription"], tells_values=may_view_payloads())))


def explained_json(found: Explained) -> dict[str, Any]:
    """The answer: the event as it was understood, and every verdict."""
    return {
        "event": _event_json(found.event),
        "total": found.total,
        "matched": found.matched,
        "candidates": [_verdict_json(one) for one in found.verdicts],
    }


def _event_json(event: Event | EventDraft) -> dict[str, Any]:
    shown = {name: getattr(event, name) for name in ("id", "type", "source", "version", "subject", "payload")}
    traced = {name: getattr(event, name) for name in ("correlation_id", "causation_id", "trace_id")}
    uid = event.uid if isinstance(event, Event) else None
    if uid is not None and not may_view_payloads():  # what one asks about oneself is no secret
        shown["payload"] = HIDDEN
    return {"uid": uid, **shown, "timestamp": iso(event.timestamp), "labels": dict(event.labels), **traced}


def _verdict_json(one: Verdict) -> dict[str, Any]:
    rule, happened = one.rule, one.happened
    return {
        "subscription": {
            "id": rule.id,
            "name": rule.name,
            "links": {"self": f"/api/v1/subscriptions/{rule.id}", "page": f"/subscriptions/{rule.id}"},
        },
        "pattern": rule.pattern,
        "pattern_fits": one.fits,
        "matched": one.matched,
        "clauses": [] if one.trace is None else [clause.to_json() for clause in one.trace.clauses],
        "failed": None if one.failure is None else one.failure.to_json(),
        "would": one.would,
        "outlook": one.outlook,
        "happened": None
        if happened is None
        else {"delivery_id": happened.delivery_id, "state": happened.state, "links": links_of_delivery(happened.delivery_id)},
        "note": one.note,
    }  # fmt: skip


_TEXT: dict[str, Any] = {"type": "string"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_CLAUSES: dict[str, Any] = {"type": "array", "items": {"$ref": "#/components/schemas/Clause"}}
SCHEMAS: dict[str, Any] = {
    "Clause": {
        "type": "object",
        "description": "What one comparison of a condition said of the event.",
        "required": ["pointer", "field", "op", "value", "verdict", "actual", "note", "text"],
        "additionalProperties": False,
        "properties": {
            "pointer": {"type": "string", "description": "JSON Pointer into the condition."},
            "field": _TEXT,
            "op": _TEXT,
            "value": {"description": "What was compared with."},
            "verdict": {"type": "boolean"},
            "actual": {"description": "What the event holds; null when the field is missing. Long values are cut."},
            "note": {"type": "string", "description": "Why it could not be compared."},
            "text": {"type": "string", "description": "For people: data.amount > 500 was 129.5"},
        },
    },
    "Verdict": {
        "type": "object",
        "required": ["subscription", "pattern", "pattern_fits", "matched", "clauses", "failed", "would", "outlook", "happened", "note"],
        "additionalProperties": False,
        "properties": {
            "subscription": {
                "type": "object",
                "required": ["id", "name", "links"],
                "properties": {"id": _TEXT, "name": _TEXT, "links": {"$ref": "#/components/schemas/Links"}},
            },
            "pattern": _TEXT,
            "pattern_fits": {"type": "boolean"},
            "matched": {"type": "boolean", "description": "The pattern fits and the condition holds."},
            "clauses": _CLAUSES,
            "failed": {
                "type": ["object", "null"],
                "description": "Why it would not run, with the clauses that are to blame.",
                "required": ["reason", "message", "clauses"],
                "properties": {
                    "reason": {"type": "string", "enum": ["pattern", "condition", "deleted"]},
                    "message": _TEXT,
                    "clauses": _CLAUSES,
                },
            },
            "would": {
                "type": "string",
                "enum": ["run", "shadow", "held", "skip"],
                "description": "What would be done today: run; recorded only (shadow); held, as it is paused or so; nothing.",
            },
            "outlook": {"type": "string", "description": "The same for people: would be held, because it is paused."},
            "happened": {
                "type": ["object", "null"],
                "description": "The newest delivery that a stored event led to here.",
                "required": ["delivery_id", "state", "links"],
                "properties": {
                    "delivery_id": _TEXT,
                    "state": {"$ref": "#/components/schemas/DeliveryState"},
                    "links": {"$ref": "#/components/schemas/Links"},
                },
            },
            "note": {"type": "string", "description": "For people: where what happened and today's rules differ."},
        },
    },
    "Explanation": {
        "type": "object",
        "required": ["event", "total", "matched", "candidates"],
        "additionalProperties": False,
        "properties": {
            "event": {
                "type": "object",
                "description": "As it was understood, defaults filled in.",
                "required": ["uid", "id", "type", "source", "version", "subject", "payload", "timestamp", "labels"],
                "additionalProperties": False,
                "properties": {
                    "uid": {"type": ["string", "null"], "description": "Null for an event that was not stored."},
                    "id": _TEXT_OR_NULL,
                    "type": _TEXT,
                    "source": _TEXT,
                    "version": {"type": "integer"},
                    "subject": _TEXT_OR_NULL,
                    "payload": {"type": "object"},
                    "timestamp": {"type": "string", "format": "date-time"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "correlation_id": _TEXT_OR_NULL,
                    "causation_id": _TEXT_OR_NULL,
                    "trace_id": _TEXT_OR_NULL,
                },
            },
            "total": {"type": "integer", "description": "Candidates; the first 1,000 are asked."},
            "matched": {"type": "integer"},
            "candidates": {"type": "array", "items": {"$ref": "#/components/schemas/Verdict"}},
        },
    },
}  # fmt: skip
