"""When a failed delivery is tried again: exponential backoff with jitter, or a list of delays; and when it is not.

Pure arithmetic: the random ``roll`` comes in as an argument. The policy kept in SQL is
``RetryPolicy.to_json()``; ``from_json`` is the only way back and refuses what it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from webapp.domain.faults import refusal, shown
from webapp.domain.retryschema import PRESETS, SCHEDULE, check_policy, expanded

MAX_EXPONENT = 64  # 10 ** 64 still is a float; 10 ** 400 would raise
RETRY_AFTER_CAP_S = 86400

_DURATION = re.compile(
    r"(?:([0-9]{1,6})d)?(?:([0-9]{1,8})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)s)?(?:([0-9]{1,9})ms)?"
)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_UNITS_S = (86400, 3600, 60, 1, 0.001)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, how fast and what for. Times in seconds. With ``delays_s``, try n waits ``delays_s[n-1]`` exactly."""

    max_attempts: int = 8  # tries in all, the first one included
    base_s: float = 5
    factor: float = 2
    cap_s: float = 3600
    jitter: bool = True
    delays_s: tuple[float, ...] | None = None
    max_age_s: float | None = None  # no further try starts later than this after the delivery was made
    never_retry: tuple[str, ...] = ()  # names of exception classes, base classes count
    never_retry_statuses: tuple[int | str, ...] = ()  # HTTP: 410, "4xx"
    retry_after_cap_s: float = RETRY_AFTER_CAP_S  # of what the other side asks for by Retry-After

    def __post_init__(self) -> None:
        if self.delays_s is not None:
            object.__setattr__(self, "delays_s", tuple(self.delays_s))
            object.__setattr__(self, "max_attempts", len(self.delays_s) + 1)
        object.__setattr__(self, "never_retry", tuple(self.never_retry))
        statuses = (item.lower() if isinstance(item, str) else item for item in self.never_retry_statuses)
        object.__setattr__(self, "never_retry_statuses", tuple(statuses))
        faults = check_policy(self.to_json(), "")
        if faults:
            raise ValueError("; ".join(f"{fault.pointer[1:]}: {fault.message}" for fault in faults))

    def to_json(self) -> dict[str, Any]:
        """The form that is stored and sent; ``from_json`` reads it back equal. What is not asked for is left out."""
        document = self.schedule()
        if self.max_age_s is not None:
            document["max_age_s"] = self.max_age_s
        if self.never_retry:
            document["never_retry"] = list(self.never_retry)
        if self.never_retry_statuses:
            document["never_retry_statuses"] = list(self.never_retry_statuses)
        if self.retry_after_cap_s != RETRY_AFTER_CAP_S:
            document["retry_after_cap_s"] = self.retry_after_cap_s
        return document

    def schedule(self) -> dict[str, Any]:
        """The part that says how often and how fast."""
        if self.delays_s is not None:
            return {"max_attempts": self.max_attempts, "delays_s": list(self.delays_s)}
        return {key: getattr(self, key) for key in SCHEDULE if key != "delays_s"}

    @property
    def preset(self) -> str | None:
        """The name of this schedule, if it has one."""
        schedule = self.schedule()
        return next((name for name, named in PRESETS.items() if named == schedule), None)

    @staticmethod
    def from_json(document: Any, prefix: str = "/retry") -> RetryPolicy:
        """The policy written in ``document`` (absent keys: the defaults). Raises ``Refused`` with every fault."""
        faults = check_policy(document, prefix)
        if faults:
            raise refusal("invalid-retry-policy", "retry policy", faults)
        return RetryPolicy(**expanded(document))

    def barred_by(self, error_names: Collection[str], status: int | None) -> str | None:
        """The entry that forbids another try after this failure: ``"ValueError"``, ``"HTTP status 4xx"``."""
        for name in self.never_retry:
            if name in error_names:
                return name
        for barred in self.never_retry_statuses:
            if status is not None and barred in (status, f"{status // 100}xx"):
                return f"HTTP status {barred}"
        return None

    def is_over_age(self, age: timedelta) -> bool:
        """Whether a delivery of that age is too old for another try."""
        return self.max_age_s is not None and age > timedelta(seconds=self.max_age_s)


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
    """The longest wait before each further try, in order; jitter can only shorten them. ``max_age_s`` is not applied."""
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
