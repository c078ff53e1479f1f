"""``/api/v1/bulk``: something done to every delivery (or event) that matches a selection, in the background."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.bulk import DEFAULT_ABORT_RATE, FASTEST, REASON_CHARS, SLOWEST, Kind, Standing, parse_bulk
from webapp.domain.instants import iso, iso_or_none
from webapp.domain.selections import STATES
from webapp.services import bulk as service
from webapp.store import api_feeds, bulk_operations
from webapp.store.api_feeds import Cursor, Slice
from webapp.web.api.blueprint import CURSOR, LIMIT, answer, answer_page, bp, operation
from webapp.web.api.once import once
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.progress import PROGRESS_SCHEMA, of_operation, progress_json
from webapp.web.requests import read_json, read_query

ASK_PROBLEMS = (400, 413, 415, 422, 503)


@bp.post("/bulk/preview")
@require("operate")
@operation("Count what an operation would act on", "bulk", {200: "BulkPreview"}, body="BulkAsk", problems=ASK_PROBLEMS)
def preview_bulk() -> Response:
    """A dry run: nothing is changed. Counting stops at 10,000 (``capped``)."""
    read_query()
    rt = get_runtime()
    found = service.preview(rt, current_actor(), parse_bulk(read_json(), rt.clock(), with_reason=False))
    return answer(
        {
            "kind": str(found.kind),
            "count": found.count,
            "capped": found.is_capped,
            "by_state": dict(found.by_state),
            "sample": [_sample_json(row) for row in found.sample],
        }
    )


@bp.post("/bulk")
@require("operate")
@operation("Begin a bulk operation", "bulk", {202: "Bulk"}, body="BulkDraft", problems=ASK_PROBLEMS)
@once()
def create_bulk() -> Response:
    """What was there when it was asked for is acted on, nothing that came later."""
    read_query()
    rt = get_runtime()
    made = service.start(rt, current_actor(), parse_bulk(read_json(), rt.clock()))
    return _answer_one(made, 202, {"Location": f"/api/v1/bulk/{made}"})


@bp.get("/bulk")
@require("read")
@operation("List bulk operations", "bulk", {200: "BulkList"}, query=(LIMIT, CURSOR), problems=(400,))
def list_bulk() -> Response:
    """Newest first."""
    wanted = read_query(LIMIT, CURSOR)
    with get_runtime().db.read() as conn:
        found = api_feeds.list_bulk(conn, wanted["cursor"], wanted["limit"])
    return answer_page(found, bulk_json)


@bp.get("/bulk/<operation_id>")
@require("read")
@operation("Fetch a bulk operation with its progress", "bulk", {200: "Bulk"}, problems=(404,))
def show_bulk(operation_id: str) -> Response:
    """``after`` is kept up to date until the deliveries that it set going have ended."""
    read_query()
    return _answer_one(operation_id)


@bp.get("/bulk/<operation_id>/errors")
@require("read")
@operation(
    "List what went wrong, item by item", "bulk", {200: "BulkErrorList"}, query=(LIMIT, CURSOR), problems=(400, 404)
)
def list_bulk_errors(operation_id: str) -> Response:
    """In the order in which it happened; the first thousand are kept."""
    wanted = read_query(LIMIT, CURSOR)
    cursor = wanted["cursor"]
    with get_runtime().db.read() as conn:
        bulk_operations.get(conn, operation_id)
        found = bulk_operations.errors_of(conn, operation_id, int(cursor.id) if cursor else 0, wanted["limit"])
    return answer_page(Slice(found.rows, Cursor(found.next) if found.next else None, None), _error_json)


@bp.post("/bulk/<operation_id>/pause")
@require("operate")
@operation("Pause a bulk operation", "bulk", {200: "Bulk"}, problems=(404, 409, 503))
def pause_bulk(operation_id: str) -> Response:
    """The step that is under way is finished."""
    return _step(operation_id, "pause")


@bp.post("/bulk/<operation_id>/resume")
@require("operate")
@operation("Resume a bulk operation", "bulk", {200: "Bulk"}, problems=(404, 409, 503))
def resume_bulk(operation_id: str) -> Response:
    """It goes on where it stood."""
    return _step(operation_id, "resume")


@bp.post("/bulk/<operation_id>/abort")
@require("operate")
@operation("End a bulk operation early", "bulk", {200: "Bulk"}, problems=(404, 409, 503))
def abort_bulk(operation_id: str) -> Response:
    """What was done stays done."""
    return _step(operation_id, "abort")


def bulk_json(row: Any) -> dict[str, Any]:
    """An operation as programs see it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "selection": row.selection,
        "reason": row.reason,
        "state": row.state,
        "state_reason": row.state_reason,
        "counting": row.state in (Standing.RUNNING, Standing.PAUSED) and not row.options.get("counted"),
        "total": row.total,
        "done": row.done,
        "failed": row.failed,
        "skipped": row.skipped,
        "progress": progress_json(of_operation(row, get_runtime().clock())),
        "pace": row.pace,
        "abort_rate": row.abort_rate,
        "before": row.before or {},
        "after": row.after or {},
        "started_by": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "finished_at": iso_or_none(row.finished_at),
        "links": {
            "self": f"/api/v1/bulk/{row.id}",
            "errors": f"/api/v1/bulk/{row.id}/errors",
            "page": f"/bulk/{row.id}",
        },
    }


def _step(operation_id: str, verb: str) -> Response:
    read_query()
    service.step(get_runtime(), current_actor(), operation_id, verb)
    return _answer_one(operation_id)


def _answer_one(operation_id: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    with get_runtime().db.read() as conn:
        row = bulk_operations.get(conn, operation_id)
    return answer(bulk_json(row), status, headers)


def _sample_json(row: Any) -> dict[str, Any]:
    known = row._mapping
    return {"id": row.target, "type": row.event_type, "state": known.get("state")}


def _error_json(row: Any) -> dict[str, Any]:
    return {"target": row.target_id, "message": row.message, "at": iso(row.at)}


_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_MOMENT: dict[str, Any] = {"type": "string", "description": "RFC 3339, a date, now, or now-24h."}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_COUNTS: dict[str, Any] = {"type": "object", "additionalProperties": _COUNT}
_KIND: dict[str, Any] = {"type": "string", "enum": [str(kind) for kind in Kind]}
_SELECTION: dict[str, Any] = {"$ref": "#/components/schemas/Selection"}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_WISHES: dict[str, Any] = {
    "kind": _KIND,
    "selection": _SELECTION,
    "pace": {"type": ["number", "null"], "minimum": SLOWEST, "maximum": FASTEST, "description": "Items a second."},
    "abort_rate": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "default": DEFAULT_ABORT_RATE,
        "description": "It ends itself when more than this share fails, judged from 20 on; null: never.",
    },
}
_REASON: dict[str, Any] = {"type": "string", "description": f"One line of at most {REASON_CHARS} characters."}

SCHEMAS: dict[str, Any] = {
    "Selection": {
        "type": "object",
        "description": "Which deliveries: all that is given must hold. A replay takes event, subscription, since, until.",
        "additionalProperties": False,
        "properties": {
            "event": {"type": ["object", "null"], "description": "A condition over the event."},
            "state": _list_of({"type": "string", "enum": list(STATES)}),
            "reason": _list_of({"type": "string"}),
            "subscription": _list_of({"type": "string"}),
            "handler": _list_of({"type": "string"}),
            "error": {"type": "string", "description": "Type of the last error, or part of its message."},
            "since": _MOMENT,
            "until": _MOMENT,
            "finished_since": _MOMENT,
            "finished_until": _MOMENT,
            "min_attempts": _COUNT,
            "max_attempts": _COUNT,
        },
    },
    "BulkAsk": {"type": "object", "required": ["kind"], "additionalProperties": False, "properties": _WISHES},
    "BulkDraft": {
        "type": "object",
        "required": ["kind", "reason"],
        "additionalProperties": False,
        "properties": _WISHES | {"reason": _REASON},
        "examples": [
            {
                "kind": "retry",
                "selection": {"state": ["dead"], "error": "TimeoutError", "since": "now-24h"},
                "reason": "The receiver was down",
                "pace": 20,
            }
        ],
    },
    "BulkPreview": {
        "type": "object",
        "required": ["kind", "count", "capped", "by_state", "sample"],
        "additionalProperties": False,
        "properties": {
            "kind": _KIND,
            "count": _COUNT,
            "capped": {"type": "boolean", "description": "There are that many, or more."},
            "by_state": _COUNTS,
            "sample": _list_of(
                {
                    "type": "object",
                    "required": ["id", "type", "state"],
                    "properties": {
                        "id": {"type": "string"},
                        "type": {"type": "string"},
                        "state": {"type": ["string", "null"]},
                    },
                }
            ),
        },
    },
    "Bulk": {
        "type": "object",
        "required": ["id", "kind", "selection", "reason", "state", "total", "done", "failed", "skipped", "links"],
        "additionalProperties": False,
        "properties": _WISHES
        | {
            "id": {"type": "string"},
            "reason": {"type": "string"},
            "state": {"type": "string", "enum": [str(state) for state in Standing]},
            "state_reason": {"type": ["string", "null"]},
            "counting": {"type": "boolean", "description": "The total is not known yet."},
            "total": _COUNT,
            "done": _COUNT,
            "failed": _COUNT,
            "skipped": _COUNT,
            "progress": PROGRESS_SCHEMA,
            "before": _COUNTS | {"description": "Deliveries by state when it began."},
            "after": _COUNTS | {"description": "The deliveries that it moved or made, by state."},
            "started_by": {"type": "object"},
            "created_at": _TIME,
            "updated_at": _TIME,
            "finished_at": _TIME | {"type": ["string", "null"]},
            "links": {"type": "object"},
        },
    },
    "BulkError": {
        "type": "object",
        "required": ["target", "message", "at"],
        "additionalProperties": False,
        "properties": {"target": {"type": "string"}, "message": {"type": "string"}, "at": _TIME},
    },
}
