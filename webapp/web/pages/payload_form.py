"""The payload of the form that sends an event: the fields that the schema of the type asks for, or JSON text; in step.

What is shown says for which type and version it was drawn, so that a form posted back is read as it was drawn, also
when another type or version is what it asks for next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.jsontext import parse_json, to_text
from webapp.domain.schema_form import Data, FormTooLargeError, Reading, place_faults, read
from webapp.domain.schema_form_data import add, data_of, remove, starting_document
from webapp.domain.schemas import compiled
from webapp.store.feed_submit import TypeForForm, type_for_form
from webapp.web.context import get_runtime

MODES = {"form": "Form", "json": "JSON"}
EXAMPLE: Mapping[str, Any] = {"order_id": "o_88213", "amount": 129.5, "currency": "EUR"}
TOO_LARGE = "This payload has more fields than a form can show; it is here as JSON."
CHANGED = "The schema has changed meanwhile; what you had typed last is here as JSON."


@dataclass(frozen=True, slots=True)
class PayloadForm:
    """What stands in the payload, in one of its two forms."""

    type: TypeForForm = field(default_factory=TypeForForm)
    mode: str = "json"
    text: str = ""  # of the JSON tab; beside the fields, the payload when they were drawn
    data: Data = field(default_factory=dict)  # of the fields, as typed
    reading: Reading | None = None  # of the same
    note: str = ""

    @classmethod
    def of_document(cls, known: TypeForForm, document: Any, mode: str = "form") -> PayloadForm:
        """A payload to begin with; as JSON where there is no schema, or the form would be too large."""
        text, note = laid_out(document), ""
        if mode == "form" and known.schema is not None and isinstance(document, dict):
            try:
                found = cls(known, "form", text)._with(data_of(known.schema, document))
                if found.reading is not None and found.reading.root.kind == "object":
                    return found
            except FormTooLargeError:
                note = TOO_LARGE
        return cls(known, "json", text, note=note)

    @classmethod
    def of_request(cls, form: Mapping[str, str], name: str) -> PayloadForm:
        """As it was posted; ``name`` is the type that the form names now. Line breaks of browsers are CR LF."""
        shown, text = form.get("form_type", name)[:128], form.get("payload", "").replace("\r\n", "\n")
        known = find_type(shown, form.get("form_version", ""))
        if form.get("mode") != "form":
            return cls(known, "json", text)
        if known.schema is None or form.get("form_digest") != digest(known):
            return cls(known, "json", text, note=CHANGED)
        data = {key: value for key, value in form.items() if key == "p" or key.startswith(("p-", "p."))}
        return cls(known, "form", text)._with(data)

    def document(self) -> Any:
        """The payload. Raises ``Refused`` with pointers into it when it cannot be read."""
        if self.reading is None:
            return parse_json(self.text.encode("utf-8", "surrogatepass"))
        if self.reading.faults:
            raise Refused("invalid-payload", "The payload cannot be read.", faults=self.reading.faults)
        return parse_json(to_text(self.reading.value).encode("utf-8", "surrogatepass"))

    def best_document(self) -> Any:
        """The payload as far as it can be read; nothing of a text that is not JSON."""
        try:
            return self.document()
        except Refused:
            return self.reading.value if self.reading is not None else {}

    def switched(self, mode: str) -> PayloadForm:
        """The same payload in the other form. Raises ``Refused`` when what stands there cannot be carried over."""
        return PayloadForm.of_document(self.type, self.document(), mode)

    def of_type(self, name: str, version: str = "") -> PayloadForm:
        """For another type or version. What was only the beginning of the old form gives way to that of the new one.

        Raises ``Refused`` when what stands in the fields cannot be carried over.
        """
        known = find_type(name, version)
        try:
            document = self.document()
        except Refused:
            if self.reading is None:
                return replace(self, type=known)
            raise
        if document in ({}, EXAMPLE, starting_of(self.type)):
            document = starting_of(known)
        asked = self.mode if self.type.schema is not None else "form"
        return PayloadForm.of_document(known, document, asked)

    def grown(self, verb: str, name: str) -> PayloadForm:
        """With a row more, or one less."""
        if self.reading is None:
            return self
        change = add if verb == "add" else remove
        changed = change(self.type.schema, self.data, name)
        after = self._with(changed)
        return after if after.reading is not None else replace(self, note="A form can show no more fields.")

    def judged(self) -> tuple[Fault, ...]:
        """What the schema of a declared type says of the payload, with pointers into it."""
        if self.type.version is None or self.type.schema is None:
            return ()
        try:
            document = self.best_document() if self.reading is not None else self.document()
        except Refused:  # the editor says where the text breaks
            return ()
        faults, _ = compiled(to_text(self.type.schema)).faults(document)
        return faults

    def placed(self, faults: tuple[Fault, ...] | list[Fault], at: str = "") -> dict[str, list[str]]:
        """The faults by the name of the field; beside no fields, all at the text."""
        if self.reading is not None:
            return place_faults(self.reading.root, faults, at)
        told = [(fault.pointer.removeprefix(at), fault.message) for fault in faults]
        return {"payload": [f"{where}: {said}" if where else said for where, said in told]} if told else {}

    def _with(self, data: Data) -> PayloadForm:
        try:
            return replace(self, data=data, reading=read(self.type.schema, data))
        except FormTooLargeError:
            return replace(self, mode="json", reading=None, note=TOO_LARGE)


def find_type(name: str, version: str = "") -> TypeForForm:
    """What is known of a type, with the schema of that version."""
    number = int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else None
    with get_runtime().db.read() as conn:
        return type_for_form(conn, name, number)


def starting_of(known: TypeForForm) -> dict[str, Any]:
    """The payload that a form of this type begins with."""
    return starting_document(known.schema) if known.schema is not None else dict(EXAMPLE)


def digest(known: TypeForForm) -> str:
    """Tells one schema from another."""
    return sha256(to_text(known.schema).encode()).hexdigest()[:16]


def laid_out(document: Any) -> str:
    """JSON for people."""
    return json.dumps(document, indent=2, ensure_ascii=False)
