"""``/api/v1/sources``: addresses for senders that speak their own dialect. Secrets go in and never come out again."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Any

from flask import Response

from webapp.domain.access import HIDDEN, PAYLOADS
from webapp.domain.consumed import BEGINNINGS, CONSUMED, MECHANISMS
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import pointer, refusal, shown
from webapp.domain.instants import iso, iso_or_none
from webapp.domain.signatures import ALGORITHMS, ENCODINGS
from webapp.domain.sources import KINDS, parse_source, templates_of
from webapp.services import sources as service
from webapp.services.sources import MAX_OVERLAP
from webapp.store import sources as store
from webapp.store.paging import SEPARATOR
from webapp.web.api.blueprint import LIMIT, answer, bp, operation
from webapp.web.api.subscriptions import if_match, stale_is_412
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, read_json, read_query

WRITE_PROBLEMS = (400, 409, 413, 415, 422, 503)
OVERLAP_S = 86_400


def _read_place(text: str) -> str:
    try:
        name = urlsafe_b64decode(text.encode("ascii")).decode()
    except ValueError:
        name = "\x00"
    if not name.replace(
        SEPARATOR, ""
    ).isprintable():  # no name is like that, and PostgreSQL would not even compare with a NUL
        raise ValueError("This is not next_after of an answer; begin again without it.")
    return name


AFTER = Param("after", _read_place, "Where to go on: next_after of an answer.", default="")


@bp.get("/sources")
@require("read")
@operation("List sources", "sources", {200: "SourceList"}, query=(LIMIT, AFTER), problems=(400,))
def list_sources() -> Response:
    """By name."""
    wanted = read_query(LIMIT, AFTER)
    with get_runtime().db.read() as conn:
        rows, following = store.list_sources(conn, wanted["after"], wanted["limit"])
    next_after = urlsafe_b64encode(following.encode()).decode() if following else None
    return answer({"data": [source_json(row) for row in rows], "next_after": next_after, "has_more": bool(following)})


@bp.post("/sources")
@require("design")
@operation(
    "Create a source",
    "sources",
    {201: "Source"},
    body="SourceDraft",
    problems=WRITE_PROBLEMS,
    description="Its address is in `url`. Without a secret the hub makes one where it may, and says it here once, in "
    "`secret`; Stripe and Slack make their own, which `PUT /sources/{source_id}/secret` takes.",
)
def create_source() -> Response:
    """Its address works at once."""
    read_query()
    made = service.create(get_runtime(), current_actor(), parse_source(read_json()))
    return _answer_one(made.id, 201, made.secret)


@bp.get("/sources/<source_id>")
@require("read")
@operation("Fetch a source", "sources", {200: "Source"}, problems=(404,))
def show_source(source_id: str) -> Response:
    """Its revision is the ETag."""
    read_query()
    return _answer_one(source_id)


@bp.put("/sources/<source_id>")
@require("design")
@operation(
    "Replace a source",
    "sources",
    {200: "Source"},
    body="SourceDraft",
    problems=(*WRITE_PROBLEMS, 404, 412),
    headers=("If-Match",),
)
def replace_source(source_id: str) -> Response:
    """All but its kind, its address and its secret. With If-Match, only if nobody changed it meanwhile."""
    read_query()
    rt, revision = get_runtime(), if_match()
    with rt.db.read() as conn:
        kind = store.get_source(conn, source_id).kind
    draft = parse_source(read_json(), kind)
    with stale_is_412(revision):
        service.update(rt, current_actor(), source_id, draft, revision)
    return _answer_one(source_id)


@bp.put("/sources/<source_id>/secret")
@require("design")
@operation(
    "Replace the secret of a source",
    "sources",
    {200: "Source"},
    body="SourceSecret",
    problems=(*WRITE_PROBLEMS, 404),
    description="The one before is taken too for `overlap_s` seconds (a day when left out). Without `secret` the hub makes one.",
)
def rotate_source(source_id: str) -> Response:
    """Rotate."""
    read_query()
    secret, overlap_s = _read_rotation(read_json())
    made = service.rotate(get_runtime(), current_actor(), source_id, secret, timedelta(seconds=overlap_s))
    return _answer_one(source_id, 200, made.secret)


@bp.post("/sources/<source_id>/disable")
@require("design")
@operation("Disable a source", "sources", {200: "Source"}, problems=(404, 409, 503))
def disable_source(source_id: str) -> Response:
    """Its requests are refused."""
    read_query()
    service.disable(get_runtime(), current_actor(), source_id)
    return _answer_one(source_id)


@bp.post("/sources/<source_id>/enable")
@require("design")
@operation("Enable a source", "sources", {200: "Source"}, problems=(404, 409, 503))
def enable_source(source_id: str) -> Response:
    """Its requests are taken again."""
    read_query()
    service.enable(get_runtime(), current_actor(), source_id)
    return _answer_one(source_id)


@bp.delete("/sources/<source_id>")
@require("design")
@operation("Delete a source", "sources", {204: None}, problems=(404, 409, 503))
def delete_source(source_id: str) -> Response:
    """Its events stay."""
    read_query()
    service.delete(get_runtime(), current_actor(), source_id)
    return Response(status=204)


@bp.get("/sources/<source_id>/requests")
@require("read")
@operation("List the last requests of a source", "sources", {200: "SourceRequests"}, problems=(404,))
def list_requests(source_id: str) -> Response:
    """The newest hundred, newest first, also those that were refused."""
    read_query()
    with get_runtime().db.read() as conn:
        store.get_source(conn, source_id)
        rows = store.last_requests(conn, source_id)
    return answer({"data": [_request_json(row) for row in rows]})


def source_json(row: Any, secret: str | None = None) -> dict[str, Any]:
    """A source as programs see it; its address only for those who may edit it."""
    may_edit = current_actor().can("design")
    document = {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "state": "active" if row.disabled_at is None else "disabled",
        "url": _url_of(row) if may_edit and row.kind not in CONSUMED else None,
        "event_source": row.event_source,
        "options": row.options,
        "mapping": templates_of(row.kind, row.mapping),
        "has_secret": row.sealed is not None,
        "previous_until": iso_or_none(row.previous_until),
        "revision": row.revision,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "links": {
            "self": f"/api/v1/sources/{row.id}",
            "requests": f"/api/v1/sources/{row.id}/requests",
            "page": f"/sources/{row.id}",
        },
    }
    return document if secret is None else {**document, "secret": secret}


def _url_of(row: Any) -> str:
    return f"{get_runtime().settings.base_url}/{'p' if row.kind == 'publish' else 'in'}/{row.token}"


def _answer_one(source_id: str, status: int = 200, secret: str | None = None) -> Response:
    with get_runtime().db.read() as conn:
        row = store.get_source(conn, source_id)
    headers = {"ETag": f'"{row.revision}"'}
    if status == 201:
        headers["Location"] = f"/api/v1/sources/{row.id}"
    return answer(source_json(row, secret), status, headers)


def _read_rotation(document: Any) -> tuple[str | None, int]:
    if not isinstance(document, dict):
        raise Refused("invalid-source", "Send an object with a secret, or an empty one.")
    faults = [
        Fault(pointer(key), "unknown-field", f"There is no field {shown(key)!r}.")
        for key in document
        if key not in ("secret", "overlap_s")
    ]
    secret, overlap_s = document.get("secret"), document.get("overlap_s", OVERLAP_S)
    if secret is not None and not isinstance(secret, str):
        faults.append(Fault("/secret", "wrong-type", "A secret is text."))
    if type(overlap_s) is not int or not 0 <= overlap_s <= MAX_OVERLAP.total_seconds():
        faults.append(Fault("/overlap_s", "out-of-range", "Between 0 s and 30 days."))
    if faults:
        raise refusal("invalid-source", "secret", faults)
    return secret, overlap_s


def _request_json(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": iso(row.at),
        "verdict": row.verdict,
        "status": row.status,
        "reason": row.reason,
        "event": row.event_uid,
        "ip": row.ip,
        "headers": row.headers if current_actor().can(PAYLOADS) else {},
        "body": row.body if current_actor().can(PAYLOADS) else HIDDEN,
    }


_TEMPLATE = {"type": ["string", "null"], "maxLength": 300}
_CHOSEN: dict[str, Any] = {
    "name": {"type": "string", "maxLength": 120},
    "kind": {"type": "string", "enum": list(KINDS), "description": "How requests are verified, or which kind of broker is read; it cannot be changed."},
    "event_source": {"type": ["string", "null"], "maxLength": 200, "description": "The source of its events; of the name when left out."},
    "options": {
        "type": ["object", "null"],
        "properties": {
            "header": {"type": "string"},
            "algorithm": {"type": "string", "enum": list(ALGORITHMS)},
            "encoding": {"type": "string", "enum": list(ENCODINGS)},
            "prefix": {"type": "string"},
            "timestamp_header": {"type": "string"},
            "tolerance_s": {"type": "integer", "minimum": 10, "maximum": 3600},
            "user": {"type": "string"},
            "url": {"type": "string", "description": "Of the broker, without the password, which is the secret."},
            **{name: {"type": "string"} for name in ("queue", "topic", "stream", "group", "filter")},
            "begin": {"type": "string", "enum": list(BEGINNINGS)},
            "mechanism": {"type": "string", "enum": list(MECHANISMS)},
        },
    },
    "mapping": {
        "type": ["object", "null"],
        "description": "Templates over {body.x.y}, {header.x}, {query.x} and {source}; those of the kind when left out.",
        "properties": {"type": _TEMPLATE, "id": _TEMPLATE, "subject": _TEMPLATE},
        "additionalProperties": False,
    },
}  # fmt: skip
_TIME = {"type": ["string", "null"], "format": "date-time"}
SCHEMAS: dict[str, Any] = {
    "SourceDraft": {
        "type": "object",
        "required": ["name", "kind"],
        "additionalProperties": False,
        "properties": {
            **_CHOSEN,
            "secret": {"type": ["string", "null"], "minLength": 1, "maxLength": 500, "writeOnly": True},
        },
        "examples": [{"name": "Shop repository", "kind": "github", "event_source": "github.com/acme/shop"}],
    },
    "SourceSecret": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "secret": {"type": ["string", "null"], "minLength": 8, "maxLength": 500, "writeOnly": True},
            "overlap_s": {"type": "integer", "minimum": 0, "maximum": 2592000, "default": OVERLAP_S},
        },
    },
    "Source": {
        "type": "object",
        "required": ["id", "name", "kind", "state", "url", "event_source", "has_secret", "revision", "links"],
        "additionalProperties": False,
        "properties": _CHOSEN
        | {
            "id": {"type": "string"},
            "state": {"type": "string", "enum": ["active", "disabled"]},
            "url": {
                "type": ["string", "null"],
                "description": "For the sender; only for those who may edit the source.",
            },
            "has_secret": {"type": "boolean"},
            "secret": {"type": "string", "description": "Once: in the answer to the request that had the hub make it."},
            "previous_until": _TIME | {"description": "Until then the secret before is taken too."},
            "revision": {"type": "integer"},
            "created_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "links": {"$ref": "#/components/schemas/Links"},
        },
    },
    "SourceList": {
        "type": "object",
        "required": ["data", "next_after", "has_more"],
        "properties": {
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Source"}},
            "next_after": {"type": ["string", "null"]},
            "has_more": {"type": "boolean"},
        },
    },
    "SourceRequests": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "at", "verdict", "status"],
                    "properties": {
                        "id": {"type": "string"},
                        "at": {"type": "string", "format": "date-time"},
                        "verdict": {"type": "string", "enum": ["accepted", "duplicate", "ignored", "rejected"]},
                        "status": {"type": "integer"},
                        "reason": {"type": ["string", "null"]},
                        "event": {"type": ["string", "null"]},
                        "ip": {"type": "string"},
                        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                        "body": {"type": "string"},
                    },
                },
            }
        },
    },
}
