"""How long a subscription is paused, and at which pace it is resumed: what forms and programs may send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import CONTROL, pointer, refusal, shown
from webapp.domain.instants import parse_instant
from webapp.domain.retry import parse_duration

REASON_CHARS = 500
LONGEST_PAUSE = timedelta(days=366)
MAX_PACE = 10_000.0  # deliveries per second


@dataclass(frozen=True, slots=True)
class Pause:
    """A wish to pause. Without ``resume_at``, until somebody resumes it."""

    reason: str = ""
    resume_at: datetime | None = None


def parse_pause(document: Any, now: datetime) -> Pause:
    """``{"reason", "for"}`` or ``{"reason", "until"}``, each optional. Raises ``Refused`` (422) with every fault."""
    faults: list[Fault] = []
    given = _object(document, ("reason", "for", "until"), faults)
    reason = given.get("reason", "")
    if not isinstance(reason, str) or len(reason) > REASON_CHARS:
        faults.append(Fault("/reason", "wrong-type", f"A reason is text of at most {REASON_CHARS} characters."))
    elif CONTROL.search(reason):
        faults.append(Fault("/reason", "invalid-character", "A reason has no control characters or line breaks."))
    if "for" in given and "until" in given:
        faults.append(Fault("/until", "contradiction", "Say either for how long or until when."))
    resume_at = None
    if "for" in given:
        resume_at = _resume_at("/for", lambda: now + parse_duration(given["for"]), now, faults)
    elif "until" in given:
        resume_at = _resume_at("/until", lambda: _instant(given["until"]), now, faults)
    if faults:
        raise refusal("invalid-subscription", "pause", faults)
    return Pause(reason.strip(), resume_at)


def parse_resume(document: Any) -> float | None:
    """``{"pace": 10}``: held deliveries per second; without it, as fast as it goes. Raises ``Refused`` (422)."""
    faults: list[Fault] = []
    pace = _object(document, ("pace",), faults).get("pace")
    is_number = isinstance(pace, int | float) and not isinstance(pace, bool)
    if pace is not None and not (is_number and 0 < pace <= MAX_PACE):
        message = f"A pace is a number of deliveries per second, above 0 and up to {MAX_PACE:,.0f}."
        faults.append(Fault("/pace", "out-of-range", message))
    if faults:
        raise refusal("invalid-subscription", "resume", faults)
    return None if pace is None else float(pace)


def _object(document: Any, known: tuple[str, ...], faults: list[Fault]) -> Mapping[str, Any]:
    """The fields that are given; ``null`` is the same as absent."""
    if not isinstance(document, dict):
        faults.append(Fault("", "wrong-type", f"Send an object with {', '.join(known)}, each optional."))
        return {}
    faults += [
        Fault(pointer(name), "unknown-field", f"There is no {shown(name)!r} here; known: {', '.join(known)}.")
        for name in document
        if name not in known
    ]
    return {name: value for name, value in document.items() if value is not None}


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("Write a date, a time and an offset as in 2026-11-23T13:00:00Z (RFC 3339).")
    return parse_instant(value)


def _resume_at(at: str, read: Callable[[], datetime], now: datetime, faults: list[Fault]) -> datetime | None:
    try:
        found = read()
    except (ValueError, OverflowError) as error:
        message = str(error)
        faults.append(Fault(at, "invalid-time", f"{message[0].upper()}{message[1:].rstrip('.')}."))
        return None
    if not now < found <= now + LONGEST_PAUSE:
        message = f"This lies between now and {LONGEST_PAUSE.days} days from now."
        faults.append(Fault(at, "out-of-range", message))
    return found
