"""Samples: events that somebody keeps under a name, to be sent again or tried on rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.events import parse_event
from webapp.domain.faults import CONTROL, pointer, refusal, shown, unknown_fields
from webapp.domain.jsontext import to_text

KEPT = ("type", "version", "source", "subject", "payload", "labels")  # the rest is of one sending only
NAME_CHARS = 80
EVENT_CHARS = 256 * 1024
SLUG = "invalid-sample"


@dataclass(frozen=True, slots=True)
class SampleDraft:
    """A sample that is not stored yet. ``event`` is what the API would be sent."""

    name: str
    event: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The event's."""
        return str(self.event["type"])


def parse_sample(document: Any, now: datetime) -> SampleDraft:
    """The sample that ``document`` describes. Raises ``Refused`` (422). No schema is asked: misfits are good samples too."""
    if not isinstance(document, dict):
        raise refusal(SLUG, "sample", [Fault("", "wrong-type", "Send a JSON object with name and event.")])
    unknown = [key for key in document if key not in ("name", "event")]
    faults = [Fault(pointer(key), "unknown-field", f"There is no field {shown(key)!r}.") for key in unknown]
    faults += name_faults(document.get("name"))
    event = document.get("event")
    if not isinstance(event, dict):
        faults.append(Fault("/event", "wrong-type", "What the API would be sent: an object with a type and a payload."))
    else:
        faults += _event_faults(event, now)
    if faults or not isinstance(event, dict):
        raise refusal(SLUG, "sample", faults)
    return SampleDraft(document["name"].strip(), {key: event[key] for key in KEPT if event.get(key) is not None})


def name_faults(name: Any) -> list[Fault]:
    """What is wrong with the name of a sample."""
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARS or CONTROL.search(name):
        return [Fault("/name", "invalid-value", f"A name is one line of 1 to {NAME_CHARS} characters.")]
    return []


def _event_faults(event: Mapping[str, Any], now: datetime) -> list[Fault]:
    faults = unknown_fields("A sample", event, KEPT, "/event")
    try:
        parse_event({key: event[key] for key in KEPT if key in event}, default_source="sample", now=now)
    except Refused as refused:
        faults += [Fault("/event" + one.pointer, one.code, one.message) for one in refused.faults]
    if len(to_text(event)) > EVENT_CHARS:
        faults.append(Fault("/event", "too-large", f"A sample has at most {EVENT_CHARS // 1024} KiB."))
    return faults
