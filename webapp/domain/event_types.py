"""Event types of the catalog: what people may say of one, and what a version of it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.events import TYPE_CHARS, TYPE_PATTERN
from webapp.domain.faults import CONTROL, pointer, refusal, shown
from webapp.domain.jsontext import to_text
from webapp.domain.schema_compat import MODES as COMPATIBILITY
from webapp.domain.schemas import check_schema, compiled

VALIDATION = ("off", "warn", "reject")
OWNER_CHARS, DESCRIPTION_CHARS, NOTE_CHARS = 120, 5_000, 500
MAX_EXAMPLES, EXAMPLES_CHARS = 10, 64 * 1024
MAX_VERSIONS = 200  # of one type

FIELDS = ("owner", "description", "validation", "compatibility", "deprecated", "deprecation")
VERSION_FIELDS = ("schema", "examples", "note")
SLUG = "invalid-catalog-entry"
VERSION_SLUG = "invalid-schema"

_TYPE = re.compile(TYPE_PATTERN)


@dataclass(frozen=True, slots=True)
class TypeDraft:
    """What people say of a type."""

    owner: str = ""
    description: str = ""
    validation: str = "off"
    compatibility: str = "none"
    deprecated: bool = False
    deprecation: str = ""  # what to use instead, in words


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """A version to be added; its schema was checked, and its examples fit it."""

    schema: Mapping[str, Any]
    schema_text: str
    examples: Sequence[Any] = ()
    note: str = ""


def parse_type(document: Any) -> TypeDraft:
    """What ``document`` (parsed JSON) says of a type. Raises ``Refused`` (422) with every fault."""
    faults = _unknown(document, FIELDS, "event type")
    if faults and faults[0].pointer == "":
        raise refusal(SLUG, "event type", faults)
    draft = TypeDraft(
        owner=_line(document, "owner", OWNER_CHARS, faults),
        description=_text(document, "description", DESCRIPTION_CHARS, faults),
        validation=_choice(document, "validation", VALIDATION, faults),
        compatibility=_choice(document, "compatibility", COMPATIBILITY, faults),
        deprecation=_line(document, "deprecation", NOTE_CHARS, faults),
    )
    deprecated = document.get("deprecated", False)
    if not isinstance(deprecated, bool):
        faults.append(Fault("/deprecated", "wrong-type", "Must be true or false."))
    elif draft.deprecation and not deprecated:
        faults.append(Fault("/deprecation", "invalid-value", "Only a deprecated type says what to use instead."))
    if faults:
        raise refusal(SLUG, "event type", faults)
    return replace(draft, deprecated=deprecated)


def parse_version(document: Any) -> VersionDraft:
    """The version that ``document`` describes. Raises ``Refused`` (422) with every fault of schema and examples."""
    faults = _unknown(document, VERSION_FIELDS, "version")
    if faults and faults[0].pointer == "":
        raise refusal(VERSION_SLUG, "version", faults)
    note = _line(document, "note", NOTE_CHARS, faults)
    schema, examples = document.get("schema"), document.get("examples") or []
    in_schema = check_schema(schema, "/schema") if "schema" in document else [_required("/schema")]
    faults += in_schema or _example_faults(schema, examples)
    if faults:
        raise refusal(VERSION_SLUG, "version", faults)
    return VersionDraft(schema, to_text(schema), examples, note)


def read_type_name(name: Any) -> str:
    """The name of a type as events have it. Raises ``Refused`` (422)."""
    if not isinstance(name, str) or len(name) > TYPE_CHARS or not _TYPE.fullmatch(name):
        message = f"A type is words of a-z and 0-9 joined by dots, as in order.paid; {TYPE_CHARS} characters at most."
        raise refusal("invalid-event-type", "type", [Fault("/name", "invalid-event-type", message)])
    return name


def _example_faults(schema: Any, examples: Any) -> list[Fault]:
    if not isinstance(examples, list) or len(examples) > MAX_EXAMPLES:
        return [Fault("/examples", "wrong-type", f"A list of at most {MAX_EXAMPLES} payloads.")]
    if len(to_text(examples)) > EXAMPLES_CHARS:
        return [Fault("/examples", "too-large", f"Examples have at most {EXAMPLES_CHARS:,} characters together.")]
    ready = compiled(to_text(schema))
    found = [fault for n, one in enumerate(examples) for fault in ready.faults(one, f"/examples/{n}")[0]]
    return found or [
        Fault(f"/examples/{n}", "wrong-type", "An example is a payload: a JSON object.")
        for n, one in enumerate(examples)
        if not isinstance(one, dict)
    ]


def _required(at: str) -> Fault:
    return Fault(at, "required", "A version has a schema.")


def _unknown(document: Any, known: Collection[str], noun: str) -> list[Fault]:
    if not isinstance(document, dict):
        return [Fault("", "wrong-type", f"Send a JSON object with fields of the {noun}.")]
    told = ", ".join(known)
    return [
        Fault(pointer(key), "unknown-field", f"There is no field {shown(key)!r}; known: {told}.")
        for key in document
        if key not in known
    ]


def _text(document: Mapping[str, Any], name: str, most: int, faults: list[Fault]) -> str:
    value = document.get(name) or ""
    if not isinstance(value, str):
        faults.append(Fault(pointer(name), "wrong-type", "Must be text."))
        return ""
    if len(value) > most:
        faults.append(Fault(pointer(name), "invalid-length", f"Has at most {most:,} characters."))
    return value.strip()


def _line(document: Mapping[str, Any], name: str, most: int, faults: list[Fault]) -> str:
    value = _text(document, name, most, faults)
    if CONTROL.search(value):
        faults.append(Fault(pointer(name), "invalid-character", "Write one line, without control characters."))
    return value


def _choice(document: Mapping[str, Any], name: str, allowed: Sequence[str], faults: list[Fault]) -> str:
    value = document.get(name, allowed[0])
    if value not in allowed:
        faults.append(Fault(pointer(name), "unknown-choice", f"Choose one of {', '.join(allowed)}."))
        return allowed[0]
    return str(value)
