"""The fields of the retry policy in the form of a subscription, and the document that they make.

Nothing here decides what is valid; it only knows how a person writes a policy down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.retry import RetryPolicy, format_duration, parse_duration
from webapp.domain.retryschema import PRESETS
from webapp.web.words import retry_in_words

# The first that a pointer starts with is its field.
POINTERS = {
    "/retry/max_attempts": "max_attempts",
    "/retry/base_s": "base",
    "/retry/factor": "factor",
    "/retry/cap_s": "cap",
    "/retry/delays_s": "delays",
    "/retry/max_age_s": "max_age",
    "/retry/never_retry_statuses": "never_statuses",
    "/retry/never_retry": "never_errors",
    "/retry/retry_after_cap_s": "retry_after_cap",
    "/retry": "retry_mode",
}
MODES = {name: f"{name.capitalize()}: {retry_in_words(dict(schedule))}" for name, schedule in PRESETS.items()} | {
    "exponential": "Longer and longer waits",
    "list": "A list of waits",
}
_SEPARATOR = re.compile(r"[\s,;]+")
Read = tuple[Any, list[Fault]]


def values_of(policy: RetryPolicy) -> dict[str, str]:
    """The fields of a stored policy, to be edited. Under a preset lie its numbers, to start an own schedule from."""
    values = {
        "retry_mode": policy.preset or "exponential",
        "max_attempts": str(policy.max_attempts),
        "max_age": "" if policy.max_age_s is None else _duration(policy.max_age_s),
        "never_errors": ", ".join(policy.never_retry),
        "never_statuses": ", ".join(map(str, policy.never_retry_statuses)),
        "retry_after_cap": _duration(policy.retry_after_cap_s),
    }
    if policy.delays_s is not None:
        return values | {"retry_mode": "list", "delays": ", ".join(map(_duration, policy.delays_s))}
    return values | {
        "base": _duration(policy.base_s),
        "factor": f"{policy.factor:g}",
        "cap": _duration(policy.cap_s),
        "jitter": "on" if policy.jitter else "",
    }


def document_of(values: Mapping[str, str]) -> tuple[dict[str, Any], list[Fault]]:
    """What the fields say, and what in them cannot be read. A field that is absent is empty."""
    parts = _schedule(values) | _limits(values)
    faults = [fault for _, found in parts.values() for fault in found]
    return {name: value for name, (value, _) in parts.items() if value is not None}, faults


def _schedule(values: Mapping[str, str]) -> dict[str, Read]:
    mode = values.get("retry_mode") or "exponential"
    if mode == "list":
        return {"delays_s": _delays(values.get("delays", ""))}
    if mode != "exponential":
        return {"preset": (mode, [])}  # the domain knows which there are
    return {
        "max_attempts": _whole(values.get("max_attempts", ""), "/retry/max_attempts"),
        "base_s": _seconds(values.get("base", ""), "/retry/base_s"),
        "factor": _number(values.get("factor", ""), "/retry/factor"),
        "cap_s": _seconds(values.get("cap", ""), "/retry/cap_s"),
        "jitter": (values.get("jitter") == "on", []),
    }


def _limits(values: Mapping[str, str]) -> dict[str, Read]:
    statuses = [int(word) if word.isdecimal() else word for word in _words(values.get("never_statuses", ""))]
    return {
        "max_age_s": _unless_empty(values.get("max_age", ""), "/retry/max_age_s"),
        "never_retry": (_words(values.get("never_errors", "")) or None, []),
        "never_retry_statuses": (statuses or None, []),
        "retry_after_cap_s": _unless_empty(values.get("retry_after_cap", ""), "/retry/retry_after_cap_s"),
    }


def _words(text: str) -> list[str]:
    return [word[:1000] for word in _SEPARATOR.split(text) if word]


def _delays(text: str) -> Read:
    read = [_seconds(word, "/retry/delays_s") for word in text.replace("\n", ",").split(",") if word.strip()]
    faults = [fault for _, found in read for fault in found]
    return None if faults else [value for value, _ in read], faults


def _unless_empty(text: str, at: str) -> Read:
    return _seconds(text, at) if text.strip() else (None, [])


def _duration(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))


def _seconds(text: str, at: str) -> Read:
    try:
        return parse_duration(text.strip()).total_seconds(), []
    except ValueError as error:
        message = str(error)
        return None, [Fault(at, "invalid-duration", f"{message[0].upper()}{message[1:]}.")]


def _number(text: str, at: str) -> Read:
    try:
        return float(text), []
    except ValueError:
        return None, [Fault(at, "wrong-type", "Write a number, such as 2.")]


def _whole(text: str, at: str) -> Read:
    if text.strip().isdecimal() and len(text) < 10:
        return int(text), []
    return None, [Fault(at, "wrong-type", "Write a whole number, such as 8.")]
