"""``/api/v1/errors``: failed attempts as error objects, newest first."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.store import api_feeds
from webapp.store.status import error_json
from webapp.web.api.blueprint import CURSOR, LIMIT, SINCE, UNTIL, answer_page, bp, operation
from webapp.web.api.hiding import without_stacks
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, read_query, text_of

FILTERS = (
    Param("type", text_of, "Only errors of this type, such as ValueError."),
    SINCE,
    UNTIL,
    LIMIT,
    CURSOR,
)


@bp.get("/errors")
@require("read")
@operation("List errors", "errors", {200: "ErrorList"}, query=FILTERS, problems=(400,))
def list_errors() -> Response:
    """One object per failed attempt."""
    wanted = read_query(*FILTERS)
    cursor, limit = wanted.pop("cursor"), wanted.pop("limit")
    with get_runtime().db.read() as conn:
        found = api_feeds.list_errors(conn, cursor, limit, **wanted)
    return answer_page(found, _error_json)


def _error_json(row: Any) -> dict[str, Any]:
    return without_stacks([error_json(row.event_id, row)])[0]


SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "additionalProperties": False,
        "properties": {
            "error": {
                "type": "object",
                "required": ["event_id", "type", "message", "stack", "timestamp"],
                "additionalProperties": False,
                "properties": {
                    "event_id": {"type": "string"},
                    "type": {"type": "string"},
                    "message": {"type": ["string", "null"]},
                    "stack": {"type": ["string", "null"]},
                    "timestamp": {"type": "string", "format": "date-time"},
                },
            }
        },
    },
}
