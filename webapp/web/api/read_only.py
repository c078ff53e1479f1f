"""``/api/v1/read-only``: whether the hub takes changes, and the switch."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.errors import Conflict, Fault, Refused
from webapp.domain.faults import unknown_fields
from webapp.domain.instants import iso
from webapp.services import read_only as service
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.auth import current_actor, require
from webapp.web.context import get_hub, get_runtime
from webapp.web.requests import read_json, read_query


@bp.get("/read-only")
@require("read")
@operation("Is the hub read-only?", "health", {200: "ReadOnly"})
def show_read_only() -> Response:
    """Since when, why and by whom."""
    read_query()
    return answer(_document())


@bp.put("/read-only")
@require("administer")
@operation(
    "Switch read-only mode", "health", {200: "ReadOnly"}, body="ReadOnlySwitch", problems=(400, 413, 415, 422, 503)
)
def put_read_only() -> Response:
    """On with a reason, or off. What is so already stays as it is, with its reason."""
    read_query()
    wanted, reason = _wanted(read_json())
    try:
        if wanted:
            service.switch_on(get_runtime(), current_actor(), reason)
        else:
            service.switch_off(get_runtime(), current_actor())
    except Conflict:  # it is so already
        pass
    get_hub().read_only.forget()
    return answer(_document())


def _document() -> dict[str, Any]:
    mode = service.find_mode(get_runtime())
    if mode is None:
        return {"read_only": False, "reason": None, "since": None, "by": None}
    return {"read_only": True, "reason": mode.reason, "since": iso(mode.since), "by": mode.by}


def _wanted(document: Any) -> tuple[bool, str]:
    if not isinstance(document, dict):
        raise Refused("invalid-reason", "The switch is a JSON object.")
    faults = unknown_fields("The switch", document, ("read_only", "reason"))
    on, reason = document.get("read_only"), document.get("reason", "")
    if not isinstance(on, bool):
        faults.append(Fault("/read_only", "wrong-type", "Must be true or false."))
    if not isinstance(reason, str):
        faults.append(Fault("/reason", "wrong-type", "Must be text."))
    if faults:
        raise Refused("invalid-reason", faults[0].message, faults=faults[:20])
    return bool(on), str(reason)


SCHEMAS: dict[str, Any] = {
    "ReadOnly": {
        "type": "object",
        "required": ["read_only", "reason", "since", "by"],
        "additionalProperties": False,
        "properties": {
            "read_only": {"type": "boolean"},
            "reason": {"type": ["string", "null"]},
            "since": {"type": ["string", "null"], "format": "date-time"},
            "by": {"type": ["string", "null"]},
        },
    },
    "ReadOnlySwitch": {
        "type": "object",
        "required": ["read_only"],
        "additionalProperties": False,
        "properties": {
            "read_only": {"type": "boolean"},
            "reason": {"type": "string", "maxLength": service.REASON_CHARS, "description": "Needed to switch it on."},
        },
        "examples": [{"read_only": True, "reason": "The database moves until 14:00"}],
    },
}
