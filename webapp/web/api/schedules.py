"""``/api/v1/schedules``: cron schedules that publish an event at every tick."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from webapp.domain.instants import iso, iso_or_none
from webapp.domain.schedules import CATCH_UP, next_ticks, parse_schedule
from webapp.services import schedules as service
from webapp.store import api_feeds
from webapp.store.schedules import get_schedule
from webapp.web.api.blueprint import CURSOR, LIMIT, answer, answer_page, bp, operation
from webapp.web.api.once import once
from webapp.web.api.subscriptions import if_match, stale_is_412
from webapp.web.auth import current_actor, require
from webapp.web.context import get_acceptor, get_runtime
from webapp.web.requests import read_json, read_query

WRITE_PROBLEMS = (400, 409, 413, 415, 422, 503)
SHOWN_TICKS = 5


@bp.get("/schedules")
@require("read")
@operation("List schedules", "schedules", {200: "ScheduleList"}, query=(LIMIT, CURSOR), problems=(400,))
def list_schedules() -> Response:
    """Newest first."""
    wanted = read_query(LIMIT, CURSOR)
    with get_runtime().db.read() as conn:
        found = api_feeds.list_schedules(conn, wanted["cursor"], wanted["limit"])
    return answer_page(found, schedule_json)


@bp.post("/schedules")
@require("design")
@operation("Create a schedule", "schedules", {201: "Schedule"}, body="ScheduleDraft", problems=WRITE_PROBLEMS)
@once()
def create_schedule() -> Response:
    """It ticks from now on."""
    read_query()
    rt = get_runtime()
    draft = parse_schedule(read_json(), rt.clock())
    return _answer_one(service.create(rt, current_actor(), draft), 201)


@bp.get("/schedules/<schedule_id>")
@require("read")
@operation("Fetch a schedule", "schedules", {200: "Schedule"}, problems=(404,))
def show_schedule(schedule_id: str) -> Response:
    """With its next ticks, and its revision as ETag."""
    read_query()
    return _answer_one(schedule_id)


@bp.put("/schedules/<schedule_id>")
@require("design")
@operation(
    "Replace a schedule",
    "schedules",
    {200: "Schedule"},
    body="ScheduleDraft",
    problems=(*WRITE_PROBLEMS, 404, 412),
    headers=("If-Match",),
)
def replace_schedule(schedule_id: str) -> Response:
    """With If-Match, only if nobody changed it meanwhile."""
    read_query()
    rt, revision = get_runtime(), if_match()
    draft = parse_schedule(read_json(), rt.clock())
    with stale_is_412(revision):
        service.update(rt, current_actor(), schedule_id, draft, revision)
    return _answer_one(schedule_id)


@bp.delete("/schedules/<schedule_id>")
@require("design")
@operation("Delete a schedule", "schedules", {204: None}, problems=(404, 409, 503))
def delete_schedule(schedule_id: str) -> Response:
    """The events that it published stay."""
    read_query()
    service.delete(get_runtime(), current_actor(), schedule_id)
    return Response(status=204)


@bp.post("/schedules/<schedule_id>/pause")
@require("operate")
@operation("Pause a schedule", "schedules", {200: "Schedule"}, problems=(404, 409, 503))
def pause_schedule(schedule_id: str) -> Response:
    """No ticks until it is resumed."""
    read_query()
    service.pause(get_runtime(), current_actor(), schedule_id)
    return _answer_one(schedule_id)


@bp.post("/schedules/<schedule_id>/resume")
@require("operate")
@operation("Resume a schedule", "schedules", {200: "Schedule"}, problems=(404, 409, 503))
def resume_schedule(schedule_id: str) -> Response:
    """It ticks from now on; what the pause left out stays out."""
    read_query()
    service.resume(get_runtime(), current_actor(), schedule_id)
    return _answer_one(schedule_id)


@bp.post("/schedules/<schedule_id>/run")
@require("operate")
@operation("Run a schedule now", "schedules", {202: "ScheduleRun"}, problems=(404, 503))
@once()
def run_schedule(schedule_id: str) -> Response:
    """Publish its event at once, beside its ticks."""
    read_query()
    uid = service.run_now(get_runtime(), get_acceptor(), current_actor(), schedule_id)
    return answer({"event": uid, "links": {"event": f"/api/v1/events/{uid}", "page": f"/events/{uid}"}}, 202)


def schedule_json(row: Any) -> dict[str, Any]:
    """A schedule as programs see it."""
    after = get_runtime().clock()
    ahead = [] if row.paused_at is not None else next_ticks(row.cron, row.time_zone, after, SHOWN_TICKS)
    return {
        "id": row.id,
        "name": row.name,
        "cron": row.cron,
        "time_zone": row.time_zone,
        "type": row.type,
        "source": row.source,
        "payload": json.loads(row.payload),
        "labels": row.labels,
        "catch_up": row.catch_up,
        "state": "active" if row.paused_at is None else "paused",
        "paused_at": iso_or_none(row.paused_at),
        "next": [iso(at) for at in ahead],
        "last_at": iso_or_none(row.last_at),
        "last_event": row.last_event_uid,
        "revision": row.revision,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "links": {"self": f"/api/v1/schedules/{row.id}", "page": f"/schedules/{row.id}"},
    }


def _answer_one(schedule_id: str, status: int = 200) -> Response:
    with get_runtime().db.read() as conn:
        row = get_schedule(conn, schedule_id)
    headers = {"ETag": f'"{row.revision}"'}
    if status == 201:
        headers["Location"] = f"/api/v1/schedules/{row.id}"
    return answer(schedule_json(row), status, headers)


_CHOSEN: dict[str, Any] = {
    "name": {"type": "string", "maxLength": 120},
    "cron": {"type": "string", "maxLength": 200, "description": "Five fields as in 30 8 * * mon-fri, or @daily."},
    "time_zone": {"type": ["string", "null"], "description": "Of the IANA database; UTC when left out."},
    "type": {"type": "string", "description": "Of the event that is published."},
    "source": {"type": ["string", "null"], "maxLength": 200},
    "payload": {"type": ["object", "null"]},
    "labels": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
    "catch_up": {
        "type": ["string", "null"],
        "enum": [*CATCH_UP, None],
        "description": "What becomes of ticks that were missed: none of them, the latest, or all (100 at most).",
    },
}
_TIME = {"type": ["string", "null"], "format": "date-time"}
SCHEMAS: dict[str, Any] = {
    "ScheduleDraft": {
        "type": "object",
        "required": ["name", "cron", "type"],
        "additionalProperties": False,
        "properties": _CHOSEN,
        "examples": [
            {"name": "Nightly report", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "type": "report.due"}
        ],
    },
    "Schedule": {
        "type": "object",
        "required": ["id", "name", "cron", "time_zone", "type", "source", "state", "next", "revision", "links"],
        "additionalProperties": False,
        "properties": _CHOSEN
        | {
            "id": {"type": "string"},
            "state": {"type": "string", "enum": ["active", "paused"]},
            "paused_at": _TIME,
            "next": {"type": "array", "items": {"type": "string", "format": "date-time"}},
            "last_at": _TIME,
            "last_event": {"type": ["string", "null"]},
            "revision": {"type": "integer"},
            "created_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "links": {"$ref": "#/components/schemas/Links"},
        },
    },
    "ScheduleRun": {
        "type": "object",
        "required": ["event", "links"],
        "properties": {"event": {"type": "string"}, "links": {"$ref": "#/components/schemas/Links"}},
    },
}
