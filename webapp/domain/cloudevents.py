"""CloudEvents 1.0: what becomes of their attributes and data in an event of the hub, and the way back.

Nothing is lost: an event that came in as a CloudEvent goes out as the same one (docs/cloudevents.md has the table).
What has no field of its own is a label. Three labels of names that no attribute can have say how to go back:
``ce.type`` is the type as it was sent, ``ce.data`` how the data lies in the payload, ``ce.typed`` the names of the
attributes that were numbers or truth values and not text.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from webapp.domain.errors import Fault, Refused
from webapp.domain.events import OWN_SLUGS, UNSET, Event, EventDraft, parse_event
from webapp.domain.faults import pointer, refusal, shown
from webapp.domain.instants import iso, parse_instant
from webapp.domain.jsontext import to_text

SPEC_VERSION = "1.0"
JSON_TYPE = "application/json"
STRUCTURED = "application/cloudevents+json"
PREFIX = "ce-"  # of headers
NO_DATA: Final = object()  # an event may come without data, which is not the same as with the JSON value null

TYPE_LABEL, DATA_LABEL, TYPED_LABEL = "ce.type", "ce.data", "ce.typed"
NAME_CHARS = 64
CORE = frozenset({"id", "source", "type", "specversion", "time", "subject"})
TEXTS = frozenset({"dataschema", "datacontenttype", "correlationid", "causationid", "traceparent", "expirytime"})
NOT_EXTENSIONS = CORE | {"data", "data_base64", "datacontenttype", "correlationid", "causationid"}

# Field of an event -> the attribute that it comes from; a label is an attribute of the same name.
_ATTRIBUTE_OF = MappingProxyType(
    {"timestamp": "time", "payload": "data", "correlation_id": "correlationid", "causation_id": "causationid"}
)
_NAME = re.compile(rf"[a-z0-9]{{1,{NAME_CHARS}}}")
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+\-]{1,127}/[A-Za-z0-9!#$&^_.+\-]{1,127}[ \t]*(?:;[\x20-\x7e\t]*)?")
_JSON_MEDIA = re.compile(r"(?:[^/;\s]+/[^/;\s]+\+json|[^/;\s]+/json)\s*(?:;.*)?", re.IGNORECASE)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_HEADER_SAFE = "".join(chr(n) for n in range(0x21, 0x7F) if chr(n) not in '"%')
_NOT_IN_TYPES = re.compile(r"[^a-z0-9._-]+")
_SEPARATORS = re.compile(r"[._-]{2,}")
_VERSION = re.compile(r"[1-9][0-9]{0,9}")
_TYPED = re.compile(r"true|false|0|-?[1-9][0-9]{0,9}")
_NOT_IN_URIS = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]|%(?![0-9A-Fa-f]{2})")


# In


def draft_of_cloudevent(attrs: Mapping[str, Any], data: Any, now: datetime) -> EventDraft:
    """The event, checked like every other. Raises ``Refused`` with all faults, pointing to attributes."""
    document, faults = _read(attrs, data)
    known = {one.pointer for one in faults}
    draft = None
    try:
        draft = parse_event(document, default_source="", now=now)
    except Refused as refused:
        at_attributes = [replace(one, pointer=_to_attribute(one.pointer)) for one in refused.faults]
        faults += [one for one in at_attributes if one.pointer not in known]
    if faults or draft is None:
        raise refusal("invalid-event", "event", faults, own_slugs=OWN_SLUGS)
    return draft


def fold_type(text: str) -> str:
    """A type as the hub routes it: lower case, other characters than its own as hyphens. Empty if nothing is left."""
    folded = _NOT_IN_TYPES.sub("-", text.lower())
    return _SEPARATORS.sub(lambda run: "." if "." in run[0] else run[0][0], folded).strip("._-")


def is_json(media_type: str | None) -> bool:
    """Whether data of this type is JSON; data without a type is."""
    return media_type is None or bool(_JSON_MEDIA.fullmatch(media_type.strip()))


def _read(attrs: Mapping[str, Any], data: Any) -> tuple[dict[str, Any], list[Fault]]:
    given = {name: value for name, value in attrs.items() if value is not None}  # null: not set
    faults: list[Fault] = []
    _check_core(given, faults)
    labels, typed = {}, []
    for name, value in given.items():
        if name not in CORE and _check_name(name, faults):
            text = _text_of(name, value, faults)
            if text is not None:
                labels[name] = text
                typed += [] if isinstance(value, str) else [name]
    media_type = labels.get("datacontenttype")
    payload, how = _payload_of(data, media_type)
    if media_type == JSON_TYPE:  # as without
        del labels["datacontenttype"]
    kept = {DATA_LABEL: how, TYPED_LABEL: " ".join(sorted(typed)) or None}
    document = {
        "id": given.get("id"),
        "source": given.get("source"),
        "subject": given.get("subject"),
        "timestamp": given.get("time"),
        "payload": payload,
        "correlation_id": labels.pop("correlationid", None),
        "causation_id": labels.pop("causationid", None),
        "trace_id": _trace_id(labels.get("traceparent")),
        "version": _version(labels.get("dataversion")),
    }
    sent = given.get("type", "")
    document["type"] = sent
    if isinstance(sent, str) and (folded := fold_type(sent)) and folded != sent:
        document["type"], kept[TYPE_LABEL] = folded, sent
    document["labels"] = labels | {name: text for name, text in kept.items() if text is not None}
    return document, faults


def _check_core(given: Mapping[str, Any], faults: list[Fault]) -> None:
    for name in ("specversion", "id", "source", "type"):
        if given.get(name, "") == "":
            faults.append(
                Fault(pointer(name), "required", f"Every CloudEvent has the attribute {name}; it is not empty.")
            )
    version = given.get("specversion", SPEC_VERSION)
    if version != SPEC_VERSION and version != "":
        faults.append(Fault("/specversion", "invalid-value", f"The hub takes CloudEvents 1.0, not {shown(version)}."))
    if given.get("subject") == "":
        faults.append(Fault("/subject", "invalid-value", "A subject is not empty; leave it out."))
    _check_uri("source", given.get("source"), faults, absolute=False)
    _check_uri("dataschema", given.get("dataschema"), faults, absolute=True)
    media_type = given.get("datacontenttype")
    if isinstance(media_type, str) and not _MEDIA_TYPE.fullmatch(media_type):
        faults.append(Fault("/datacontenttype", "invalid-value", "Write a media type such as application/json."))
    for name in ("expirytime", "recordedtime"):
        _check_time(name, given.get(name), faults)


def _check_uri(name: str, value: Any, faults: list[Fault], *, absolute: bool) -> None:
    if not isinstance(value, str) or value == "":
        return
    if not _URI_REFERENCE.fullmatch(value):
        message = (
            f"The attribute {name} is a URI{'' if absolute else '-reference'}: other characters are written as %XX."
        )
        faults.append(Fault(pointer(name), "invalid-value", message))
    elif absolute and not _SCHEME.match(value):
        faults.append(Fault(pointer(name), "invalid-value", f"The attribute {name} is a URI with a scheme."))


def _check_time(name: str, value: Any, faults: list[Fault]) -> None:
    if isinstance(value, str):
        try:
            parse_instant(value)
        except ValueError as error:
            faults.append(Fault(pointer(name), "invalid-value", str(error)))


def _check_name(name: str, faults: list[Fault]) -> bool:
    if name in ("data", "data_base64") or not _NAME.fullmatch(name):
        message = f"Attributes have names of 1 to {NAME_CHARS} characters of a-z and 0-9; data is no attribute."
        faults.append(Fault(pointer(name), "invalid-name", message))
        return False
    return True


def _text_of(name: str, value: Any, faults: list[Fault]) -> str | None:
    """The canonical text of an attribute (CloudEvents, type system)."""
    if isinstance(value, bool) and name not in TEXTS:
        return "true" if value else "false"
    if isinstance(value, int) and name not in TEXTS and -(2**31) <= value < 2**31:
        return str(value)
    if isinstance(value, str):
        return value
    choice = "text" if name in TEXTS else "text, true, false or a whole number of 32 bits"
    message = f"The attribute {shown(name)} must be {choice}."
    faults.append(Fault(pointer(name), "wrong-type", message))
    return None


def _payload_of(data: Any, media_type: str | None) -> tuple[dict[str, Any], str | None]:
    """The payload, and how the data lies in it; None: the payload is the data."""
    if data is NO_DATA:
        return {}, "none"
    if isinstance(data, bytes):
        return {"data_base64": b64encode(data).decode()}, "binary"
    if isinstance(data, dict):
        return data, None
    return {"data": data}, "text" if isinstance(data, str) and not is_json(media_type) else "value"


def _trace_id(traceparent: str | None) -> str | None:
    """None for one that is not valid, which W3C Trace Context says to ignore."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return match[1] if match else None


def _version(text: str | None) -> int | None:
    return int(text) if text and _VERSION.fullmatch(text) and int(text) < 2**31 else None


def _to_attribute(at: str) -> str:
    """The pointer to the attribute that a field of the event came from."""
    first, *rest = at.removeprefix("/").split("/")
    if first == "labels" and rest:
        return "/" + {TYPE_LABEL: "type"}.get(rest[0], rest[0])
    return "/".join(["", _ATTRIBUTE_OF.get(first, first), *rest]) if first else at


# Out


def to_cloudevent(event: Event) -> dict[str, Any]:
    """The attributes, ``datacontenttype`` among them when there is data. Extensions are text, numbers or truth values."""
    labels = event.labels
    attrs: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.id or event.uid,
        "source": _as_uri(event.source) or "/",
        "type": _sent_type(event),
        "time": None if event.timestamp == UNSET else _instant(event.timestamp),
        "subject": event.subject or None,
        "datacontenttype": _media_type(event),
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
        "traceparent": _traceparent(event),
        "recordedtime": None if event.received_at is None else _instant(event.received_at),
        "dataversion": event.version if event.version != 1 else None,
    }
    typed = frozenset(labels.get(TYPED_LABEL, "").split())
    for name, text in labels.items():
        if name not in NOT_EXTENSIONS and _NAME.fullmatch(name):
            attrs[name] = _value(text) if name in typed else text
    return {name: value for name, value in attrs.items() if value is not None}


def data_of(event: Event) -> Any:
    """The data as it came in: a JSON value, text, bytes or ``NO_DATA``."""
    payload, how = event.payload, event.labels.get(DATA_LABEL)
    if how == "none" and not payload:
        return NO_DATA
    if how == "binary" and payload.keys() == {"data_base64"}:
        try:
            return b64decode(payload["data_base64"], validate=True)
        except (Base64Error, TypeError, ValueError):
            return payload
    return payload["data"] if how in ("text", "value") and payload.keys() == {"data"} else payload


def structured_json(event: Event) -> bytes:
    """The body of ``application/cloudevents+json``."""
    attrs, data = to_cloudevent(event), data_of(event)
    if isinstance(data, bytes):
        attrs["data_base64"] = event.payload["data_base64"]
    elif data is not NO_DATA:
        attrs["data"] = data
    return to_text(attrs).encode()


def binary_headers(event: Event) -> dict[str, str]:
    """The headers of binary mode, ``Content-Type`` among them when there is data."""
    headers = {}
    for name, value in to_cloudevent(event).items():
        text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        headers["Content-Type" if name == "datacontenttype" else PREFIX + name] = (
            text if name == "datacontenttype" else quote(text, safe=_HEADER_SAFE)
        )
    return headers


def binary_body(event: Event) -> bytes:
    """The body of binary mode."""
    data = data_of(event)
    if data is NO_DATA:
        return b""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str) and event.labels.get(DATA_LABEL) == "text":
        return data.encode()
    return to_text(data).encode()


def _sent_type(event: Event) -> str:
    """As it was sent, if the label tells the truth: anybody may send labels."""
    sent = event.labels.get(TYPE_LABEL, "")
    return sent if sent and fold_type(sent) == event.type else event.type


def _media_type(event: Event) -> str | None:
    given = event.labels.get("datacontenttype", "")
    if _MEDIA_TYPE.fullmatch(given):
        return given
    return None if data_of(event) is NO_DATA else JSON_TYPE


def _traceparent(event: Event) -> str | None:
    """Without one that was sent: the hub's own step in the trace, the same each time the event goes out."""
    if event.trace_id is None:
        return None
    return f"00-{event.trace_id}-{sha256((event.uid or event.id).encode()).hexdigest()[:16]}-00"


def _value(text: str) -> str | bool | int:
    if not _TYPED.fullmatch(text):
        return text
    return text == "true" if text in ("true", "false") else int(text)


def _as_uri(source: str) -> str:
    return _NOT_IN_URIS.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), source)


def _instant(at: datetime) -> str:
    """To the millisecond as everywhere in the hub, to the microsecond if it has those."""
    at = at.astimezone(UTC)
    return at.isoformat().replace("+00:00", "Z") if at.microsecond % 1000 else iso(at)
