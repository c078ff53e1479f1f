"""When a failed delivery is tried again: exponential backoff with jitter, or a list of delays.

Pure arithmetic: the random ``roll`` comes in as an argument. The policy kept in SQL is
``RetryPolicy.to_json()``; ``from_json`` is the only way back and refuses what it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer, refusal, shown

MAX_ATTEMPTS = 100
MAX_FACTOR = 10
MAX_DELAY_S = 7 * 24 * 3600
MAX_EXPONENT = 64  # 10 ** 64 still is a float; 10 ** 400 would raise

_DURATION = re.compile(
    r"(?:([0-9]{1,6})d)?(?:([0-9]{1,8})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)s)?(?:([0-9]{1,9})ms)?"
)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_UNITS_S = (86400, 3600, 60, 1, 0.001)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast. Times in seconds. With ``delays_s``, try n waits ``delays_s[n-1]`` exactly."""

    max_attempts: int = 8  # tries in all, the first one included
    base_s: float = 5
    factor: float = 2
    cap_s: float = 3600
    jitter: bool = True
    delays_s: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.delays_s is not None:
            object.__setattr__(self, "delays_s", tuple(self.delays_s))
            object.__setattr__(self, "max_attempts", len(self.delays_s) + 1)
        faults = check_policy(self.to_json(), "")
        if faults:
            raise ValueError("; ".join(f"{fault.pointer[1:]}: {fault.message}" for fault in faults))

    def to_json(self) -> dict[str, Any]:
        """The form that is stored and sent; ``from_json`` reads it back equal."""
        if self.delays_s is not None:
            return {"max_attempts": self.max_attempts, "delays_s": list(self.delays_s)}
        return {
            "max_attempts": self.max_attempts,
            "base_s": self.base_s,
            "factor": self.factor,
            "cap_s": self.cap_s,
            "jitter": self.jitter,
        }

    @staticmethod
    def from_json(document: Any, prefix: str = "/retry") -> RetryPolicy:
        """The policy written in ``document`` (absent keys: the defaults). Raises ``Refused`` with every fault."""
        faults = check_policy(document, prefix)
        if faults:
            raise refusal("invalid-retry-policy", "retry policy", faults)
        return RetryPolicy(**document)


def delay_for(attempt: int, policy: RetryPolicy, roll: float) -> timedelta:
    """How long to wait after failed try number ``attempt`` (1 is the first).

    ``roll`` lies in [0, 1). With jitter the result lies within [0.5, 1.0] x min(base * factor**(attempt-1), cap).
    """
    if policy.delays_s is not None:
        index = min(attempt, len(policy.delays_s)) - 1
        return timedelta(seconds=policy.delays_s[index] if policy.delays_s else 0)
    exponent = min(max(attempt - 1, 0), MAX_EXPONENT)
    ceiling = min(policy.base_s * policy.factor**exponent, policy.cap_s)
    return timedelta(seconds=ceiling * (0.5 + 0.5 * roll) if policy.jitter else ceiling)


def preview(policy: RetryPolicy) -> list[timedelta]:
    """The longest wait before each further try, in order; jitter can only shorten them."""
    return [delay_for(attempt, policy, 1.0) for attempt in range(1, policy.max_attempts)]


def parse_duration(text: str | float) -> timedelta:
    """``"1h30m"``, ``"2d"``, ``"500ms"``, ``"30"`` or a number of seconds. Raises ``ValueError``."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError("write a duration as 30s, 1h30m or a number of seconds")
    if not isinstance(text, str):
        return _seconds(text)
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return _seconds(float(text))
    match = _DURATION.fullmatch(text)
    if match is None or match.lastindex is None:
        raise ValueError(f"{shown(text)!r} is not a duration; write it as 30s, 5m, 1h30m or 2d")
    return _seconds(sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS_S, strict=True) if part))


def format_duration(value: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back equal (to the millisecond): ``1h30m``."""
    rest = round(value.total_seconds() * 1000)
    words = []
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"


def _seconds(number: float) -> timedelta:
    if not 0 <= number <= 1e10:  # also refuses NaN
        raise ValueError("a duration lies between 0 and 300 years")
    return timedelta(seconds=number)


_RANGES: Mapping[str, tuple[float, float]] = {
    "base_s": (0, MAX_DELAY_S),
    "factor": (1, MAX_FACTOR),
    "cap_s": (0, MAX_DELAY_S),
}


def check_policy(document: Any, prefix: str) -> list[Fault]:
    """Every fault of a policy document; ``prefix`` is the pointer to it."""
    if not isinstance(document, dict):
        return [Fault(prefix, "wrong-type", "The retry policy must be an object.")]
    faults: list[Fault] = []
    for key, value in document.items():
        at = prefix + pointer(key)
        if key in _RANGES:
            faults += _check_number(value, at, *_RANGES[key])
        elif key == "max_attempts":
            faults += _check_max_attempts(value, at)
        elif key == "jitter":
            if not isinstance(value, bool):
                faults.append(Fault(at, "wrong-type", "Must be true or false."))
        elif key == "delays_s":
            faults += _check_delays(value, at)
        else:
            faults.append(Fault(at, "unknown-field", f"A retry policy has no field {shown(key)!r}."))
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


def _check_delays(value: Any, at: str) -> list[Fault]:
    if not isinstance(value, list | tuple):
        return [Fault(at, "wrong-type", "Must be a list of seconds.")]
    if len(value) >= MAX_ATTEMPTS:
        return [Fault(at, "too-long", f"At most {MAX_ATTEMPTS - 1} delays.")]
    return [fault for n, item in enumerate(value) for fault in _check_number(item, f"{at}/{n}", 0, MAX_DELAY_S)]


def _check_together(document: dict[str, Any], prefix: str) -> list[Fault]:
    delays = document.get("delays_s")
    if delays is None:
        return []
    tries = len(delays) + 1
    if document.get("max_attempts", tries) != tries:
        return [Fault(f"{prefix}/max_attempts", "contradiction", f"{len(delays)} delays mean {tries} tries.")]
    return [
        Fault(f"{prefix}/{key}", "contradiction", "Leave this out where delays_s is given.")
        for key in _RANGES
        if key in document
    ]
