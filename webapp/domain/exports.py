"""Exports as somebody asks for them: what, as what, and which; every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webapp.domain.condition_text import parse_condition_text
from webapp.domain.errors import Fault, Refused
from webapp.domain.events import STATUSES
from webapp.domain.faults import pointer, refusal, unknown_fields
from webapp.domain.instants import iso
from webapp.domain.lifecycle import State
from webapp.domain.operators import parse_moment

FIELDS = ("what", "format", "filter", "payloads")
FORMATS: Mapping[str, tuple[str, ...]] = {
    "events": ("csv", "ndjson", "cloudevents"),
    "deliveries": ("csv", "ndjson"),
    "audit": ("csv", "ndjson"),
}
FILTERS: Mapping[str, tuple[str, ...]] = {
    "events": ("type", "status", "source", "since", "until", "q"),
    "deliveries": ("state", "subscription", "since"),
    "audit": ("words", "actor", "action", "target", "since", "until"),
}
MOMENTS = ("since", "until")
CHOICES: Mapping[str, tuple[str, ...]] = {"status": tuple(STATUSES), "state": tuple(str(state) for state in State)}
TEXT_CHARS, QUERY_CHARS = 200, 2_000
SUFFIXES = {"csv": "csv", "ndjson": "ndjson", "cloudevents": "ndjson"}
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "cloudevents": "application/x-ndjson",
}


@dataclass(frozen=True, slots=True)
class ExportDraft:
    """An export as somebody asks for it. The times of its filter are fixed."""

    what: str
    format: str
    filter: dict[str, str] = field(default_factory=dict)
    payloads: bool = False

    @property
    def shows_payloads(self) -> bool:
        """Whether the file tells what is inside of events: by holding it, or by what was searched for."""
        return self.payloads or "q" in self.filter


def parse_export(document: Any, now: datetime) -> ExportDraft:
    """The draft that ``document`` (parsed JSON) describes. Raises ``Refused`` (422) with every fault."""
    if not isinstance(document, dict):
        raise refusal("invalid-export", "export", [Fault("", "wrong-type", "Must be an object.")])
    faults = unknown_fields("An export", document, FIELDS)
    what, format, payloads = document.get("what"), document.get("format", "csv"), document.get("payloads", False)
    if not isinstance(what, str) or what not in FORMATS:
        faults.append(Fault("/what", "unknown-choice", f"Choose one of {', '.join(FORMATS)}."))
        raise refusal("invalid-export", "export", faults)
    if format not in FORMATS[what]:
        faults.append(Fault("/format", "unknown-choice", f"Choose one of {', '.join(FORMATS[what])}."))
    _check_payloads(what, format, payloads, faults)
    chosen = _filter(document.get("filter", {}), FILTERS[what], now, faults)
    if faults:
        raise refusal("invalid-export", "export", faults)
    return ExportDraft(what, format, chosen, payloads)


def _check_payloads(what: str, format: str, payloads: Any, faults: list[Fault]) -> None:
    if not isinstance(payloads, bool):
        faults.append(Fault("/payloads", "wrong-type", "Must be true or false."))
    elif payloads and what != "events":
        faults.append(Fault("/payloads", "contradiction", "Only events have payloads."))
    elif format == "cloudevents" and not payloads:
        faults.append(Fault("/payloads", "required", "CloudEvents come with their payloads."))


def _filter(given: Any, known: tuple[str, ...], now: datetime, faults: list[Fault]) -> dict[str, str]:
    if not isinstance(given, dict):
        faults.append(Fault("/filter", "wrong-type", "Must be an object."))
        return {}
    chosen: dict[str, str] = {}
    for name, value in given.items():
        at = "/filter" + pointer(name)
        if name not in known:
            faults.append(Fault(at, "unknown-field", f"Choose among {', '.join(known)}."))
        elif value in (None, ""):
            continue
        elif not isinstance(value, str) or len(value) > (QUERY_CHARS if name == "q" else TEXT_CHARS) or "\0" in value:
            faults.append(Fault(at, "invalid-value", "Must be a short text."))
        else:
            try:
                chosen[name] = _value(name, value, now)
            except ValueError as error:
                faults.append(Fault(at, "invalid-value", str(error)))
    return chosen


def _value(name: str, value: str, now: datetime) -> str:
    """The value, checked; a time as an instant. Raises ``ValueError``."""
    if name in MOMENTS:
        at = parse_moment(value)(now)
        if at is None or at.year < 1970:
            raise ValueError("There is no such time.")
        return iso(at)
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(f"Choose one of {', '.join(CHOICES[name])}.")
    if name == "q":
        try:
            parse_condition_text(value)
        except Refused as refused:
            raise ValueError(refused.faults[0].message if refused.faults else refused.detail) from None
    return value


def file_name(what: str, format: str, at: datetime) -> str:
    """``signalbox-events-20261123-140208.csv``."""
    return f"signalbox-{what}-{at:%Y%m%d-%H%M%S}.{SUFFIXES[format]}"
