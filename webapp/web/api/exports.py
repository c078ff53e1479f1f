"""``/api/v1/exports``: everything that matches a filter as a file, written in the background."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.bulk import Standing
from webapp.domain.errors import NotFound
from webapp.domain.exports import FILTERS, FORMATS, MEDIA_TYPES, parse_export
from webapp.domain.instants import iso, iso_or_none
from webapp.services import exports as service
from webapp.store import api_feeds, transfers
from webapp.web.api.blueprint import CURSOR, LIMIT, answer, answer_page, bp, operation
from webapp.web.api.once import once
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.progress import PROGRESS_SCHEMA, of_operation, progress_json
from webapp.web.requests import read_json, read_query
from webapp.web.transfer_files import file_answer

FILE = "text/csv"


@bp.post("/exports")
@require("read")
@operation(
    "Begin an export",
    "exports",
    {202: "Export"},
    body="ExportDraft",
    problems=(400, 403, 409, 413, 415, 422, 503),
    description="What is there when it is asked for and matches is written to a file in the background, newest first. "
    "The file is for whoever asked, is kept for a day after it was written, and holds up to 256 MiB.",
)
@once()
def create_export() -> Response:
    """Answers at once; `progress` tells how far it is."""
    read_query()
    rt = get_runtime()
    made = service.start(rt, current_actor(), parse_export(read_json(), rt.clock()))
    return _answer_one(made, 202, {"Location": f"/api/v1/exports/{made}"})


@bp.get("/exports")
@require("read")
@operation("List exports", "exports", {200: "ExportList"}, query=(LIMIT, CURSOR), problems=(400,))
def list_exports() -> Response:
    """Newest first."""
    wanted = read_query(LIMIT, CURSOR)
    with get_runtime().db.read() as conn:
        found = api_feeds.list_transfers(conn, wanted["cursor"], wanted["limit"], "export")
    return answer_page(found, export_json)


@bp.get("/exports/<export_id>")
@require("read")
@operation("Fetch an export with its progress", "exports", {200: "Export"}, problems=(404,))
def show_export(export_id: str) -> Response:
    """`links.file` is there while the file is."""
    read_query()
    return _answer_one(export_id)


@bp.get("/exports/<export_id>/file")
@require("read")
@operation(
    "Download the file of an export",
    "exports",
    {200: "ExportFile"},
    problems=(403, 404, 409),
    content_type=FILE,
    description="For whoever asked for it. When it shows payloads, the permission to view them is asked for again.",
)
def fetch_export(export_id: str) -> Response:
    """CSV or NDJSON, as it was asked for."""
    read_query()
    return file_answer(export_id)


@bp.delete("/exports/<export_id>/file")
@require("read")
@operation("Delete the file of an export", "exports", {204: None}, problems=(403, 404, 409, 503))
def discard_export(export_id: str) -> Response:
    """Before its time is over."""
    read_query()
    service.discard(get_runtime(), current_actor(), export_id)
    return Response(status=204)


@bp.post("/exports/<export_id>/pause")
@require("read")
@operation("Pause an export", "exports", {200: "Export"}, problems=(403, 404, 409, 503))
def pause_export(export_id: str) -> Response:
    """The step that is under way is finished."""
    return _step(export_id, "pause")


@bp.post("/exports/<export_id>/resume")
@require("read")
@operation("Resume an export", "exports", {200: "Export"}, problems=(403, 404, 409, 503))
def resume_export(export_id: str) -> Response:
    """It goes on where it stood."""
    return _step(export_id, "resume")


@bp.post("/exports/<export_id>/abort")
@require("read")
@operation("End an export early", "exports", {200: "Export"}, problems=(403, 404, 409, 503))
def abort_export(export_id: str) -> Response:
    """What was written is deleted."""
    return _step(export_id, "abort")


def export_json(row: Any) -> dict[str, Any]:
    """An export as programs see it."""
    links = {"self": f"/api/v1/exports/{row.id}", "page": f"/transfers/{row.id}"}
    if row.file_until is not None:
        links["file"] = f"/api/v1/exports/{row.id}/file"
    return {
        "id": row.id,
        "what": row.what,
        "format": row.format,
        "filter": row.filter,
        "payloads": bool(row.options.get("payloads")),
        "file_name": row.file_name,
        "media_type": MEDIA_TYPES[row.format],
        "state": row.state,
        "state_reason": row.state_reason,
        "counting": row.state in (Standing.RUNNING, Standing.PAUSED) and not row.options.get("counted"),
        "total": row.total,
        "done": row.done,
        "skipped": row.skipped,
        "bytes": row.bytes,
        "progress": progress_json(of_operation(row, get_runtime().clock())),
        "asked_by": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
        "created_at": iso(row.created_at),
        "finished_at": iso_or_none(row.finished_at),
        "file_until": iso_or_none(row.file_until),
        "links": links,
    }


def _step(export_id: str, verb: str) -> Response:
    read_query()
    _row(export_id)
    service.step(get_runtime(), current_actor(), export_id, verb)
    return _answer_one(export_id)


def _row(export_id: str) -> Any:
    with get_runtime().db.read() as conn:
        row = transfers.get(conn, export_id)
    if row.direction != "export":
        raise NotFound(f"There is no export {export_id[:80]!r}.")
    return row


def _answer_one(export_id: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return answer(export_json(_row(export_id)), status, headers)


_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_WISHES: dict[str, Any] = {
    "what": {"type": "string", "enum": list(FORMATS)},
    "format": {"type": "string", "enum": ["csv", "ndjson", "cloudevents"], "default": "csv"},
    "payloads": {"type": "boolean", "default": False, "description": "Of events; needs the permission to view them."},
    "filter": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "; ".join(f"{what}: {', '.join(names)}" for what, names in FILTERS.items())
        + ". Times are RFC 3339, a date, now or now-24h; q is a condition in its text form.",
    },
}
SCHEMAS: dict[str, Any] = {
    "ExportDraft": {
        "type": "object",
        "required": ["what"],
        "additionalProperties": False,
        "properties": _WISHES,
        "examples": [{"what": "events", "format": "ndjson", "filter": {"type": "order.*", "since": "now-24h"}}],
    },
    "ExportFile": {"type": "string"},
    "Export": {
        "type": "object",
        "required": ["id", "what", "format", "filter", "state", "total", "done", "bytes", "progress", "links"],
        "additionalProperties": False,
        "properties": _WISHES
        | {
            "id": {"type": "string"},
            "file_name": {"type": "string"},
            "media_type": {"type": "string"},
            "state": {"type": "string", "enum": [str(state) for state in Standing]},
            "state_reason": {"type": ["string", "null"]},
            "counting": {"type": "boolean", "description": "The total is not known yet."},
            "total": _COUNT,
            "done": _COUNT,
            "skipped": _COUNT | {"description": "Left out because the file is full."},
            "bytes": _COUNT,
            "progress": PROGRESS_SCHEMA,
            "asked_by": {"type": "object"},
            "created_at": _TIME,
            "finished_at": _TIME | {"type": ["string", "null"]},
            "file_until": _TIME | {"type": ["string", "null"], "description": "null: there is no file."},
            "links": {"type": "object"},
        },
    },
}
