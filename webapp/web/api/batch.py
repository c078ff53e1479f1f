"""``POST /api/v1/events/batch``: up to a thousand events in one request, one transaction and one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, request

from webapp.domain.errors import Fault, HubError, Refused
from webapp.domain.event_batches import MAX_EVENTS, Limits, Read, read_array, read_lines
from webapp.domain.events import STATUSES, EventDraft
from webapp.services.accept import Accepted, BatchRefused
from webapp.web import auth
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.api.events import deprecation_header, note_refusal, source_of
from webapp.web.api.once import once
from webapp.web.context import get_hub
from webapp.web.errors import faults_json, item_problem
from webapp.web.requests import JSON, NDJSON, Param, choice_of, read_body, read_query

ATOMIC = Param(
    "atomic",
    choice_of("true", "false"),
    "All of them or none.",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
    "false",
)


class RefusedAsAWhole(Refused):
    """An atomic batch of which some events were refused; ``items`` are those."""

    def __init__(self, refused: Sequence[tuple[int, HubError]]) -> None:
        detail = f"Nothing was stored: {len(refused)} of the events were refused."
        faults = [
            Fault(f"/{index}{fault.pointer}", fault.code, fault.message)
            for index, error in refused
            for fault in error.faults or (Fault("", error.slug, error.detail),)
        ]
        super().__init__("batch-refused", detail, faults=faults[:MAX_EVENTS])
        self.items = [_item_json(index, error) for index, error in refused]

    @property
    def members(self) -> dict[str, Any]:
        return {"items": self.items}


@bp.post("/events/batch")
@auth.require("publish")
@operation(
    "Publish many events",
    "events",
    {202: "Batch", 207: "Batch"},
    body="EventBatch",
    body_types={NDJSON: "One event a line; blank lines do not count."},
    query=(ATOMIC,),
    headers=("Content-Encoding",),
    problems=(400, 409, 413, 415, 422, 429, 503),
    description=f"Up to {MAX_EVENTS:,} events, as a JSON array or as NDJSON, in one transaction. 202: all of them were "
    "accepted. 207: some, or all, were refused; each item says which, and those that were accepted are on disk. "
    "With `atomic=true` one that is refused keeps all out: 422, `items` names those that were.",
)
@once(lambda settings: settings.max_batch_bytes)
def publish_batch() -> Response:
    """Accept what can be accepted; with ``atomic``, all or nothing."""
    atomic = read_query(ATOMIC)["atomic"] == "true"
    hub, actor = get_hub(), auth.current_actor()
    body = read_body(hub.rt.settings.max_batch_bytes, (JSON, NDJSON))
    try:
        found = _read(body)
    except Refused as error:
        note_refusal(actor, error, body)
        raise
    drafts = [one for one in found if isinstance(one, EventDraft)]
    bad = [(index, one) for index, one in enumerate(found) if isinstance(one, Refused)]
    if bad:
        refused = RefusedAsAWhole(bad)
        note_refusal(actor, refused, body, len(bad))
        if atomic:
            raise refused
    answers = iter(hub.acceptor.accept_many(drafts, actor, atomic=atomic))
    results = [one if isinstance(one, Refused) else next(answers) for one in found]
    return _answer(results, atomic=atomic)


def _read(body: bytes) -> list[Read]:
    hub, actor = get_hub(), auth.current_actor()
    settings = hub.rt.settings
    limits = Limits(settings.max_json_depth, settings.max_body_bytes)
    read = read_lines if request.mimetype == NDJSON else read_array
    return read(body, limits, default_source=source_of(actor), now=hub.rt.clock())


def _answer(results: Sequence[Accepted | HubError], *, atomic: bool) -> Response:
    refused = [(index, one) for index, one in enumerate(results) if isinstance(one, HubError)]
    if refused and atomic:
        raise RefusedAsAWhole([(index, one) for index, one in refused if not isinstance(one, BatchRefused)])
    items = [_item_json(index, one) for index, one in enumerate(results)]
    counts = {"accepted": len(items) - len(refused), "refused": len(refused)}
    counts["duplicates"] = sum([isinstance(one, Accepted) and one.duplicate for one in results])
    header = deprecation_header(one for one in results if isinstance(one, Accepted))
    return answer({**counts, "items": items}, 207 if refused else 202, header)


def _item_json(index: int, one: Accepted | HubError) -> dict[str, Any]:
    if isinstance(one, HubError):
        return {"index": index, "status": one.status, "problem": item_problem(one)}
    item: dict[str, Any] = {
        "index": index,
        "status": 202,
        "id": one.id,
        "uid": one.uid,
        "duplicate": one.duplicate,
        "event_status": one.status,
        "deliveries": len(one.deliveries),
    }
    if one.warnings:
        item["warnings"] = faults_json(one.warnings)
    if one.deprecation is not None:
        item["deprecation"] = one.deprecation.instead
    return item


_COUNT = {"type": "integer", "minimum": 0}
SCHEMAS: dict[str, Any] = {
    "EventBatch": {"type": "array", "maxItems": MAX_EVENTS, "items": {"$ref": "#/components/schemas/EventDraft"}},
    "Warnings": {
        "type": "array",
        "description": "How it breaks the schema of its type, which only warns.",
        "items": {
            "type": "object",
            "required": ["pointer", "code", "message"],
            "properties": {name: {"type": "string"} for name in ("pointer", "code", "message")},
        },
    },
    "Batch": {
        "type": "object",
        "required": ["accepted", "refused", "duplicates", "items"],
        "additionalProperties": False,
        "properties": {
            "accepted": {**_COUNT, "description": "Duplicates are among them."},
            "refused": _COUNT,
            "duplicates": _COUNT,
            "items": {
                "type": "array",
                "description": "One per event, in the order in which they were sent.",
                "items": {
                    "type": "object",
                    "required": ["index", "status"],
                    "additionalProperties": False,
                    "properties": {
                        "index": {"type": "integer", "minimum": 0},
                        "status": {"type": "integer", "description": "202, or that of the problem."},
                        "id": {"type": "string"},
                        "uid": {"type": "string", "description": "The hub's own id."},
                        "duplicate": {"type": "boolean"},
                        "event_status": {"type": "string", "enum": list(STATUSES)},
                        "deliveries": _COUNT,
                        "warnings": {"$ref": "#/components/schemas/Warnings"},
                        "deprecation": {"type": "string", "description": "Its type is deprecated: what to use instead."},
                        "problem": {"type": "object", "description": "Why it was refused: as in a problem document."},
                    },
                },
            },
        },
    },
}  # fmt: skip
