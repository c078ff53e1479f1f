"""What the document of a retry policy may say, and the schedules that have a name.

``check_policy`` is asked by ``RetryPolicy`` whenever one is made or read; every fault is named at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer, shown, unknown_fields

MAX_ATTEMPTS = 100
MAX_FACTOR = 10
MAX_DELAY_S = 7 * 24 * 3600
MAX_AGE_S = 90 * 24 * 3600
MAX_NAMES = 50  # of classes, of statuses
NAME_CHARS = 200
STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")

# A name stands for a schedule; what is stored is the schedule, so that a later change here changes no subscription.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"max_attempts": 5, "base_s": 1, "factor": 2, "cap_s": 10, "jitter": True},  # within 15 s
    "standard": {"max_attempts": 8, "base_s": 5, "factor": 2, "cap_s": 3600, "jitter": True},  # within 11 min
    "patient": {"max_attempts": 10, "base_s": 60, "factor": 4, "cap_s": 86400, "jitter": True},  # within 4 days
}
SCHEDULE = ("max_attempts", "base_s", "factor", "cap_s", "jitter", "delays_s")
_RANGES: Mapping[str, tuple[float, float]] = {
    "base_s": (0, MAX_DELAY_S),
    "factor": (1, MAX_FACTOR),
    "cap_s": (0, MAX_DELAY_S),
    "max_age_s": (1, MAX_AGE_S),
    "retry_after_cap_s": (0, MAX_DELAY_S),
}
_NOT_BESIDE_A_LIST = ("base_s", "factor", "cap_s")


def expanded(document: Mapping[str, Any]) -> dict[str, Any]:
    """The checked ``document`` with its preset's schedule written out."""
    rest = {key: value for key, value in document.items() if key != "preset"}
    return {**PRESETS[document["preset"]], **rest} if "preset" in document else rest


def check_policy(document: Any, prefix: str) -> list[Fault]:
    """Every fault of a policy document; ``prefix`` is the pointer to it."""
    if not isinstance(document, dict):
        return [Fault(prefix, "wrong-type", "The retry policy must be an object.")]
    faults: list[Fault] = []
    for key, value in document.items():
        at = prefix + pointer(key)
        if key in _RANGES:
            faults += _check_number(value, at, *_RANGES[key])
        elif key in _CHECKS:
            faults += _CHECKS[key](value, at)
    faults += unknown_fields("A retry policy", document, (*_RANGES, *_CHECKS), prefix)
    return faults or _check_together(document, prefix)


def _check_number(value: Any, at: str, low: float, high: float) -> list[Fault]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [Fault(at, "wrong-type", "Must be a number.")]
    if not low <= value <= high:
        return [Fault(at, "out-of-range", f"Must lie between {low:g} and {high:,}.")]
    return []


def _check_max_attempts(value: Any, at: str) -> list[Fault]:
    if type(value) is not int:
        return [Fault(at, "wrong-type", "Must be a whole number.")]
    return _check_number(value, at, 1, MAX_ATTEMPTS)


def _check_flag(value: Any, at: str) -> list[Fault]:
    return [] if isinstance(value, bool) else [Fault(at, "wrong-type", "Must be true or false.")]


def _check_delays(value: Any, at: str) -> list[Fault]:
    if not isinstance(value, list | tuple):
        return [Fault(at, "wrong-type", "Must be a list of seconds.")]
    if len(value) >= MAX_ATTEMPTS:
        return [Fault(at, "too-long", f"At most {MAX_ATTEMPTS - 1} delays.")]
    return [fault for n, item in enumerate(value) for fault in _check_number(item, f"{at}/{n}", 0, MAX_DELAY_S)]


def _check_preset(value: Any, at: str) -> list[Fault]:
    if isinstance(value, str) and value in PRESETS:
        return []
    return [Fault(at, "unknown-choice", f"Choose one of {', '.join(PRESETS)}.")]


def _check_names(value: Any, at: str) -> list[Fault]:
    return _check_list(value, at, _is_class_name, "is not the name of a class, such as ValueError or shop.NoStock")


def _check_statuses(value: Any, at: str) -> list[Fault]:
    return _check_list(value, at, _is_status, "is not an HTTP status, such as 410, or a class of them, such as 4xx")


def _check_list(value: Any, at: str, is_right: Callable[[Any], bool], said: str) -> list[Fault]:
    if not isinstance(value, list | tuple):
        return [Fault(at, "wrong-type", "Must be a list.")]
    if len(value) > MAX_NAMES:
        return [Fault(at, "too-long", f"At most {MAX_NAMES} of them.")]
    wrong = [(n, item) for n, item in enumerate(value) if not is_right(item)]
    return [Fault(f"{at}/{n}", "invalid-item", f"{shown(item)!r} {said}.") for n, item in wrong]


def _is_class_name(item: Any) -> bool:
    return isinstance(item, str) and len(item) <= NAME_CHARS and all(part.isidentifier() for part in item.split("."))


def _is_status(item: Any) -> bool:
    if type(item) is int:
        return 100 <= item <= 599
    return isinstance(item, str) and item.lower() in STATUS_CLASSES


_CHECKS: Mapping[str, Callable[[Any, str], list[Fault]]] = {
    "preset": _check_preset,
    "max_attempts": _check_max_attempts,
    "jitter": _check_flag,
    "delays_s": _check_delays,
    "never_retry": _check_names,
    "never_retry_statuses": _check_statuses,
}


def _check_together(document: dict[str, Any], prefix: str) -> list[Fault]:
    if "preset" in document:
        return [
            Fault(f"{prefix}/{key}", "contradiction", "Leave this out where a preset is chosen.")
            for key in SCHEDULE
            if key in document
        ]
    delays = document.get("delays_s")
    if delays is None:
        return []
    tries = len(delays) + 1
    if document.get("max_attempts", tries) != tries:
        return [Fault(f"{prefix}/max_attempts", "contradiction", f"{len(delays)} delays mean {tries} tries.")]
    return [
        Fault(f"{prefix}/{key}", "contradiction", "Leave this out where delays_s is given.")
        for key in _NOT_BESIDE_A_LIST
        if key in document
    ]
