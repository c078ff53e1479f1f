"""``/api/v1/secrets``: what subscriptions name as ``{secret.NAME}``. Values go in and never come out."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.errors import Fault, NotFound, Refused
from webapp.domain.faults import pointer, shown, unknown_fields
from webapp.domain.instants import iso
from webapp.services import secrets as service
from webapp.services.secrets import SecretInfo
from webapp.store.api_feeds import Cursor, Slice
from webapp.web.api.blueprint import CURSOR, DEFAULT_LIMIT, LIMIT, answer, answer_page, bp, operation
from webapp.web.api.subscriptions import if_match, stale_is_412
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import read_json, read_query

WRITE_PROBLEMS = (400, 409, 413, 415, 422, 503)


@bp.get("/secrets")
@require("administer")
@operation("List secrets", "secrets", {200: "SecretList"}, query=(LIMIT, CURSOR), problems=(400,))
def list_secrets() -> Response:
    """By name, with the subscriptions that name each; without values."""
    wanted = read_query(LIMIT, CURSOR)
    after = wanted["cursor"].id if wanted["cursor"] else ""
    found, following = service.list_secrets(get_runtime(), current_actor(), after, wanted["limit"] or DEFAULT_LIMIT)
    page: Any = Slice(found, None if following is None else Cursor(following), None)  # type: ignore[arg-type]
    return answer_page(page, secret_json)


@bp.post("/secrets")
@require("administer")
@operation("Create a secret", "secrets", {201: "Secret"}, body="SecretDraft", problems=WRITE_PROBLEMS)
def create_secret() -> Response:
    """Its value is kept encrypted and is in no answer."""
    read_query()
    sent = _texts("name", "value", "description")
    name = sent.get("name", "")
    service.create(get_runtime(), current_actor(), name, sent.get("value", ""), sent.get("description", ""))
    return _answer_one(name, 201)


@bp.get("/secrets/<name>")
@require("administer")
@operation("Fetch a secret", "secrets", {200: "Secret"}, problems=(404,))
def show_secret(name: str) -> Response:
    """Who changed it and who uses it; its revision is the ETag."""
    read_query()
    return _answer_one(name)


@bp.patch("/secrets/<name>")
@require("administer")
@operation(
    "Change a secret",
    "secrets",
    {200: "Secret"},
    body="SecretChange",
    problems=(*WRITE_PROBLEMS, 404, 412),
    headers=("If-Match",),
)
def change_secret(name: str) -> Response:
    """Another value, another description, or both; workers use a new value within seconds. With If-Match, only if
    nobody changed it meanwhile."""
    read_query()
    revision, sent = if_match(), _texts("value", "description")
    with stale_is_412(revision):
        service.change(get_runtime(), current_actor(), name, **sent, revision=revision)
    return _answer_one(name)


@bp.delete("/secrets/<name>")
@require("administer")
@operation("Delete a secret", "secrets", {204: None}, problems=(404, 409, 503))
def delete_secret(name: str) -> Response:
    """Refused while a subscription names it."""
    read_query()
    service.delete(get_runtime(), current_actor(), name)
    return Response(status=204)


def secret_json(info: SecretInfo) -> dict[str, Any]:
    """A secret as programs see it."""
    return {
        "name": info.name,
        "description": info.description,
        "revision": info.revision,
        "created_at": iso(info.created_at),
        "updated_at": iso(info.updated_at),
        "updated_by": info.updated_by,
        "used_by": [{"id": id, "name": name} for id, name in info.used_by],
    }


def _answer_one(name: str, status: int = 200) -> Response:
    info = _one(name)
    headers = {"ETag": f'"{info.revision}"'}
    if status == 201:
        headers["Location"] = f"/api/v1/secrets/{name}"
    return answer(secret_json(info), status, headers)


def _one(name: str) -> SecretInfo:
    found = service.find_secret(get_runtime(), current_actor(), name)
    if found is None:
        raise NotFound(f"There is no secret {shown(name)!r}.")
    return found


def _texts(*names: str) -> dict[str, str]:
    document = read_json()
    if not isinstance(document, dict):
        raise Refused("invalid-secret", "A secret is a JSON object.")
    faults = unknown_fields("A secret", document, names)
    faults += [
        Fault(pointer(key), "wrong-type", "Must be text.")
        for key, value in document.items()
        if key in names and not isinstance(value, str)
    ]
    if faults:
        raise Refused("invalid-secret", faults[0].message, faults=faults[:20])
    return document


_VALUE: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": service.VALUE_BYTES, "writeOnly": True}
_NAME: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"}
_WORDS: dict[str, Any] = {"type": "string", "maxLength": service.DESCRIPTION_CHARS}
SCHEMAS: dict[str, Any] = {
    "SecretDraft": {
        "type": "object",
        "required": ["name", "value"],
        "additionalProperties": False,
        "properties": {"name": _NAME, "value": _VALUE, "description": _WORDS},
        "examples": [{"name": "SHOP_TOKEN", "value": "a value that nobody sees again", "description": "Of the shop"}],
    },
    "SecretChange": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"value": _VALUE, "description": _WORDS},
    },
    "Secret": {
        "type": "object",
        "required": ["name", "description", "revision", "created_at", "updated_at", "updated_by", "used_by"],
        "additionalProperties": False,
        "properties": {
            "name": _NAME,
            "description": _WORDS,
            "revision": {"type": "integer"},
            "created_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "updated_by": {"type": "string"},
            "used_by": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "name"],
                    "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
                },
            },
        },
    },
}
