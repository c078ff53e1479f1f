"""``/api/v1/imports``: events from a file, one a line, brought in by the background."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.bulk import Standing
from webapp.domain.errors import NotFound
from webapp.domain.instants import iso, iso_or_none
from webapp.services import exports
from webapp.services import imports as service
from webapp.store import api_feeds, transfers
from webapp.store.api_feeds import Cursor, Slice
from webapp.web.api.blueprint import CURSOR, LIMIT, answer, answer_page, bp, operation
from webapp.web.api.events import source_of
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.progress import PROGRESS_SCHEMA, of_operation, progress_json
from webapp.web.requests import NDJSON, read_body, read_query


@bp.post("/imports")
@require("publish")
@operation(
    "Import a file of events",
    "imports",
    {202: "Import"},
    body="ImportFile",
    body_types={NDJSON: "One event a line, as it is published or as an export has it, or one CloudEvent a line."},
    headers=("Content-Encoding",),
    problems=(400, 403, 409, 413, 415, 422, 503),
    description="Up to SIGNALBOX_MAX_BATCH_BYTES at a time. The events come in by the same door as all others: schemas, "
    "routing and the limits of the key hold. An event that is known, by source and id, is skipped; one without an id gets "
    "one of the file and the line, so the same file can be imported again.",
)
def create_import() -> Response:
    """Answers at once; `progress` tells how far it is."""
    read_query()
    rt, actor = get_runtime(), current_actor()
    body = read_body(rt.settings.max_batch_bytes, (NDJSON,))
    made = service.start(rt, actor, body, source_of(actor))
    return answer(import_json(_row(made)), 202, {"Location": f"/api/v1/imports/{made}"})


@bp.get("/imports")
@require("read")
@operation("List imports", "imports", {200: "ImportList"}, query=(LIMIT, CURSOR), problems=(400,))
def list_imports() -> Response:
    """Newest first."""
    wanted = read_query(LIMIT, CURSOR)
    with get_runtime().db.read() as conn:
        found = api_feeds.list_transfers(conn, wanted["cursor"], wanted["limit"], "import")
    return answer_page(found, import_json)


@bp.get("/imports/<import_id>")
@require("read")
@operation("Fetch an import with its progress", "imports", {200: "Import"}, problems=(404,))
def show_import(import_id: str) -> Response:
    """`failed` lines are listed under `links.faults`."""
    read_query()
    return answer(import_json(_row(import_id)))


@bp.get("/imports/<import_id>/faults")
@require("read")
@operation(
    "List what was wrong, line by line", "imports", {200: "ImportFaultList"}, query=(LIMIT, CURSOR), problems=(400, 404)
)
def list_import_faults(import_id: str) -> Response:
    """The first thousand are kept."""
    wanted = read_query(LIMIT, CURSOR)
    _row(import_id)
    after = int(wanted["cursor"].id) if wanted["cursor"] else 0
    with get_runtime().db.read() as conn:
        found = transfers.faults_of(conn, import_id, wanted["limit"], after)
    onwards = Cursor(found.next) if found.next else None
    return answer_page(Slice(found.rows, onwards, None), lambda row: {"line": row.line, "message": row.message})


@bp.post("/imports/<import_id>/pause")
@require("publish")
@operation("Pause an import", "imports", {200: "Import"}, problems=(403, 404, 409, 503))
def pause_import(import_id: str) -> Response:
    """The step that is under way is finished."""
    return _step(import_id, "pause")


@bp.post("/imports/<import_id>/resume")
@require("publish")
@operation("Resume an import", "imports", {200: "Import"}, problems=(403, 404, 409, 503))
def resume_import(import_id: str) -> Response:
    """It goes on where it stood."""
    return _step(import_id, "resume")


@bp.post("/imports/<import_id>/abort")
@require("publish")
@operation("End an import early", "imports", {200: "Import"}, problems=(403, 404, 409, 503))
def abort_import(import_id: str) -> Response:
    """What came in stays."""
    return _step(import_id, "abort")


def import_json(row: Any) -> dict[str, Any]:
    """An import as programs see it."""
    here = f"/api/v1/imports/{row.id}"
    return {
        "id": row.id,
        "sha256": row.digest,
        "bytes": row.bytes,
        "state": row.state,
        "state_reason": row.state_reason,
        "total": row.total,
        "done": row.done,
        "skipped": row.skipped,
        "failed": row.failed,
        "progress": progress_json(of_operation(row, get_runtime().clock())),
        "asked_by": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
        "created_at": iso(row.created_at),
        "finished_at": iso_or_none(row.finished_at),
        "links": {"self": here, "faults": f"{here}/faults", "page": f"/transfers/{row.id}"},
    }


def _step(import_id: str, verb: str) -> Response:
    read_query()
    _row(import_id)
    exports.step(get_runtime(), current_actor(), import_id, verb)
    return answer(import_json(_row(import_id)))


def _row(import_id: str) -> Any:
    with get_runtime().db.read() as conn:
        row = transfers.get(conn, import_id)
    if row.direction != "import":
        raise NotFound(f"There is no import {import_id[:80]!r}.")
    return row


_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
SCHEMAS: dict[str, Any] = {
    "ImportFile": {"type": "string"},
    "ImportFault": {
        "type": "object",
        "required": ["line", "message"],
        "additionalProperties": False,
        "properties": {"line": {"type": "integer", "minimum": 1}, "message": {"type": "string"}},
    },
    "Import": {
        "type": "object",
        "required": ["id", "state", "total", "done", "skipped", "failed", "progress", "links"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "sha256": {"type": "string", "description": "Of the file."},
            "bytes": _COUNT,
            "state": {"type": "string", "enum": [str(state) for state in Standing]},
            "state_reason": {"type": ["string", "null"]},
            "total": _COUNT | {"description": "Lines that are not blank."},
            "done": _COUNT | {"description": "Events that are new."},
            "skipped": _COUNT | {"description": "Events that were known already."},
            "failed": _COUNT | {"description": "Lines that were refused."},
            "progress": PROGRESS_SCHEMA,
            "asked_by": {"type": "object"},
            "created_at": _TIME,
            "finished_at": _TIME | {"type": ["string", "null"]},
            "links": {"type": "object"},
        },
    },
}
