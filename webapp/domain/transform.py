"""What a handler is given instead of the event as it came: a document whose texts are templates over the event.

``{"payload": {"to": "{data.customer.email}", "skus": {"$jmespath": "items[].sku"}}}``. The fields are those of conditions.
A text that is one field alone keeps the kind of its value. The event itself stays as it is. See docs/transforms.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from webapp.domain.conditions import event_view
from webapp.domain.errors import Fault, Refused
from webapp.domain.events import Event, EventDraft
from webapp.domain.expressions import Budget, Expression, TooCostly, parse_expression
from webapp.domain.faults import MAX_FAULTS, pointer, refusal, shown
from webapp.domain.fields import Absent, Every, Field, parse_field
from webapp.domain.instants import iso
from webapp.domain.jsontext import to_text

MAX_BYTES = 16 * 1024
MAX_PARTS = 500
MAX_DEPTH = 16
STEPS = 200_000  # well under a second
RESULT_BYTES = 1024 * 1024
KEYS = ("payload", "type", "source", "subject", "missing")
MISSING = ("fail", "null", "drop")
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_WHOLE = Field("data", "data")
_TEXT_CHARS = {"type": 128, "source": 200, "subject": 1024}


class TransformFailed(ValueError):
    """This event cannot be transformed, and never will: the delivery is dead."""


class _Gone(Enum):
    """What is left out of the object or list that it stands in."""

    OUT = "left out"


class _Missing(Exception):
    """A field that the event has not."""


Result = Any
Part = Any  # a template: _Text, _Value, _Object, _List, or what is written as it is


@dataclass(frozen=True, slots=True)
class _Text:
    """Text with fields in it; one field alone keeps its kind."""

    parts: tuple[str | Field, ...]

    def find(self, scope: _Scope) -> Any:
        if len(self.parts) == 1 and isinstance(self.parts[0], Field):
            return scope.read(self.parts[0])
        text = "".join(part if isinstance(part, str) else _as_text(scope.read(part)) for part in self.parts)
        scope.budget.charge(text)
        return text


@dataclass(frozen=True, slots=True)
class _Query:
    """A JMESPath expression over the payload. Nothing found is the same as null there: it counts as missing."""

    expression: Expression

    def find(self, scope: _Scope) -> Any:
        found = self.expression.ask(scope.view["data"], scope.budget)
        if found is None:
            raise _Missing(f"{shown(self.expression.text)} finds nothing")
        return found


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A value with a word on what to do when it is missing."""

    inner: _Text | _Query
    missing: str  # "default" or one of MISSING
    default: Any = None


@dataclass(frozen=True, slots=True)
class _Literal:
    """Written as it is."""

    value: Any


@dataclass(slots=True)
class _Scope:
    """One event that is being transformed."""

    view: Mapping[str, Any]
    missing: str
    budget: Budget

    def read(self, field: Field) -> Any:
        if Every.ELEMENT in field.steps:  # it looks at everything, found or not
            self.budget.charge(self.view["data"])
        found = field.read(self.view)
        if isinstance(found, Absent):
            raise _Missing(found.note)
        self.budget.charge(found.value)
        return iso(found.value) if isinstance(found.value, datetime) else found.value


@dataclass(frozen=True, slots=True)
class Transform:
    """A checked transform; ``document`` is the JSON that it was read from."""

    document: dict[str, Any]
    missing: str
    parts: Mapping[str, Part]

    def apply(self, event: Event | EventDraft) -> dict[str, Any]:
        """What becomes of ``payload``, ``type``, ``source`` and ``subject``, of those that are named.

        Raises ``TransformFailed`` with where and why.
        """
        scope = _Scope(event_view(event), self.missing, Budget(STEPS))
        made = {name: self._made(name, part, scope) for name, part in self.parts.items()}
        _check_result(made)
        return made

    def _made(self, name: str, part: Part, scope: _Scope) -> Any:
        try:
            found = _fill(part, scope, pointer(name))
        except TooCostly as error:
            raise TransformFailed(str(error)) from None
        if name == "payload" and not isinstance(found, dict):
            raise TransformFailed(f"/payload: a payload is an object, this is {shown(_plain(found))}")
        if name == "subject" and found in (None, _Gone.OUT):
            return None
        if name != "payload" and not (isinstance(found, str) and 0 < len(found) <= _TEXT_CHARS[name]):
            raise TransformFailed(
                f"/{name}: this is text of 1 to {_TEXT_CHARS[name]} characters, not {shown(_plain(found))}"
            )
        return found


def transformed(event: Event, document: Any) -> Event:
    """The event as the handler sees it; ``document`` is a stored transform, or None. Raises ``TransformFailed``."""
    if document is None:
        return event
    return replace(event, **_stored(to_text(document)).apply(event))


@lru_cache(maxsize=512)
def _stored(text: str) -> Transform:
    try:
        return parse_transform(json.loads(text))
    except Refused as refused:
        raise TransformFailed(f"the transform cannot be used: {refused.detail}") from None


def _check_result(made: dict[str, Any]) -> None:
    try:
        size = len(json.dumps(made, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
    except (TypeError, ValueError):
        raise TransformFailed("the result is not JSON") from None
    if size > RESULT_BYTES:
        raise TransformFailed(f"the result has more than {RESULT_BYTES // 1024} KiB")


# Filling in


def _fill(part: Part, scope: _Scope, at: str) -> Result:
    scope.budget.spend(1)
    if isinstance(part, dict):
        filled = {key: _fill(one, scope, at + pointer(key)) for key, one in part.items()}
        return {key: one for key, one in filled.items() if one is not _Gone.OUT}
    if isinstance(part, list):
        items = [_fill(one, scope, f"{at}/{n}") for n, one in enumerate(part)]
        return [one for one in items if one is not _Gone.OUT]
    if isinstance(part, _Literal):
        return part.value
    chosen = part if isinstance(part, _Chosen) else _Chosen(part, scope.missing)
    try:
        return chosen.inner.find(scope)
    except _Missing as missing:
        return _instead(chosen, missing, at)
    except TooCostly as error:
        raise TransformFailed(f"{at}: {error}") from None
    except ValueError as error:
        raise TransformFailed(f"{at}: {error}") from error


def _instead(chosen: _Chosen, missing: _Missing, at: str) -> Result:
    if chosen.missing == "default":
        return chosen.default
    if chosen.missing == "fail":
        raise TransformFailed(f"{at}: {missing}")
    return None if chosen.missing == "null" else _Gone.OUT


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return "left out" if value is _Gone.OUT else value


# Reading


def parse_transform(document: Any, at: str = "/transform") -> Transform:
    """The transform that ``document`` (parsed JSON) describes. Raises ``Refused`` (422) with every fault."""
    reader = _Reader()
    if not isinstance(document, dict) or not document.keys() & set(KEYS[:-1]):
        reader.fault(at, "wrong-type", 'A transform is an object with a payload: {"payload": {"id": "{data.id}"}}.')
        document = document if isinstance(document, dict) else {}
    for key in document.keys() - set(KEYS):
        reader.fault(
            at + pointer(key), "unknown-field", f"A transform has no {shown(key)!r}; known: {', '.join(KEYS)}."
        )
    missing = document.get("missing", "fail")
    if missing not in MISSING:
        reader.fault(f"{at}/missing", "unknown-choice", f"Choose one of {', '.join(MISSING)}.")
    parts = {
        name: reader.part(document[name], at + pointer(name), 1)
        for name in KEYS[:-1]
        if name in document
    }  # fmt: skip
    if "payload" in document and not isinstance(document["payload"], dict | str):
        reader.fault(f"{at}/payload", "wrong-type", "A payload is an object, or a text such as {data.order}.")
    if not reader.faults and len(to_text(document).encode("utf-8", "surrogatepass")) > MAX_BYTES:
        reader.fault(at, "too-long", f"A transform has at most {MAX_BYTES // 1024} KiB.")
    if reader.faults:
        raise refusal("invalid-transform", "transform", reader.faults)
    return Transform(document, missing, parts)


class _Reader:
    """Reads one document, gathering its faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.parts = 0

    def fault(self, at: str, code: str, message: str) -> None:
        if len(self.faults) <= MAX_FAULTS:
            self.faults.append(Fault(at, code, message))

    def part(self, document: Any, at: str, depth: int) -> Part:
        self.parts += 1
        if self.parts == MAX_PARTS + 1:
            self.fault(at, "too-many", f"A transform has at most {MAX_PARTS} values.")
        if self.parts > MAX_PARTS:
            return _Literal(None)
        if depth > MAX_DEPTH:
            self.fault(at, "too-deep", f"A transform is nested at most {MAX_DEPTH} deep.")
            return _Literal(None)
        if isinstance(document, str):
            return self.text(document, at)
        if isinstance(document, list):
            return [self.part(one, f"{at}/{n}", depth + 1) for n, one in enumerate(document)]
        if not isinstance(document, dict):
            return _Literal(document)
        if any(key.startswith("$") for key in document):
            return self.order(document, at)
        return {key: self.part(one, at + pointer(key), depth + 1) for key, one in document.items()}

    def text(self, text: str, at: str) -> _Text | _Literal:
        parts: list[str | Field] = []
        end = 0
        try:
            for match in _PLACE.finditer(text):
                parts += [_closed(text[end : match.start()]), _field_of(match)]
                end = match.end()
            parts.append(_closed(text[end:]))
        except ValueError as error:
            self.fault(at, "invalid-template", str(error))
        kept = tuple(part for part in parts if part != "")
        if not any(isinstance(part, Field) for part in kept):
            return _Literal("".join(str(part) for part in kept))
        return _Text(kept)

    def order(self, document: dict[str, Any], at: str) -> Part:
        kinds = [key for key in ("$jmespath", "$value", "$literal") if key in document]
        known = {"$literal"} if "$literal" in document else {"$jmespath", "$value", "$default", "$drop"}
        for key in document.keys() - known:
            self.fault(at + pointer(key), "unknown-field", f"{shown(key)} does not go with the others here.")
        if len(kinds) != 1:
            self.fault(at, "contradiction", "Give one of $value, $jmespath and $literal.")
            return _Literal(None)
        if kinds == ["$literal"]:
            return _Literal(document["$literal"])
        inner = self.inner(kinds[0], document[kinds[0]], at + pointer(kinds[0]))
        return self.chosen(inner, document, at)

    def inner(self, kind: str, text: Any, at: str) -> _Text | _Query | _Literal:
        if not isinstance(text, str):
            self.fault(at, "wrong-type", f"{kind} is a text.")
            return _Literal(None)
        if kind == "$value":
            return self.text(text, at)
        try:
            return _Query(parse_expression(text))
        except ValueError as error:
            self.fault(at, "invalid-expression", str(error))
            return _Literal(None)

    def chosen(self, inner: _Text | _Query | _Literal, document: dict[str, Any], at: str) -> Part:
        if "$drop" in document and document["$drop"] is not True:
            self.fault(f"{at}/$drop", "wrong-type", "$drop is true: what is missing is left out.")
        if "$drop" in document and "$default" in document:
            self.fault(f"{at}/$drop", "contradiction", "Say either what to put in its place, or that it is left out.")
        if isinstance(inner, _Literal):
            return inner
        if "$default" in document:
            return _Chosen(inner, "default", document["$default"])
        return _Chosen(inner, "drop") if "$drop" in document else inner


def _field_of(match: re.Match[str]) -> str | Field:
    if match[0] in ("{{", "}}"):
        return match[0][0]
    return _WHOLE if match[1] == "data" else parse_field(match[1])


def _closed(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError("A brace is open: write fields as {data.customer_id}, and a brace itself as {{ or }}.")
    return text
