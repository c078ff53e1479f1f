"""Events: what senders may say, and what is kept of it.

``parse_event`` is the one door for what comes from outside (JSON already passed ``jsontext``); it names every
fault at once. ``Event`` is immutable and may also be built directly by user code; ``draft_of`` sends such an
event through the same door.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import CONTROL, pointer, refusal, shown, unknown_fields
from webapp.domain.instants import iso, iso_or_none, parse_instant
from webapp.domain.jsontext import parse_json, to_text_of_sound
from webapp.domain.timing import deliver_at_of

STATUSES = ("rejected", "unrouted", "processing", "succeeded", "failed", "partial")

TYPE_PATTERN = r"^[a-z0-9]+(?:[._-][a-z0-9]+){0,15}$"
TYPE_CHARS = 128
ID_CHARS = 200
SUBJECT_CHARS = 256
MAX_LABELS = 32
LABEL_CHARS = 256
MAX_VERSION = 2**31 - 1
MAX_AHEAD = timedelta(days=5 * 366)

UNSET = datetime(1, 1, 1, tzinfo=UTC)  # the timestamp of an event whose sender gave none
OWN_SLUGS = frozenset({"unknown-field", "invalid-event-type", "invalid-timestamp"})

_TYPE = re.compile(TYPE_PATTERN.removeprefix("^").removesuffix("$"))
_PRINTABLE_ASCII = re.compile("[\x21-\x7e]+")
_LABEL_KEY = re.compile("[a-z0-9_.-]{1,64}")
_TRACE_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class EventDraft:
    """A valid event that the hub has not stored yet. ``payload_text`` is the payload as it will be kept."""

    id: str | None
    type: str
    source: str
    payload: dict[str, Any]
    payload_text: str
    timestamp: datetime
    version: int = 1
    subject: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    correlation_id: str | None = None
    causation_id: str | None = None
    trace_id: str | None = None
    deliver_at: datetime | None = None  # None: at once


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``id`` is unique within ``source``; ``uid`` is the hub's own, once stored."""

    id: str
    type: str
    payload: dict[str, Any]
    timestamp: datetime = UNSET
    source: str = ""
    version: int = 1
    subject: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    uid: str = ""
    received_at: datetime | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    trace_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("timestamp", "received_at"):
            instant = getattr(self, name)
            if instant is not None and instant.tzinfo is None:
                raise ValueError(f"Event.{name} needs a time zone, for example datetime(..., tzinfo=UTC)")

    def to_json(self) -> dict[str, Any]:
        """The JSON form; instants are RFC 3339 in UTC with milliseconds."""
        return {
            "id": self.id,
            "type": self.type,
            "payload": self.payload,
            "timestamp": None if self.timestamp == UNSET else iso(self.timestamp),
            "source": self.source,
            "version": self.version,
            "subject": self.subject,
            "labels": dict(self.labels),
            "uid": self.uid,
            "received_at": iso_or_none(self.received_at),
            "correlation_id": self.correlation_id,
            "causation_id": self.causation_id,
            "trace_id": self.trace_id,
        }


def parse_event(document: Any, *, default_source: str, now: datetime) -> EventDraft:
    """The event that ``document`` (parsed JSON) describes.

    Raises ``Refused`` (422) with all faults as JSON Pointers. A missing timestamp becomes ``now``.
    """
    if not isinstance(document, dict):
        fault = Fault("", "wrong-type", "An event is a JSON object with at least a type.")
        raise refusal("invalid-event", "event", [fault])
    faults: list[Fault] = []
    if "type" not in document:
        faults.append(Fault("/type", "required", "Every event has a type, for example order.paid."))
    for name, value in document.items():
        check = _CHECKS.get(name)
        if check is not None:
            check(value, faults)
    faults += unknown_fields("An event", document, _CHECKS)
    instant = _timestamp(document.get("timestamp"), now, faults)
    deliver_at = deliver_at_of(document, now, faults)
    if faults:
        raise refusal("invalid-event", "event", faults, own_slugs=OWN_SLUGS)
    payload = document.get("payload", {})
    return EventDraft(
        id=document.get("id"),
        type=document["type"],
        source=document.get("source") or default_source,
        payload=payload,
        payload_text=to_text_of_sound(payload),
        timestamp=instant,
        version=document.get("version") or 1,
        subject=document.get("subject"),
        labels=document.get("labels") or {},
        correlation_id=document.get("correlation_id"),
        causation_id=document.get("causation_id"),
        trace_id=document.get("trace_id"),
        deliver_at=deliver_at,
    )


def draft_of(
    event: Event, now: datetime, default_source: str = "local", timing: Mapping[str, Any] | None = None
) -> EventDraft:
    """The draft of an event built by code, checked like one from outside. Raises ``Refused``.

    ``timing`` may have ``deliver_at`` or ``delay``.
    """
    document: dict[str, Any] = {
        "id": event.id or None,
        "type": event.type,
        "payload": event.payload,
        "timestamp": None if event.timestamp == UNSET else event.timestamp.astimezone(UTC).isoformat(),
        "source": event.source or None,
        "version": event.version,
        "subject": event.subject,
        "labels": dict(event.labels),
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "trace_id": event.trace_id,
        **(timing or {}),
    }
    return parse_event(through_json(document), default_source=default_source, now=now)


def through_json(document: Mapping[str, Any]) -> Any:
    """Python values as they look after a trip through the JSON gate. Raises ``Refused`` for what is not JSON."""
    try:
        text = json.dumps(document)
    except (TypeError, ValueError, RecursionError) as error:
        fault = Fault("", "not-json", f"The event cannot be written as JSON: {shown(str(error))}")
        raise refusal("invalid-event", "event", [fault]) from None
    return parse_json(text.encode())


def _timestamp(value: Any, now: datetime, faults: list[Fault]) -> datetime:
    if value is None:
        return now
    if not isinstance(value, str):
        faults.append(Fault("/timestamp", "invalid-timestamp", "The timestamp must be text (RFC 3339)."))
        return now
    try:
        instant = parse_instant(value)
    except ValueError as error:
        faults.append(Fault("/timestamp", "invalid-timestamp", str(error)))
        return now
    if instant > now + MAX_AHEAD:
        faults.append(Fault("/timestamp", "invalid-timestamp", "The timestamp lies more than 5 years ahead."))
    return instant


def _check_type(value: Any, faults: list[Fault]) -> None:
    if not isinstance(value, str) or len(value) > TYPE_CHARS or not _TYPE.fullmatch(value):
        hint = "lower-case words of a-z and 0-9 joined by dots, hyphens or underscores, as in order.paid"
        faults.append(
            Fault("/type", "invalid-event-type", f"A type is 1 to 16 {hint}; {TYPE_CHARS} characters at most.")
        )


def _check_payload(value: Any, faults: list[Fault]) -> None:
    if not isinstance(value, dict):
        faults.append(Fault("/payload", "wrong-type", "The payload must be a JSON object."))


def _check_source(value: Any, faults: list[Fault]) -> None:
    if value is None:
        return
    if not _check_text("/source", value, ID_CHARS, faults):
        return
    if " " in value or not value.isprintable():
        faults.append(Fault("/source", "invalid-value", "A source has no spaces and only printable characters."))


def _check_id(value: Any, faults: list[Fault]) -> None:
    if value is None or not _check_text("/id", value, ID_CHARS, faults):
        return
    if not _PRINTABLE_ASCII.fullmatch(value):
        faults.append(Fault("/id", "invalid-value", "An id has only printable ASCII characters and no spaces."))


def _check_version(value: Any, faults: list[Fault]) -> None:
    if value is None:
        return
    if type(value) is not int:
        faults.append(Fault("/version", "wrong-type", "The version must be a whole number."))
    elif not 1 <= value <= MAX_VERSION:
        faults.append(Fault("/version", "out-of-range", f"The version must lie between 1 and {MAX_VERSION}."))


def _check_labels(value: Any, faults: list[Fault]) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        faults.append(Fault("/labels", "wrong-type", "Labels must be an object of texts."))
        return
    if len(value) > MAX_LABELS:
        faults.append(Fault("/labels", "too-many", f"At most {MAX_LABELS} labels."))
        return
    for key, text in value.items():
        at = "/labels" + pointer(key)
        if not _LABEL_KEY.fullmatch(key):
            faults.append(Fault(at, "invalid-value", "A label's name has 1 to 64 characters of a-z, 0-9, _ . and -."))
        _check_text(at, text, LABEL_CHARS, faults, least=0)


def _check_trace_id(value: Any, faults: list[Fault]) -> None:
    if value is not None and not (isinstance(value, str) and _TRACE_ID.fullmatch(value)):
        faults.append(Fault("/trace_id", "invalid-value", "A trace id has 32 lower-case hexadecimal digits."))


def _text_check(name: str, most: int) -> Callable[[Any, list[Fault]], None]:
    def check(value: Any, faults: list[Fault]) -> None:
        if value is not None:
            _check_text("/" + name, value, most, faults)

    return check


def _check_text(at: str, value: Any, most: int, faults: list[Fault], *, least: int = 1) -> bool:
    """Whether ``value`` is text of allowed length without control characters; else adds the fault."""
    if not isinstance(value, str):
        faults.append(Fault(at, "wrong-type", "Must be text."))
    elif not least <= len(value) <= most:
        faults.append(Fault(at, "invalid-length", f"Must have {least} to {most} characters."))
    elif CONTROL.search(value):
        faults.append(Fault(at, "invalid-character", "Control characters and line breaks are not allowed here."))
    else:
        return True
    return False


# Field -> its check. What is not in here is refused: nothing of a row can be set from outside.
_CHECKS: Mapping[str, Callable[[Any, list[Fault]], None]] = MappingProxyType(
    {
        "type": _check_type,
        "source": _check_source,
        "payload": _check_payload,
        "id": _check_id,
        "timestamp": lambda value, faults: None,  # needs the time; see _timestamp
        "deliver_at": lambda value, faults: None,  # these two as well; see domain.timing
        "delay": lambda value, faults: None,
        "version": _check_version,
        "subject": _text_check("subject", SUBJECT_CHARS),
        "labels": _check_labels,
        "correlation_id": _text_check("correlation_id", ID_CHARS),
        "causation_id": _text_check("causation_id", ID_CHARS),
        "trace_id": _check_trace_id,
    }
)
