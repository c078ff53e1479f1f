"""``/api/v1/subscriptions/<id>/versions``: what a subscription was at every revision that changed it, and back to one."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.errors import NotFound
from webapp.domain.instants import iso
from webapp.domain.sensitive import masked
from webapp.services import subscriptions as service
from webapp.services.catalog import known_handlers
from webapp.store import versions
from webapp.store.subscriptions import get_subscription
from webapp.web.api.blueprint import LIMIT, answer, bp, operation
from webapp.web.api.subscriptions import NOTE, answer_one, if_match, stale_is_412
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, number_of, read_query

BEFORE = Param("before", number_of(1, 999_999_999), "Only versions below this one.", {"type": "integer", "minimum": 1})


@bp.get("/subscriptions/<subscription_id>/versions")
@require("read")
@operation(
    "List the versions of a subscription",
    "subscriptions",
    {200: "VersionList"},
    query=(LIMIT, BEFORE),
    problems=(400, 404),
)
def list_versions(subscription_id: str) -> Response:
    """Newest first. A revision that changed only the state (a pause) is no version."""
    wanted, rt = read_query(LIMIT, BEFORE), get_runtime()
    known = known_handlers(rt)
    with rt.db.read() as conn:
        get_subscription(conn, subscription_id)
        page = versions.newest(conn, subscription_id, wanted["before"], wanted["limit"])
    following = None if page.next is None else int(page.next)
    return answer({"data": [_version_json(row, known) for row in page.rows], "next_before": following})


@bp.get("/subscriptions/<subscription_id>/versions/<revision>")
@require("read")
@operation("Fetch a version of a subscription", "subscriptions", {200: "Version"}, problems=(404,))
def show_version(subscription_id: str, revision: str) -> Response:
    """Its document is what would be sent to make the subscription so; hidden options are dots."""
    read_query()
    rt = get_runtime()
    with rt.db.read() as conn:
        row = versions.get(conn, subscription_id, _checked(revision))
    return answer(_version_json(row, known_handlers(rt)))


@bp.post("/subscriptions/<subscription_id>/versions/<revision>/restore")
@require("design")
@operation(
    "Restore a version of a subscription",
    "subscriptions",
    {200: "Subscription"},
    query=(NOTE,),
    problems=(400, 404, 409, 412, 422, 503),
    headers=("If-Match",),
)
def restore_version(subscription_id: str, revision: str) -> Response:
    """The subscription is again what it was, as a new version. With If-Match, only if nobody changed it meanwhile."""
    note, expected = read_query(NOTE)["note"] or "", if_match()
    with stale_is_412(expected):
        service.restore(get_runtime(), current_actor(), subscription_id, _checked(revision), expected, note)
    return answer_one(subscription_id)


def _checked(revision: str) -> int:
    if not (revision.isascii() and revision.isdigit() and len(revision) < 10):
        raise NotFound("There is no such version.")
    return int(revision)


def _version_json(row: Any, schemas: Any) -> dict[str, Any]:
    document = dict(row.document)
    hides = schemas.get(document.get("handler"))
    document["options"] = masked(document["options"], hides) if current_actor().can("design") else None
    return {
        "revision": row.revision,
        "action": row.action,
        "at": iso(row.at),
        "by": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
        "note": row.note,
        "document": document,
    }


_VERSION = {"$ref": "#/components/schemas/Version"}
SCHEMAS: dict[str, Any] = {
    "VersionList": {
        "type": "object",
        "required": ["data", "next_before"],
        "additionalProperties": False,
        "properties": {
            "data": {"type": "array", "items": _VERSION},
            "next_before": {"type": ["integer", "null"], "description": "Ask with this as before for older ones."},
        },
    },
    "Version": {
        "type": "object",
        "required": ["revision", "action", "at", "by", "note", "document"],
        "additionalProperties": False,
        "properties": {
            "revision": {"type": "integer"},
            "action": {"type": "string", "enum": ["created", "updated", "restored", "applied"]},
            "at": {"type": "string", "format": "date-time"},
            "by": {
                "type": "object",
                "required": ["kind", "id", "name"],
                "properties": {"kind": {"type": "string"}, "id": {"type": "string"}, "name": {"type": "string"}},
            },
            "note": {"type": "string"},
            "document": {"$ref": "#/components/schemas/SubscriptionDraft"},
        },
    },
}
