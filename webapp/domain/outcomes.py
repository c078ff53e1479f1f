"""What a handler may return. Outcomes are values; an exception is folded into ``Retry`` by the runner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """The work is finished. ``result`` is kept with the attempt as JSON (64 KiB at most)."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again. ``after`` overrides the subscription's policy; ``reason`` is shown to people.

    ``status`` is the HTTP status of the failure, if there was one: a policy may rule out retries for it.
    ``retry_after`` is how long the other side asked us to wait: honoured up to the cap of the policy.
    """

    after: timedelta | None = None
    reason: str = ""
    status: int | None = None
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Discard:
    """Give up now: the delivery is dead with reason ``permanent``, whatever tries are left."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snooze:
    """Not now: run again after ``delay`` without using up a try."""

    delay: timedelta
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing to do for this event; the delivery ends as ``skipped``."""

    reason: str = ""


Outcome = Done | Retry | Discard | Snooze | Skip
