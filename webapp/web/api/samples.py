"""``/api/v1/samples``: events that somebody keeps under a name."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.events import TYPE_CHARS, TYPE_PATTERN
from webapp.domain.instants import iso
from webapp.domain.samples import NAME_CHARS, parse_sample
from webapp.services import samples as service
from webapp.store import samples as store
from webapp.store.api_feeds import Cursor, Slice
from webapp.web.api.blueprint import CURSOR, LIMIT, answer, answer_page, bp, operation
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, read_json, read_query, text_of

TYPE = Param("type", text_of, "Only those of this event type.", default="")
WORDS = Param("q", text_of, "Words in name or type.", default="")

SCHEMAS: dict[str, Any] = {
    "SampleDraft": {
        "type": "object",
        "required": ["name", "event"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "maxLength": NAME_CHARS, "description": "One line; of its own within its type."},
            "event": {"$ref": "#/components/schemas/SampleEvent"},
        },
        "examples": [{"name": "A big order", "event": {"type": "order.paid", "payload": {"amount": 12_000}}}],
    },
    "SampleEvent": {
        "type": "object",
        "required": ["type", "payload"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "pattern": TYPE_PATTERN, "maxLength": TYPE_CHARS},
            "version": {"type": "integer"},
            "source": {"type": "string"},
            "subject": {"type": "string"},
            "payload": {"type": "object"},
            "labels": {"type": "object"},
        },
    },
    "Sample": {
        "type": "object",
        "required": ["id", "name", "type", "event", "created_at", "created_by"],
        "properties": {
            "id": {"type": "string"},
            "name": {"type": "string"},
            "type": {"type": "string"},
            "event": {"$ref": "#/components/schemas/SampleEvent"},
            "created_at": {"type": "string", "format": "date-time"},
            "created_by": {"type": "string"},
            "links": {"type": "object"},
        },
    },
}


@bp.get("/samples")
@require("read", payloads=True)
@operation("List samples", "samples", {200: "SampleList"}, query=(LIMIT, CURSOR, TYPE, WORDS), problems=(400,))
def list_samples() -> Response:
    """Newest first."""
    wanted = read_query(LIMIT, CURSOR, TYPE, WORDS)
    cursor: Cursor | None = wanted["cursor"]
    with get_runtime().db.read() as conn:
        rows, following = store.newest_samples(
            conn,
            type=wanted["type"],
            words=wanted["q"],
            before=cursor.id if cursor else "",
            limit=wanted["limit"],
        )
    found = Slice(rows, Cursor(following) if following is not None else None, None)
    return answer_page(found, sample_json)


@bp.get("/samples/<sample_id>")
@require("read", payloads=True)
@operation("Fetch a sample", "samples", {200: "Sample"}, problems=(404,))
def show_sample(sample_id: str) -> Response:
    """Its event can be sent to POST /api/v1/events as it is."""
    read_query()
    with get_runtime().db.read() as conn:
        return answer(sample_json(store.get_sample(conn, sample_id)))


@bp.post("/samples")
@require("publish")
@operation("Save a sample", "samples", {201: "Sample"}, body="SampleDraft", problems=(400, 413, 415, 422, 503))
def save_sample() -> Response:
    """Keep an event under a name. It is not sent, and no schema is asked."""
    read_query()
    rt = get_runtime()
    sample_id = service.save(rt, current_actor(), parse_sample(read_json(), rt.clock()))
    with rt.db.read() as conn:
        row = store.get_sample(conn, sample_id)
    return answer(sample_json(row), 201, {"Location": f"/api/v1/samples/{sample_id}"})


@bp.delete("/samples/<sample_id>")
@require("operate")
@operation("Delete a sample", "samples", {204: None}, problems=(404, 409, 503))
def delete_sample(sample_id: str) -> Response:
    """Events that were made from it stay."""
    read_query()
    service.delete(get_runtime(), current_actor(), sample_id)
    return Response(status=204)


def sample_json(row: Any) -> dict[str, Any]:
    """A sample as programs see it."""
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "event": row.event,
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "links": {"self": f"/api/v1/samples/{row.id}", "form": f"/events/new?sample={row.id}"},
    }
