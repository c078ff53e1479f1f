"""``/api/v1/subscriptions`` and ``/api/v1/handlers``: the routing rules, edited with compare-and-set by ``If-Match``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from flask import Response, request
from sqlalchemy import Connection

from webapp.domain.errors import Conflict, Refused
from webapp.domain.instants import iso, iso_or_none
from webapp.domain.retry import format_duration
from webapp.domain.sensitive import masked
from webapp.domain.subscriptions import parse_subscription
from webapp.services import subscriptions as service
from webapp.services.catalog import known_handlers, list_handlers
from webapp.store import api_feeds
from webapp.store.feed_flow import FlowRow, read_flows
from webapp.store.subscriptions import get_subscription
from webapp.store.subscriptions import list_handlers as read_handlers
from webapp.web.api.blueprint import CURSOR, LIMIT, answer, answer_page, bp, operation
from webapp.web.api.flow_schema import FLOW, FLOW_SCHEMAS, flow_json
from webapp.web.api.once import once
from webapp.web.api.policies_schema import POLICIES_SCHEMA
from webapp.web.api.retry_schema import RETRY_SCHEMA
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, read_json, read_query, text_of

ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')
WRITE_PROBLEMS = (400, 409, 413, 415, 422, 503)
NOTE = Param("note", text_of, "Kept with the version that is made.")


@bp.get("/subscriptions")
@require("read")
@operation("List subscriptions", "subscriptions", {200: "SubscriptionList"}, query=(LIMIT, CURSOR), problems=(400,))
def list_subscriptions() -> Response:
    """Newest first."""
    wanted = read_query(LIMIT, CURSOR)
    with get_runtime().db.read() as conn:
        found = api_feeds.list_subscriptions(conn, wanted["cursor"], wanted["limit"])
        flows = read_flows(conn, [row.id for row in found.rows])
        schemas = _schemas(conn)
    return answer_page(found, lambda row: subscription_json(row, schemas, flows.get(row.id)))


@bp.post("/subscriptions")
@require("design")
@operation(
    "Create a subscription", "subscriptions", {201: "Subscription"}, body="SubscriptionDraft", problems=WRITE_PROBLEMS
)
@once()
def create_subscription() -> Response:
    """It routes every event that is accepted from now on."""
    read_query()
    rt = get_runtime()
    draft = parse_subscription(read_json(), known_handlers(rt))
    return answer_one(service.create(rt, current_actor(), draft), 201)


@bp.get("/subscriptions/<subscription_id>")
@require("read")
@operation("Fetch a subscription", "subscriptions", {200: "Subscription"}, problems=(404,))
def show_subscription(subscription_id: str) -> Response:
    """With its revision as ETag."""
    read_query()
    return answer_one(subscription_id)


@bp.put("/subscriptions/<subscription_id>")
@require("design")
@operation(
    "Replace a subscription",
    "subscriptions",
    {200: "Subscription"},
    body="SubscriptionDraft",
    problems=(*WRITE_PROBLEMS, 404, 412),
    headers=("If-Match",),
    query=(NOTE,),
)
def replace_subscription(subscription_id: str) -> Response:
    """With If-Match, only if nobody changed it meanwhile. The note is kept with the version that this makes."""
    note = read_query(NOTE)["note"] or ""
    rt, revision = get_runtime(), if_match()
    draft = parse_subscription(read_json(), known_handlers(rt))
    with stale_is_412(revision):
        service.update(rt, current_actor(), subscription_id, draft, revision, note)
    return answer_one(subscription_id)


@bp.delete("/subscriptions/<subscription_id>")
@require("design")
@operation("Delete a subscription", "subscriptions", {204: None}, problems=(404, 409, 503))
def delete_subscription(subscription_id: str) -> Response:
    """Its open deliveries are cancelled; history keeps its name."""
    read_query()
    service.delete(get_runtime(), current_actor(), subscription_id)
    return Response(status=204)


@bp.get("/handlers")
@require("read")
@operation("List the handlers that workers offer", "subscriptions", {200: "HandlerList"})
def show_handlers() -> Response:
    """Names with the JSON Schema of their options."""
    read_query()
    shown = [
        {
            "name": one.name,
            "description": one.description,
            "isolated": one.isolated,
            "batches": one.batches,
            "options_schema": one.options_schema,
            "origin": one.origin,
        }
        for one in list_handlers(get_runtime())
    ]
    return answer({"data": shown})


def subscription_json(row: Any, schemas: Mapping[str, Any], flow: FlowRow | None = None) -> dict[str, Any]:
    """A subscription as programs see it."""
    return {
        "id": row.id,
        "name": row.name,
        "pattern": row.pattern,
        "condition": row.condition,
        "transform": row.transform,
        "handler": row.handler,
        "options": masked(row.options, schemas.get(row.handler)) if current_actor().can("design") else None,
        "retry": row.retry,
        "timeout": format_duration(timedelta(milliseconds=row.timeout_ms)),
        "policies": row.policies,
        "mode": row.mode,
        "state": "active" if row.paused_at is None else "paused",
        "paused_at": iso_or_none(row.paused_at),
        "pause_reason": row.pause_reason,
        "resume_at": iso_or_none(row.resume_at),
        **flow_json(flow),
        "code": None if row.code_key is None else {"set": row.code_set, "key": row.code_key},
        "revision": row.revision,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "links": {"self": f"/api/v1/subscriptions/{row.id}", "page": f"/subscriptions/{row.id}"},
    }


def answer_one(subscription_id: str, status: int = 200) -> Response:
    """The subscription as it is now, with its revision as ETag."""
    with get_runtime().db.read() as conn:
        row, schemas = get_subscription(conn, subscription_id), _schemas(conn)
        flow = read_flows(conn, [subscription_id]).get(subscription_id)
    headers = {"ETag": f'"{row.revision}"'}
    if status == 201:
        headers["Location"] = f"/api/v1/subscriptions/{row.id}"
    return answer(subscription_json(row, schemas, flow), status, headers)


def _schemas(conn: Connection) -> dict[str, Any]:
    """By handler: which of its options are hidden."""
    return {one.name: one.options_schema for one in read_handlers(conn)}


@contextmanager
def stale_is_412(revision: int | None) -> Iterator[None]:
    """With ``If-Match``, a conflict is a failed precondition (RFC 9110, section 13.1.1)."""
    try:
        yield
    except Conflict as error:
        if revision is None:
            raise
        raise Refused("stale-revision", error.detail, status=412, title="Changed meanwhile") from None


def if_match() -> int | None:
    """The revision that the caller has seen; None when any will do."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    found = ETAG.fullmatch(header.strip())
    if found is None:
        raise Refused("stale-revision", "If-Match names no revision: send the ETag as it came.", status=412)
    return int(found[1])


_CHOSEN: dict[str, Any] = {
    "name": {"type": "string", "maxLength": 120},
    "pattern": {"type": "string", "description": "A type, or with * for any run of characters: order.*"},
    "condition": {"type": ["object", "null"], "description": "A tree of all, any, not and leaves {field, op, value}."},
    "transform": {
        "type": ["object", "null"],
        "description": "What the handler is given: payload, type, source, subject as templates over the event.",
    },
    "handler": {"type": "string"},
    "options": {
        "type": ["object", "null"],
        "description": "Not shown to those who may only read. Secrets are shown as •••; sent back so, they stay.",
    },
    "retry": RETRY_SCHEMA,
    "timeout": {"type": ["string", "number", "null"], "description": 'Of one try: "30s", "1m30s" or seconds.'},
    "policies": {"$ref": "#/components/schemas/Policies"},
    "mode": {
        "type": ["string", "null"],
        "enum": ["live", "shadow", None],
        "description": "shadow: matches are recorded, nothing runs.",
    },
}
SCHEMAS: dict[str, Any] = {
    "Policies": POLICIES_SCHEMA,
    "SubscriptionDraft": {
        "type": "object",
        "required": ["name", "pattern", "handler"],
        "additionalProperties": False,
        "properties": _CHOSEN,
        "examples": [{"name": "Large orders", "pattern": "order.*", "handler": "log", "timeout": "30s", "condition": {"field": "data.amount", "op": "gte", "value": 100}}],
    },
    "Subscription": {
        "type": "object",
        "required": ["id", "name", "pattern", "handler", "retry", "timeout", "state", "revision", "created_at", "updated_at", "links"],
        "additionalProperties": False,
        "properties": _CHOSEN
        | {
            "id": {"type": "string"},
            "state": {"type": "string", "enum": ["active", "paused"]},
            "paused_at": {"type": ["string", "null"], "format": "date-time"},
            "pause_reason": {"type": ["string", "null"]},
            **FLOW,
            "code": {
                "type": ["object", "null"],
                "description": "Where it was applied from: the set of files and its key there. Null: made by hand.",
                "properties": {"set": {"type": "string"}, "key": {"type": "string"}},
            },
            "revision": {"type": "integer"},
            "created_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "links": {"$ref": "#/components/schemas/Links"},
        },
    },
    **FLOW_SCHEMAS,
    "HandlerList": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "description", "isolated", "batches", "options_schema", "origin"],
                    "properties": {
                        "name": {"type": "string"},
                        "description": {"type": "string"},
                        "isolated": {"type": "boolean"},
                        "batches": {"type": "boolean", "description": "It takes lists: a subscription may have a batch."},
                        "options_schema": {"type": "object"},
                        "origin": {"type": "string"},
                    },
                },
            }
        },
    },
}  # fmt: skip
