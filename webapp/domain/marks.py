"""A mark: something that happened around the hub, such as a deploy, as it is told to be drawn on the charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import CONTROL, pointer, refusal, shown
from webapp.domain.instants import parse_instant

TITLE_CHARS = 200
OLDEST = timedelta(days=7)  # as far as the charts reach
AHEAD = timedelta(minutes=5)  # clocks differ


@dataclass(frozen=True, slots=True)
class MarkDraft:
    """What happened, and when."""

    title: str
    at: datetime


def parse_mark(document: Any, now: datetime) -> MarkDraft:
    """``{"title", "at"?}``. Raises ``Refused`` (422) with every fault."""
    faults: list[Fault] = []
    if not isinstance(document, dict):
        faults.append(Fault("", "wrong-type", 'Send an object such as {"title": "Deployed 1.4"}.'))
        raise refusal("invalid-mark", "mark", faults)
    given: Mapping[str, Any] = document
    for name in given:
        if name not in ("title", "at"):
            faults.append(Fault(pointer(name), "unknown-field", f"There is no field {shown(name)} here."))
    title, at = _title(given, faults), _at(given, now, faults)
    if faults:
        raise refusal("invalid-mark", "mark", faults)
    return MarkDraft(title, at)


def _title(given: Mapping[str, Any], faults: list[Fault]) -> str:
    title = given.get("title")
    if not isinstance(title, str) or not 0 < len(title.strip()) <= TITLE_CHARS:
        faults.append(Fault("/title", "wrong-type", f"A title is text of 1 to {TITLE_CHARS} characters."))
    elif CONTROL.search(title):
        faults.append(Fault("/title", "invalid-character", "A title has no control characters or line breaks."))
    else:
        return title.strip()
    return ""


def _at(given: Mapping[str, Any], now: datetime, faults: list[Fault]) -> datetime:
    if "at" not in given:
        return now
    try:
        at = parse_instant(given["at"] if isinstance(given["at"], str) else "")
    except ValueError as error:
        faults.append(Fault("/at", "invalid-time", str(error)))
        return now
    if not now - OLDEST <= at <= now + AHEAD:
        faults.append(Fault("/at", "out-of-range", "A mark lies within the last 7 days, and not in the future."))
    return at
