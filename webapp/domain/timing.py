"""When an event is to be delivered, if not at once: ``deliver_at`` (a point in time) or ``delay`` (from now)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.instants import parse_instant
from webapp.domain.retry import parse_duration

MAX_AHEAD = timedelta(days=366)


def deliver_at_of(document: Mapping[str, Any], now: datetime, faults: list[Fault]) -> datetime | None:
    """The time that the document asks for, or None for at once; adds what is wrong with it to ``faults``."""
    at, delay = document.get("deliver_at"), document.get("delay")
    if at is not None and delay is not None:
        faults.append(Fault("/delay", "contradiction", "Give deliver_at or delay, not both."))
        return None
    if at is not None:
        return _bounded("/deliver_at", _instant(at, faults), now, faults)
    if delay is not None:
        return _bounded("/delay", _later(delay, now, faults), now, faults)
    return None


def _instant(value: Any, faults: list[Fault]) -> datetime | None:
    try:
        return parse_instant(value if isinstance(value, str) else "")
    except ValueError as error:
        faults.append(Fault("/deliver_at", "invalid-timestamp", str(error)))
        return None


def _later(value: Any, now: datetime, faults: list[Fault]) -> datetime | None:
    try:
        wait = parse_duration(value)
    except ValueError as error:
        faults.append(Fault("/delay", "invalid-duration", f"{str(error)[0].upper()}{str(error)[1:]}."))
        return None
    return now + min(wait, 2 * MAX_AHEAD)


def _bounded(at: str, wanted: datetime | None, now: datetime, faults: list[Fault]) -> datetime | None:
    if wanted is None:
        return None
    if wanted < now:
        faults.append(Fault(at, "out-of-range", "This time has passed already."))
    elif wanted > now + MAX_AHEAD:
        faults.append(Fault(at, "out-of-range", "This lies more than a year ahead."))
    return wanted if wanted > now else None
