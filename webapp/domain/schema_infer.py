"""A schema worked out from payloads: the same ones in any order give the same schema, and never a large one.

It says no more than was seen: required is what was always there, a list of values only what was repeated often.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator

from webapp.domain.schemas import DIALECT

MAX_SAMPLES = 200
MAX_FIELDS = 100  # of one object; one with more is a map, not a record
MAX_FIELDS_IN_ALL = 500
MAX_DEPTH = 10
MAX_ITEMS = 50  # of an array that are looked at
ENUM_VALUES, ENUM_CHARS = 8, 40
ENUM_REPEATS = 4  # each value was seen so often on average, and there were so many values at least
ENUM_LEAST = 12
FORMATS = ("date-time", "date", "uuid", "email", "uri", "ipv4")
FORMAT_CHARS = 300


@dataclass(slots=True)
class _Seen:
    """All that was seen at one place."""

    count: int = 0
    types: set[str] = field(default_factory=set)
    fields: dict[str, _Seen] = field(default_factory=dict)
    objects: int = 0
    texts: set[str] | None = field(default_factory=set)  # None: too many for a list of values
    text_count: int = 0
    formats: tuple[str, ...] = FORMATS  # that every text had
    items: _Seen | None = None


def infer(payloads: Iterable[Any]) -> dict[str, Any]:
    """The schema of these payloads, of ``MAX_SAMPLES`` at most."""
    root, room = _Seen(), [MAX_FIELDS_IN_ALL]
    for payload in islice(payloads, MAX_SAMPLES):
        _look(root, payload, MAX_DEPTH)
    return {"$schema": DIALECT, **_schema(root, room)}


def _look(seen: _Seen, value: Any, levels: int) -> None:
    seen.count += 1
    seen.types.add(_type_of(value))
    if isinstance(value, str):
        _look_at_text(seen, value)
    elif isinstance(value, dict):
        seen.objects += 1
        for name, item in sorted(value.items()) if levels else ():
            _look(seen.fields.setdefault(name, _Seen()), item, levels - 1)
    elif isinstance(value, list) and levels:
        seen.items = seen.items or _Seen()
        for item in value[:MAX_ITEMS]:
            _look(seen.items, item, levels - 1)


def _look_at_text(seen: _Seen, text: str) -> None:
    seen.text_count += 1
    seen.formats = tuple(name for name in seen.formats if len(text) <= FORMAT_CHARS and _format(name).is_valid(text))
    if seen.texts is not None:
        seen.texts.add(text)
        if len(seen.texts) > ENUM_VALUES or len(text) > ENUM_CHARS:
            seen.texts = None


@lru_cache
def _format(name: str) -> Draft202012Validator:
    return Draft202012Validator({"format": name}, validate_formats=True, offline=True)


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"


def _schema(seen: _Seen, room: list[int]) -> dict[str, Any]:
    """``room``: how many fields may still be named in the whole schema."""
    types = sorted(seen.types - {"integer"} if "number" in seen.types else seen.types)
    if not types:
        return {}
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if "string" in types:
        schema |= _text_schema(seen, alone=len(types) == 1)
    if seen.fields:
        schema |= _object_schema(seen, room)
    if seen.items is not None and seen.items.count:
        schema["items"] = _schema(seen.items, room)
    return schema


def _text_schema(seen: _Seen, *, alone: bool) -> dict[str, Any]:
    if seen.formats:
        return {"format": seen.formats[0]}
    values = sorted(seen.texts or ())
    is_list = alone and values and seen.text_count >= max(ENUM_LEAST, ENUM_REPEATS * len(values))
    return {"enum": values} if is_list else {}


def _object_schema(seen: _Seen, room: list[int]) -> dict[str, Any]:
    if len(seen.fields) > min(MAX_FIELDS, room[0]):
        return {}
    room[0] -= len(seen.fields)
    required = sorted(name for name, one in seen.fields.items() if one.count == seen.objects)
    properties = {name: _schema(one, room) for name, one in sorted(seen.fields.items())}
    return ({"required": required} if required else {}) | {"properties": properties}
