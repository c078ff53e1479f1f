"""``/api/v1/needs``: what needs action, in groups that died of the same, and saying that nothing needs to be done."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from webapp.domain.errors import Fault, NotFound, Refused
from webapp.domain.faults import CONTROL
from webapp.domain.instants import iso
from webapp.services import needs as service
from webapp.store import feed_needs
from webapp.store.feed_needs import GroupKey, NeedGroup
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, read_json, read_query, text_of

PROBLEMS = (400, 404, 409, 413, 415, 422, 503)
SUBSCRIPTION = Param("subscription_id", text_of, "Only of this subscription.")
BEFORE = Param("before", text_of, "Go on where the answer before stopped: its next_before.")


@bp.get("/needs")
@require("read")
@operation("List what needs action", "deliveries", {200: "NeedList"}, query=(SUBSCRIPTION, BEFORE), problems=(400,))
def list_needs() -> Response:
    """Dead deliveries that never got through, grouped by subscription and what they died of, the newest 2,000 at a time."""
    wanted = read_query(SUBSCRIPTION, BEFORE)
    only = feed_needs.NeedsFilter(subscription_id=wanted["subscription_id"] or "")
    with get_runtime().db.read() as conn:
        page = feed_needs.list_groups(conn, only, before=wanted["before"] or "")
    return answer({"data": [_group_json(one) for one in page.rows], "next_before": page.next})


@bp.post("/needs/<group>/retry")
@require("operate")
@operation(
    "Retry a group", "deliveries", {200: "NeedsDone"}, body="NeedsReason", body_required=False, problems=PROBLEMS
)
def retry_needs(group: str) -> Response:
    """The newest 1,000 of it are tried again with all their tries."""
    read_query()
    return answer({"count": service.retry_group(get_runtime(), current_actor(), _key(group), _reason())})


@bp.post("/needs/<group>/dismiss")
@require("operate")
@operation("Dismiss a group", "deliveries", {200: "NeedsDone"}, body="NeedsReason", problems=PROBLEMS)
def dismiss_needs(group: str) -> Response:
    """The newest 1,000 of it need no action any more. They stay dead; the reason is kept in the audit log."""
    read_query()
    return answer({"count": service.dismiss_group(get_runtime(), current_actor(), _key(group), _reason())})


@bp.post("/deliveries/<delivery_id>/dismiss")
@require("operate")
@operation("Dismiss a delivery", "deliveries", {200: "NeedsDone"}, body="NeedsReason", problems=PROBLEMS)
def dismiss_delivery(delivery_id: str) -> Response:
    """A dead one that needs no action any more. It stays dead."""
    read_query()
    service.dismiss(get_runtime(), current_actor(), delivery_id, _reason())
    return answer({"count": 1})


def _key(text: str) -> GroupKey:
    key = GroupKey.parse(text)
    if key is None:
        raise NotFound("There is no such group.")
    return key


def _reason() -> str:
    if not request.content_length and "HTTP_TRANSFER_ENCODING" not in request.environ:
        return ""
    document = read_json()
    reason = document.get("reason", "") if isinstance(document, dict) and set(document) <= {"reason"} else None
    if not isinstance(reason, str) or CONTROL.search(reason):
        fault = Fault("/reason", "wrong-type", 'Send {"reason": "…"}, one line.')
        raise Refused("invalid-reason", fault.message, faults=(fault,))
    return reason


def _group_json(group: NeedGroup) -> dict[str, Any]:
    return {
        "id": str(group.key),
        "subscription_id": group.subscription_id,
        "subscription": group.subscription_name,
        "reason": group.reason,
        "error_type": group.error_type,
        "message": group.message,
        "count": group.count,
        "first_at": iso(group.first_at),
        "last_at": iso(group.last_at),
        "newest": group.newest_id,
    }


_TEXT = {"type": "string"}
SCHEMAS: dict[str, Any] = {
    "NeedList": {
        "type": "object",
        "required": ["data", "next_before"],
        "additionalProperties": False,
        "properties": {
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Need"}},
            "next_before": {"type": ["string", "null"]},
        },
    },
    "Need": {
        "type": "object",
        "required": ["id", "subscription_id", "count", "newest"],
        "additionalProperties": False,
        "properties": {
            **dict.fromkeys(
                ("id", "subscription_id", "subscription", "reason", "error_type", "message", "newest"), _TEXT
            ),
            "count": {"type": "integer"},
            "first_at": _TEXT | {"format": "date-time"},
            "last_at": _TEXT | {"format": "date-time"},
        },
    },
    "NeedsReason": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"reason": _TEXT | {"maxLength": 500}},
    },
    "NeedsDone": {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}},
}
