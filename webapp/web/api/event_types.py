"""``/api/v1/event-types``: the catalog, its versions, and the way to and from AsyncAPI."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from webapp.domain.catalog_import import MAX_BYTES, read_catalog, read_document
from webapp.domain.event_types import VALIDATION, parse_type, parse_version, read_type_name
from webapp.domain.instants import iso, iso_or_none
from webapp.services import catalog_exchange
from webapp.services import event_types as service
from webapp.store import event_types as store
from webapp.store.api_feeds import Cursor, Slice
from webapp.web.api.blueprint import CURSOR, LIMIT, answer, answer_page, bp, operation
from webapp.web.api.subscriptions import if_match, stale_is_412
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import JSON, Param, choice_of, read_body, read_json, read_query, text_of

YAML = "application/yaml"
WRITE_PROBLEMS = (400, 404, 409, 412, 413, 415, 422, 503)
STATES = ("declared", "discovered", "deprecated")
WORDS = Param("q", text_of, "Words in name, owner or description.", default="")
STATE = Param("state", choice_of(*STATES), "Only these.", {"type": "string", "enum": list(STATES)}, "")
DRY_RUN = Param("dry_run", choice_of("true", "false"), "Only say what would be done.", {"type": "string"}, "false")
ACCEPTED = {"type": "string", "enum": list(VALIDATION)}
JUDGED = Param("validation", choice_of(*VALIDATION), "What becomes of events that do not fit.", ACCEPTED, "off")
TYPE = Param("type", text_of, "The event type that a lone JSON Schema is for.", default="")


@bp.get("/event-types")
@require("read")
@operation(
    "List event types", "event-types", {200: "EventTypeList"}, query=(LIMIT, CURSOR, WORDS, STATE), problems=(400,)
)
def list_event_types() -> Response:
    """By name, without their schemas."""
    wanted = read_query(LIMIT, CURSOR, WORDS, STATE)
    cursor: Cursor | None = wanted["cursor"]
    with get_runtime().db.read() as conn:
        rows, following = store.list_types(
            conn, words=wanted["q"], state=wanted["state"], after=cursor.id if cursor else "", limit=wanted["limit"]
        )
        latest = store.latest_numbers(conn, [row.name for row in rows])
    found = Slice(rows, None if following is None else Cursor(following), None)
    return answer_page(found, lambda row: _type_json(row, latest.get(row.name)))


@bp.get("/event-types/<name>")
@require("read")
@operation("Fetch an event type", "event-types", {200: "EventType"}, problems=(404,))
def show_event_type(name: str) -> Response:
    """With its versions, newest first, and its revision as ETag."""
    read_query()
    return _answer_one(name)


@bp.put("/event-types/<name>")
@require("design")
@operation(
    "Declare or change an event type",
    "event-types",
    {200: "EventType", 201: "EventType"},
    body="EventTypeDraft",
    problems=WRITE_PROBLEMS,
    headers=("If-Match",),
)
def put_event_type(name: str) -> Response:
    """With If-Match, only if nobody changed it meanwhile."""
    read_query()
    revision, draft = if_match(), parse_type(read_json())
    with stale_is_412(revision):
        is_new = service.put(get_runtime(), current_actor(), read_type_name(name), draft, revision)
    return _answer_one(name, 201 if is_new else 200)


@bp.delete("/event-types/<name>")
@require("design")
@operation("Delete an event type", "event-types", {204: None}, problems=(404, 409, 412, 503), headers=("If-Match",))
def delete_event_type(name: str) -> Response:
    """Its events are judged no more; they stay, and so do its versions, should it be declared again."""
    read_query()
    revision = if_match()
    with stale_is_412(revision):
        service.delete(get_runtime(), current_actor(), name, revision)
    return Response(status=204)


@bp.post("/event-types/<name>/versions")
@require("design")
@operation(
    "Add a version",
    "event-types",
    {201: "EventType"},
    body="EventTypeVersionDraft",
    problems=WRITE_PROBLEMS,
    headers=("If-Match",),
)
def add_event_type_version(name: str) -> Response:
    """Its schema is checked against the promise of the type; it never changes afterwards."""
    read_query()
    revision, draft = if_match(), parse_version(read_json())
    with stale_is_412(revision):
        service.add_version(get_runtime(), current_actor(), name, draft, revision)
    return _answer_one(name, 201)


@bp.post("/event-types/<name>/accept")
@require("design")
@operation(
    "Accept a discovered event type",
    "event-types",
    {200: "EventType"},
    query=(JUDGED,),
    problems=(400, 404, 409, 503),
)
def accept_event_type(name: str) -> Response:
    """It is declared; the schema that was worked out becomes its first version."""
    wanted = read_query(JUDGED)
    service.accept(get_runtime(), current_actor(), name, wanted["validation"])
    return _answer_one(name)


@bp.post("/event-types/import")
@require("design")
@operation(
    "Import event types",
    "event-types",
    {200: "EventTypeImport"},
    body="EventTypeImportDocument",
    body_types={YAML: "The same in YAML, without aliases."},
    query=(DRY_RUN, TYPE),
    problems=(400, 409, 413, 415, 422, 503),
)
def import_event_types() -> Response:
    """From an AsyncAPI 3 document, or one JSON Schema with ``?type=``: all of it, or nothing."""
    wanted = read_query(DRY_RUN, TYPE)
    name = read_type_name(wanted["type"]) if wanted["type"] else ""
    rt, is_dry = get_runtime(), wanted["dry_run"] == "true"
    body = read_body(min(MAX_BYTES, rt.settings.max_body_bytes), (JSON, YAML))
    types = read_catalog(read_document(body), name)
    steps = catalog_exchange.preview(rt, types) if is_dry else catalog_exchange.apply(rt, current_actor(), types)
    listed = [
        {
            "name": step.name,
            "action": step.action,
            "versions": step.versions,
            "errors": [{"pointer": one.pointer, "code": one.code, "message": one.message} for one in step.faults],
        }
        for step in steps
    ]
    return answer({"dry_run": is_dry, "types": listed})


@bp.get("/asyncapi.json")
@require("read")
@operation("The catalog as AsyncAPI", "event-types", {200: "AsyncApi"})
def show_asyncapi() -> Response:
    """AsyncAPI 3.0: a channel for each declared type, a message for each version."""
    read_query()
    return answer(catalog_exchange.export(get_runtime()))


def _answer_one(name: str, status: int = 200) -> Response:
    with get_runtime().db.read() as conn:
        row, versions = store.get_type(conn, name), store.list_versions(conn, name)
    document = _type_json(row, versions[0].version if versions else None)
    document["inferred"] = row.inferred
    document["versions"] = [
        {
            "version": one.version,
            "schema": json.loads(one.schema),
            "examples": one.examples,
            "note": one.note,
            "created_at": iso(one.created_at),
            "created_by": one.created_by,
        }
        for one in versions
    ]
    return answer(document, status, {"ETag": f'"{row.revision}"'})


def _type_json(row: Any, latest: int | None) -> dict[str, Any]:
    return {
        "name": row.name,
        "state": row.state,
        "owner": row.owner,
        "description": row.description,
        "validation": row.validation,
        "compatibility": row.compatibility,
        "deprecated": row.deprecated_at is not None,
        "deprecated_at": iso_or_none(row.deprecated_at),
        "deprecation": row.deprecation or "",
        "latest_version": latest,
        "seen_at": iso_or_none(row.seen_at),
        "revision": row.revision,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "links": {"self": f"/api/v1/event-types/{row.name}", "page": f"/event-types/{row.name}"},
    }
