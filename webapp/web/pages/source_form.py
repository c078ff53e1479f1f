"""The form of a source: fields to the document that the domain checks, and its faults back to the fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webapp.domain.consumed import CONSUMED
from webapp.domain.errors import Fault, Refused
from webapp.domain.signatures import TOLERANCE_S
from webapp.domain.sources import OPTIONS, PRESETS, SourceDraft, parse_source, templates_of
from webapp.web.source_words import OPTION_WORDS

FIELD_CHARS = 2_000
TEXTS = ("name", "event_source", "secret")
OPTION_FIELDS = tuple(dict.fromkeys(name for names in OPTIONS.values() for name in names))
TEMPLATE_FIELDS = ("type", "id", "subject")
LABELS = {"event_source": "Source of its events"} | {name: label for name, (label, *_) in OPTION_WORDS.items()}
Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class SourceForm:
    """The fields as a person typed them."""

    kind: str
    values: Mapping[str, str]
    revision: str = ""

    @classmethod
    def empty(cls, kind: str) -> SourceForm:
        """A new one of that kind."""
        if kind in CONSUMED:
            return cls(kind, {**PRESETS[kind], **{name: first for name, (first, *_) in CONSUMED[kind].choices.items()}})
        return cls(kind, {**PRESETS[kind], "algorithm": "sha256", "encoding": "hex", "tolerance_s": str(TOLERANCE_S)})

    @classmethod
    def from_fields(cls, kind: str, fields: Mapping[str, str]) -> SourceForm:
        """What a browser sent; a field that is absent is empty."""
        names = (*TEXTS, *OPTION_FIELDS, *TEMPLATE_FIELDS)
        return cls(kind, {name: fields.get(name, "")[:FIELD_CHARS] for name in names}, fields.get("revision", "")[:10])

    @classmethod
    def from_row(cls, row: Any) -> SourceForm:
        """A stored source, to be edited. Its secret is in no form."""
        options = {name: str(value) for name, value in row.options.items()}
        texts = {"name": row.name, "event_source": row.event_source}
        values = {**cls.empty(row.kind).values, **texts, **options, **templates_of(row.kind, row.mapping)}
        return cls(row.kind, values, str(row.revision))

    def texts(self) -> dict[str, str]:
        """By field, to be compared with what somebody else typed. The secret is in none."""
        names = (
            "name",
            "event_source",
            *OPTIONS.get(self.kind, ()),
            *(TEMPLATE_FIELDS if self.kind != "publish" else ()),
        )
        return {name: self.values.get(name, "") for name in names}

    def taking(self, texts: Mapping[str, str]) -> SourceForm:
        """With these texts of another."""
        return replace(self, values={**self.values, **{name: texts[name] for name in self.texts() if name in texts}})

    def to_draft(self, *, exists: bool) -> tuple[SourceDraft | None, Errors]:
        """The checked source, or ``None`` and what is wrong by field."""
        values = {name: value.strip() for name, value in self.values.items()}
        options: dict[str, Any] = {name: values.get(name) for name in OPTIONS.get(self.kind, ()) if values.get(name)}
        if (text := str(options.get("tolerance_s", ""))).isdecimal():
            options["tolerance_s"] = int(text[:9])
        document = {
            "name": values.get("name", ""),
            "kind": self.kind,
            "event_source": values.get("event_source"),
            "options": options,
            "mapping": {} if self.kind == "publish" else {name: values.get(name, "") for name in TEMPLATE_FIELDS},
            "secret": None if exists else values.get("secret"),
        }
        try:
            return parse_source(document, self.kind if exists else None), {}
        except Refused as refused:
            return None, by_field(list(refused.faults))


def by_field(faults: list[Fault]) -> Errors:
    """Messages by the field that they belong to; "" is the form as a whole."""
    errors: Errors = {}
    for fault in faults:
        name = fault.pointer.rsplit("/", 1)[-1]
        known = name in (*TEXTS, *OPTION_FIELDS, *TEMPLATE_FIELDS)
        errors.setdefault(name if known else "", []).append(fault.message)
    return errors
