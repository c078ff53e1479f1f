"""The policies of a subscription in the description of the API."""

from __future__ import annotations

from typing import Any

from webapp.domain.policies import MAX_BATCH, MAX_COUNT, PRIORITIES

_KEY = {"type": ["string", "null"], "maxLength": 500, "description": "A template over the event: {data.customer_id}."}
_DURATION = {"type": ["string", "number", "null"], "description": '"30s", "1h30m" or seconds.'}
_COUNT = {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_COUNT}


def _policy(about: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    schema = {
        "type": ["object", "null"],
        "description": about,
        "additionalProperties": False,
        "properties": properties,
    }
    return schema | ({"required": list(required)} if required else {})


POLICIES_SCHEMA: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "Each policy is off unless it is given.",
    "additionalProperties": False,
    "properties": {
        "priority": {"type": ["string", "null"], "enum": [*PRIORITIES, None]},
        "expires": _DURATION | {"description": "Longer than this in the queue it is not started: dead, expired."},
        "ordering": _policy(
            "One after the other per key, retries included.",
            ("key",),
            key=_KEY,
            on_dead={"type": ["string", "null"], "enum": ["block", "continue", None]},
        ),
        "concurrency": _policy("How many run at once.", limit=_COUNT, key=_KEY, per_key=_COUNT),
        "throttle": _policy(
            "How many start per period; the others queue.",
            ("limit", "period"),
            limit=_COUNT,
            period=_DURATION,
            burst=_COUNT | {"minimum": 0},
            key=_KEY,
        ),
        "rate_limit": _policy(
            "How many are taken per period; the others are skipped.",
            ("limit", "period"),
            limit=_COUNT,
            period=_DURATION,
            key=_KEY,
        ),
        "debounce": _policy(
            "Runs after a period of quiet, with the last event.",
            ("period",),
            period=_DURATION,
            max_wait=_DURATION,
            key=_KEY,
        ),
        "batch": _policy(
            "Deliveries are collected and given to the handler in one call: `size` of them, or what came within `wait` "
            "(1 s to 1 h). For handlers that take lists; not with ordering, concurrency or throttle.",
            ("size", "wait"),
            size={"type": ["integer", "null"], "minimum": 2, "maximum": MAX_BATCH},
            wait=_DURATION,
            key=_KEY,
        ),
        "dedupe": _policy(
            "An event whose key was seen within the window is skipped.", ("key", "window"), key=_KEY, window=_DURATION
        ),
        "breaker": _policy(
            "Holds deliveries while the target keeps failing.",
            failure_rate={"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
            min_tries=_COUNT,
            window=_DURATION,
            open_for=_DURATION,
            disable_after=_DURATION,
        ),
    },
}
