"""An event as a message: a CloudEvent in structured or binary form, in the words that each protocol binding has for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from webapp.domain.cloudevents import STRUCTURED, binary_body, structured_json, to_cloudevent
from webapp.domain.events import Event

FORMATS = ("structured", "binary")
FORMAT: dict[str, Any] = {
    "type": "string",
    "enum": list(FORMATS),
    "default": "structured",
    "description": "The CloudEvent as one JSON document, or its data alone and its attributes beside it",
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """``attributes`` are those of the binary form, by their CloudEvents names."""

    body: bytes
    content_type: str
    attributes: dict[str, str]

    def prefixed(self, prefix: str) -> dict[str, str]:
        """The attributes as a binding names them."""
        return {prefix + name: text for name, text in self.attributes.items()}

    def quoted(self, prefix: str) -> dict[str, str]:
        """The same where headers are ASCII: percent-encoded, as over HTTP."""
        return {name: quote(text, safe=SAFE) for name, text in self.prefixed(prefix).items()}


SAFE = "".join(chr(n) for n in range(0x21, 0x7F) if chr(n) not in '"%')


def envelope_of(event: Event, form: str = "structured") -> Envelope:
    """The event in that form."""
    if form != "binary":
        return Envelope(structured_json(event), STRUCTURED, {})
    attrs = to_cloudevent(event)
    content_type = str(attrs.pop("datacontenttype", ""))
    return Envelope(binary_body(event), content_type, {name: _text(value) for name, value in attrs.items()})


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
