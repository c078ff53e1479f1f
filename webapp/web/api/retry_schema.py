"""The retry policy of a subscription in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from webapp.domain.retry import RETRY_AFTER_CAP_S, RetryPolicy
from webapp.domain.retryschema import (
    MAX_AGE_S,
    MAX_ATTEMPTS,
    MAX_DELAY_S,
    MAX_FACTOR,
    MAX_NAMES,
    NAME_CHARS,
    PRESETS,
)
from webapp.web.words import retry_in_words

_DEFAULT = RetryPolicy()
_DELAY: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": MAX_DELAY_S}
_PRESETS = "; ".join(f"{name}: {retry_in_words(dict(schedule))}" for name, schedule in PRESETS.items())

RETRY_SCHEMA: dict[str, Any] = {
    "type": ["object", "null"],
    "description": (
        "How often a failed delivery is tried again. The schedule is a preset, or exponential (base_s, factor, cap_s, "
        "jitter, max_attempts), or an explicit list delays_s. Times in seconds."
    ),
    "additionalProperties": False,
    "properties": {
        "preset": {
            "type": "string",
            "enum": list(PRESETS),
            "description": f"{_PRESETS}. Stored and answered written out as exponential; not beside another schedule.",
        },
        "max_attempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_ATTEMPTS,
            "default": _DEFAULT.max_attempts,
            "description": "Tries in all, the first one included.",
        },
        "base_s": _DELAY | {"default": _DEFAULT.base_s, "description": "The wait after the first failure."},
        "factor": {"type": "number", "minimum": 1, "maximum": MAX_FACTOR, "default": _DEFAULT.factor},
        "cap_s": _DELAY | {"default": _DEFAULT.cap_s, "description": "The longest wait."},
        "jitter": {"type": "boolean", "default": True, "description": "Half of each exponential wait is random."},
        "delays_s": {
            "type": "array",
            "items": _DELAY,
            "maxItems": MAX_ATTEMPTS - 1,
            "description": "The wait after each failure, exactly; one more try than delays.",
        },
        "max_age_s": {
            "type": "number",
            "minimum": 1,
            "maximum": MAX_AGE_S,
            "description": "No further try starts later than this after the delivery was made: it is dead (exhausted).",
        },
        "never_retry": {
            "type": "array",
            "items": {"type": "string", "maxLength": NAME_CHARS},
            "maxItems": MAX_NAMES,
            "description": "Exception classes, by name or dotted name, base classes count: dead at once (permanent).",
        },
        "never_retry_statuses": {
            "type": "array",
            "items": {"type": ["integer", "string"], "minimum": 100, "maximum": 599, "pattern": "^[1-5][xX]{2}$"},
            "maxItems": MAX_NAMES,
            "description": "HTTP statuses (410) or classes of them (4xx): dead at once (permanent).",
        },
        "retry_after_cap_s": _DELAY
        | {
            "default": RETRY_AFTER_CAP_S,
            "description": "A Retry-After of the receiver is honoured up to this; 0 ignores it.",
        },
    },
}
