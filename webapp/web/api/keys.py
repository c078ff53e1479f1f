"""``/api/v1/keys``: the keys of programs, for administrators. A secret is in the one answer that made it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Response

from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import pointer, unknown_fields
from webapp.domain.instants import iso, iso_or_none, parse_instant
from webapp.domain.key_limits import PATTERN_CHARS, PATTERNS, SCOPES, KeyLimits
from webapp.domain.retry import parse_duration
from webapp.services import keys as service
from webapp.store.api_feeds import Cursor, Slice
from webapp.web.api.blueprint import CURSOR, DEFAULT_LIMIT, LIMIT, answer, answer_page, bp, operation
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import read_json, read_query

WRITE_PROBLEMS = (400, 413, 415, 422, 503)
ONCE = {"Cache-Control": "no-store"}
LISTS = ("scopes", "event_types", "sources")


@bp.get("/keys")
@require("administer")
@operation("List API keys", "keys", {200: "KeyList"}, query=(LIMIT, CURSOR), problems=(400,))
def list_keys() -> Response:
    """Newest first, revoked ones too; without secrets."""
    wanted = read_query(LIMIT, CURSOR)
    limit = wanted["limit"] or DEFAULT_LIMIT
    found = service.list_keys(get_runtime(), wanted["cursor"].id if wanted["cursor"] else "", limit + 1)
    following = Cursor(found[limit - 1].id) if len(found) > limit else None
    return answer_page(Slice(found[:limit], following, None), key_json)


@bp.post("/keys")
@require("administer")
@operation("Create an API key", "keys", {201: "NewKey"}, body="KeyDraft", problems=WRITE_PROBLEMS)
def create_key() -> Response:
    """The answer has the secret, which is never shown again."""
    read_query()
    rt, sent = get_runtime(), _read(_DRAFT)
    scopes, types, sources = (None if sent.get(name) is None else tuple(sent[name]) for name in LISTS)
    limits = KeyLimits(scopes, types, sources, sent.get("view_payloads", True), _instant(sent.get("expires_at")))
    key_id, secret = service.create_key(
        rt, current_actor(), sent.get("name", ""), sent.get("role", "publisher"), sent.get("rate_limit"), limits
    )
    document = key_json(service.get_key(rt, key_id)) | {"secret": secret}
    return answer(document, 201, {"Location": f"/api/v1/keys/{key_id}", **ONCE})


@bp.get("/keys/<key_id>")
@require("administer")
@operation("Fetch an API key", "keys", {200: "Key"}, problems=(404,))
def show_key(key_id: str) -> Response:
    """What it may do, and when it was last used."""
    read_query()
    return answer(key_json(service.get_key(get_runtime(), key_id)))


@bp.post("/keys/<key_id>/rotate")
@require("administer")
@operation("Rotate an API key", "keys", {200: "NewKey"}, body="KeyRotation", problems=(*WRITE_PROBLEMS, 404, 409))
def rotate_key(key_id: str) -> Response:
    """Another secret; the old one serves until the overlap is over."""
    read_query()
    rt, sent = get_runtime(), _read(_ROTATION)
    secret, _ = service.rotate_key(rt, current_actor(), key_id, _overlap(sent.get("overlap", "0s")))
    return answer(key_json(service.get_key(rt, key_id)) | {"secret": secret}, headers=ONCE)


@bp.delete("/keys/<key_id>")
@require("administer")
@operation("Revoke an API key", "keys", {204: None}, problems=(404, 409, 503))
def revoke_key(key_id: str) -> Response:
    """It is refused from now on, with all its secrets."""
    read_query()
    service.revoke_key(get_runtime(), current_actor(), key_id)
    return Response(status=204)


def key_json(row: Any) -> dict[str, Any]:
    """A key as programs see it."""
    return {
        "id": row.id,
        "name": row.name,
        "begins_with": row.hint,
        "role": row.role,
        "scopes": row.scopes,
        "event_types": row.event_types,
        "sources": row.sources,
        "view_payloads": row.sees_payloads,
        "rate_limit": row.rate_limit,
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "last_used_at": iso_or_none(row.last_used_at),
        "expires_at": iso_or_none(row.expires_at),
        "rotated_at": iso_or_none(row.rotated_at),
        "old_secret_until": iso_or_none(row.previous_until),
        "revoked_at": iso_or_none(row.revoked_at),
    }


def _texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


_DRAFT: dict[str, Callable[[Any], bool]] = {
    "name": _text,
    "role": _text,
    "rate_limit": lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool)),
    "view_payloads": lambda value: isinstance(value, bool),
    "expires_at": lambda value: value is None or isinstance(value, str),
    **dict.fromkeys(LISTS, _texts),
}
_ROTATION: dict[str, Callable[[Any], bool]] = {"overlap": _text}


def _read(fields: dict[str, Callable[[Any], bool]]) -> dict[str, Any]:
    document = read_json()
    if not isinstance(document, dict):
        raise Refused("invalid-key", "An API key is a JSON object.")
    faults = unknown_fields("An API key", document, fields)
    faults += [
        Fault(pointer(name), "wrong-type", "This is of the wrong type.")
        for name, value in document.items()
        if name in fields and not fields[name](value)
    ]
    if faults:
        raise Refused("invalid-key", faults[0].message, faults=faults[:20])
    return document


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise Refused("invalid-key", str(error), faults=[Fault("/expires_at", "format", str(error))]) from None


def _overlap(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise Refused("invalid-key", str(error), faults=[Fault("/overlap", "format", str(error))]) from None


_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_PATTERNS: dict[str, Any] = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": PATTERNS,
    "items": {"type": "string", "minLength": 1, "maxLength": PATTERN_CHARS},
    "description": "What it may publish: globs such as order.*; null: any.",
}
_LIMITS: dict[str, Any] = {
    "name": {"type": "string", "minLength": 1, "maxLength": service.KEY_NAME_CHARS},
    "role": {"type": "string", "enum": list(service.KEY_ROLES)},
    "scopes": {
        "type": ["array", "null"],
        "minItems": 1,
        "items": {"type": "string", "enum": list(SCOPES)},
        "description": "Verbs, within those of the role; null: all of them.",
    },
    "event_types": _PATTERNS,
    "sources": _PATTERNS,
    "view_payloads": {"type": "boolean"},
    "rate_limit": {"type": ["integer", "null"], "minimum": 1, "maximum": service.MAX_RATE_LIMIT},
    "expires_at": _TIME,
}
_KEY: dict[str, Any] = {
    "id": {"type": "string"},
    **_LIMITS,
    "begins_with": {"type": "string"},
    "created_at": {"type": "string", "format": "date-time"},
    "created_by": {"type": "string"},
    "last_used_at": _TIME,
    "rotated_at": _TIME,
    "old_secret_until": _TIME,
    "revoked_at": _TIME,
}
SCHEMAS: dict[str, Any] = {
    "KeyDraft": {
        "type": "object",
        "required": ["name"],
        "additionalProperties": False,
        "properties": _LIMITS,
        "examples": [{"name": "shop live", "role": "publisher", "event_types": ["order.*"], "sources": ["shop"]}],
    },
    "KeyRotation": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"overlap": {"type": "string", "description": "How long the old secret serves on: 1h, 7d."}},
    },
    "Key": {"type": "object", "required": list(_KEY), "additionalProperties": False, "properties": _KEY},
    "NewKey": {
        "type": "object",
        "required": [*_KEY, "secret"],
        "additionalProperties": False,
        "properties": {**_KEY, "secret": {"type": "string", "description": "Shown this once."}},
    },
}
