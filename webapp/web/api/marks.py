"""``/api/v1/marks``: something happened around the hub, such as a deploy; the charts show a line there."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.instants import iso
from webapp.domain.marks import TITLE_CHARS, parse_mark
from webapp.services.marks import mark
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import read_json, read_query


@bp.post("/marks")
@require("operate")
@operation(
    "Mark a change on the charts",
    "health",
    {200: "Mark", 201: "Mark"},
    body="MarkDraft",
    problems=(400, 413, 415, 422, 503),
    description="A title is kept once a minute: of many processes that tell of one deploy, one makes the mark (201).",
)
def create_mark() -> Response:
    """201, or 200 where that minute has a mark of this title."""
    read_query()
    rt = get_runtime()
    draft = parse_mark(read_json(), rt.clock())
    kept, is_new = mark(rt, current_actor(), draft)
    return answer({"id": kept, "title": draft.title, "at": iso(draft.at)}, 201 if is_new else 200)


_TEXT: dict[str, Any] = {"type": "string"}
_TITLE: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": TITLE_CHARS}
_AT: dict[str, Any] = {"type": "string", "format": "date-time"}

SCHEMAS: dict[str, Any] = {
    "MarkDraft": {
        "type": "object",
        "required": ["title"],
        "additionalProperties": False,
        "properties": {"title": _TITLE, "at": _AT | {"description": "Within the last 7 days; now unless given."}},
    },
    "Mark": {
        "type": "object",
        "required": ["id", "title", "at"],
        "additionalProperties": False,
        "properties": {"id": _TEXT, "title": _TITLE, "at": _AT},
    },
}
