"""What stands in the form that sends an event, and the event that it means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import request

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, Refused
from webapp.domain.events import EventDraft, parse_event
from webapp.domain.jsontext import parse_json
from webapp.domain.schema_form import Field
from webapp.store.feed_events import EventDetail
from webapp.web.context import get_runtime
from webapp.web.pages.events import find_event
from webapp.web.pages.payload_form import EXAMPLE, PayloadForm, find_type, laid_out

Read = TypeVar("Read")
FIELDS = ("type", "source", "subject", "payload", "labels", "deliver_at", "version")


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the fields."""

    type: str = ""
    source: str = ""
    subject: str = ""
    payload: str = field(default_factory=lambda: laid_out(EXAMPLE))
    labels: str = ""
    deliver_at: str = ""  # a time, or a delay
    version: str = ""
    once: str = ""  # becomes the id of the event, so that a double click is one event
    cause: str = ""  # the event that this one is made from

    @classmethod
    def from_request(cls, once: str) -> Form:
        """As it was sent; browsers send line breaks as CR LF."""
        given = {name: request.form.get(name, "").replace("\r\n", "\n") for name in FIELDS}
        cause = request.form.get("cause", "")[:64]
        return cls(**given, once=request.form.get("once", "")[:64] or once, cause=cause)

    @classmethod
    def from_event(cls, event: EventDetail, once: str, *, cause: str = "") -> Form:
        """What that event held, to be edited; with a ``cause``, for an event that was made from it."""
        labels = labels_text(event.labels)
        laid = laid_out(parse_json(event.payload.encode(), max_depth=1_000))
        version = str(event.version)
        return cls(event.type, event.source, event.subject or "", laid, labels, "", version, once, cause)

    @classmethod
    def from_document(cls, event: Mapping[str, Any], source: str, once: str) -> Form:
        """What a sample or a link holds: as much as it names of what the API would be sent."""
        return cls(
            str(event.get("type", "")),
            str(event.get("source") or source),
            str(event.get("subject") or ""),
            laid_out(event.get("payload", {})),
            labels_text(event.get("labels") or {}),
            str(event.get("deliver_at") or event.get("delay") or ""),
            str(event.get("version") or ""),
            once,
        )

    def payload_form(self, mode: str = "form") -> PayloadForm:
        """The payload in fields, where there is a schema and it is JSON at all."""
        known = find_type(self.type, self.version)
        try:
            document = parse_json(self.payload.encode("utf-8", "surrogatepass"))
        except Refused:
            return PayloadForm(known, "json", self.payload)
        return PayloadForm.of_document(known, document, mode)

    def to_draft(self, actor: Actor, payload: PayloadForm | None = None) -> EventDraft:
        """The event; raises ``Refused`` with pointers into the document that the API would be sent."""
        document, faults = self.document(payload)
        now = get_runtime().clock()
        draft, others = _tried(lambda: parse_event(document, default_source=default_source(actor), now=now), None)
        if draft is None or faults:
            raise Refused("invalid-event", "The event cannot be sent as it is.", faults=(*others, *faults))
        return draft

    def document(self, payload: PayloadForm | None = None) -> tuple[dict[str, Any], tuple[Fault, ...]]:
        """What the API would be sent, and what cannot be read."""
        nothing: dict[str, Any] = {}
        form = payload or PayloadForm(text=self.payload)
        content, faults = _tried(lambda: _moved(form.document), nothing)
        labels, more = _tried(lambda: dict[str, Any](parse_labels(self.labels)), nothing)
        document: dict[str, Any] = {"type": self.type.strip(), "id": self.once, "payload": content, "labels": labels}
        document |= {name: text for name in ("source", "subject") if (text := getattr(self, name).strip())}
        document |= self._version() | self.timing() | self.derivation()
        return document, (*faults, *more)

    def derivation(self) -> dict[str, Any]:
        """What an event that was made from another takes from it: its cause, and what it belongs to."""
        if not self.cause:
            return {}
        original = find_event(self.cause)
        kept = {"causation_id": original.uid}
        return kept | ({"correlation_id": original.correlation_id} if original.correlation_id else {})

    def timing(self) -> dict[str, str]:
        """``deliver_at`` or ``delay``, whichever of them was written into the one field."""
        text = self.deliver_at.strip()
        if not text:
            return {}
        return {"deliver_at" if "-" in text or ":" in text else "delay": text}

    def _version(self) -> dict[str, Any]:
        text = self.version.strip()
        if not text:
            return {}
        return {"version": int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else text}


@dataclass(slots=True)
class Faults:
    """Field name -> what is wrong with it; the key "" is the form as a whole."""

    by_field: dict[str, list[str]] = field(default_factory=dict)
    payload: list[Fault] = field(default_factory=list)  # the same as ``by_field`` has, to be put at fields of their own

    @classmethod
    def of(cls, refused: Refused) -> Faults:
        """All that a refusal names."""
        found = cls()
        for fault in refused.faults or (Fault("", refused.slug, refused.detail),):
            found.add(fault)
        return found

    def add(self, fault: Fault) -> None:
        name = fault.pointer.split("/")[1] if fault.pointer.startswith("/") else ""
        name = "deliver_at" if name == "delay" else name  # one field has either
        inside = fault.pointer[len(name) + 1 :] if name in ("payload", "labels") else ""
        text = f"{inside}: {fault.message}" if inside else fault.message
        self.by_field.setdefault(name if name in FIELDS else "", []).append(text)
        if name == "payload":
            self.payload.append(fault)

    def at(self, form: PayloadForm) -> dict[str, list[str]]:
        """The same, those of the payload at their fields."""
        if form.reading is None:
            return self.by_field
        rest = {name: texts for name, texts in self.by_field.items() if name != "payload"}
        return rest | form.placed(self.payload, "/payload")


def labels_of(fields: Iterable[Field]) -> dict[str, str]:
    """Name of a field of the payload -> what people call it, for the summary of the faults."""
    return {one.name: one.label or one.key or "" for one in fields}


def default_source(actor: Actor) -> str:
    """Where an event of this person comes from, unless they say otherwise."""
    return f"web/{actor.name}"


def labels_text(labels: Mapping[str, str]) -> str:
    """As they are written into the field."""
    return "\n".join(f"{key}={value}" for key, value in labels.items())


def parse_labels(text: str) -> dict[str, str]:
    """``key=value`` per line. Raises ``Refused`` for a line without a key, and for a key that comes twice."""
    labels: dict[str, str] = {}
    faults = []
    for n, line in enumerate(text.splitlines(), 1):
        key, sign, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not sign or not key:
            faults.append(Fault("/labels", "invalid-value", f"Line {n}: write a label as key=value."))
        elif key in labels:
            faults.append(Fault("/labels", "duplicate-key", f"Line {n}: the label {key[:64]} is there already."))
        labels[key] = value
    if faults:
        raise Refused("invalid-event", "The labels cannot be used.", faults=faults)
    return labels


def _tried(read: Callable[[], Read], instead: Read) -> tuple[Read, tuple[Fault, ...]]:
    """What was read and no faults, or something instead and what was wrong: people are told everything at once."""
    try:
        return read(), ()
    except Refused as refused:
        return instead, refused.faults or (Fault("", refused.slug, refused.detail),)


def _moved(read: Callable[[], Any]) -> Any:
    """What is read, which is the payload of an event: its faults get pointers into the event."""
    try:
        return read()
    except Refused as refused:
        faults = refused.faults or (Fault("", refused.slug, refused.detail),)
        moved = [Fault("/payload" + fault.pointer, fault.code, fault.message) for fault in faults]
        raise Refused(refused.slug, refused.detail, faults=moved) from None
