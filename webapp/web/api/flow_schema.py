"""How a subscription flows, as programs see it: its pause, its breaker, its release; and what they may send."""

from __future__ import annotations

from typing import Any

from webapp.domain.instants import iso_or_none
from webapp.domain.pauses import MAX_PACE, REASON_CHARS
from webapp.store.feed_flow import FlowRow


def flow_json(flow: FlowRow | None) -> dict[str, Any]:
    """The breaker and the release of a subscription; null where there is none."""
    if flow is None:
        return {"breaker": None, "release": None}
    breaker = {
        "state": flow.breaker,
        "opened_at": iso_or_none(flow.opened_at),
        "probe_at": iso_or_none(flow.probe_at),
    }
    return {
        "breaker": breaker if flow.breaker else None,
        "release": {"pace": flow.pace or None, "held": flow.held} if flow.is_releasing else None,
    }


_INSTANT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
FLOW: dict[str, Any] = {
    "breaker": {
        "type": ["object", "null"],
        "description": "null when the subscription has none.",
        "properties": {
            "state": {"type": "string", "enum": ["closed", "open", "half_open"]},
            "opened_at": _INSTANT,
            "probe_at": _INSTANT,
        },
    },
    "resume_at": {**_INSTANT, "description": "When a paused subscription resumes by itself."},
    "release": {
        "type": ["object", "null"],
        "description": "While held deliveries are let go: how many a second (null: as fast as it goes), how many are left.",
        "properties": {"pace": {"type": ["number", "null"]}, "held": {"type": "integer"}},
    },
}
FLOW_SCHEMAS: dict[str, Any] = {
    "Pause": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "reason": {"type": ["string", "null"], "maxLength": REASON_CHARS},
            "for": {"type": ["string", "number", "null"], "description": 'How long: "2h", "1h30m" or seconds.'},
            "until": {**_INSTANT, "description": "Until when, instead of for how long."},
        },
        "examples": [{"reason": "The warehouse is being moved", "for": "2h"}],
    },
    "Resume": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "pace": {
                "type": ["number", "null"],
                "exclusiveMinimum": 0,
                "maximum": MAX_PACE,
                "description": "Held deliveries per second; without it, as fast as it goes.",
            }
        },
        "examples": [{"pace": 10}],
    },
    "BreakerOrder": {
        "type": "object",
        "required": ["state"],
        "additionalProperties": False,
        "properties": {"state": {"type": "string", "enum": ["open", "closed"]}},
    },
}
