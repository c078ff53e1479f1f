"""A form made of a JSON Schema: what was typed into it becomes a tree of fields, a document and what is wrong.

A field has the name of its place (``p-0-2``: the third property of the first), never one that came with the schema, so
no name of a property can break out of a page. What was typed is one flat mapping:

    p-0        the text of a field, the number of a choice, ``true`` or ``false``
    p-0.json   JSON text, where the value is none that the field could show; emptied, the field is back
    p-0.null   the value is null
    p-0.is     the object is there
    p-0.n      how many rows the list has, or an object beside its properties (``p-0-x.n``)
    p-0-x-1.key  the name in such a row

``schema_form_data`` has the way back, from a document to what would have been typed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import pointer
from webapp.domain.jsontext import parse_json, to_text
from webapp.domain.schema_shape import Shape, extras_of, shape_of

ROOT = "p"
MAX_NODES = 300  # fields of one form
MAX_ROWS = 50
MAX_DEPTH = 8
EXTRA = "x"  # the place of what an object holds beside its properties

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,99})(?:\.\d{1,99})?(?:[eE][+-]?\d{1,3})?")


class FormTooLargeError(Exception):
    """More fields than a page should have."""


class _Absent:
    """No value."""


ABSENT = _Absent()
Data = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One field as it is shown: where its value stands, what was typed, and what is in it."""

    name: str
    pointer: str
    kind: str  # of its shape, or ``json`` or ``extras``
    label: str
    shape: Shape
    required: bool = False
    present: bool = True  # of objects and lists
    is_null: bool = False
    text: str = ""
    children: tuple[Field, ...] = ()
    key: str | None = None  # of a row with a name of its own: that name
    removable: bool = False

    def walk(self) -> Iterator[Field]:
        """This field and all in it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a form: ``value`` holds what could be read, beside the faults."""

    root: Field
    value: Any
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class _Reader:
    schema: Any
    data: Data
    faults: list[Fault] = field(default_factory=list)
    nodes: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a field stands, and what is known of it from there."""

    name: str
    parts: tuple[str | int, ...]
    label: str
    required: bool
    key: str | None = None
    removable: bool = False

    @property
    def depth(self) -> int:
        return len(self.parts)


def read(schema: Any, data: Data) -> Reading:
    """The form of ``schema`` with what was typed. Raises ``FormTooLargeError``."""
    reader = _Reader(schema, data)
    shape = shape_of(schema, schema)
    root, value = _read(reader, shape, _Place(ROOT, (), shape.node.get("title", "Payload"), required=True))
    return Reading(root, {} if value is ABSENT else value, tuple(reader.faults))


def place_faults(root: Field, faults: Iterable[Fault], at: str = "") -> dict[str, list[str]]:
    """Name of a field -> what is wrong there; what lies deeper than any field is told at the nearest one."""
    names = {one.pointer: one.name for one in root.walk() if one.kind != "extras"}
    raw = {one.pointer: one.name for one in root.walk() if one.kind == "extras"}
    found: dict[str, list[str]] = {}
    for fault in faults:
        where = inside = fault.pointer.removeprefix(at)
        while where not in names and where:
            where = where.rpartition("/")[0]
        inside = inside[len(where) :]
        name = raw.get(where, names[where]) if inside else names.get(where, root.name)
        found.setdefault(name, []).append(f"{inside}: {fault.message}" if inside else fault.message)
    return found


def _read(reader: _Reader, shape: Shape, place: _Place) -> tuple[Field, Any]:
    reader.nodes += 1
    if reader.nodes > MAX_NODES:
        raise FormTooLargeError
    data, name = reader.data, place.name
    if data.get(f"{name}.json", "").strip() or shape.kind == "json" or place.depth > MAX_DEPTH:
        return _read_json(reader, shape, place)
    if shape.nullable and data.get(f"{name}.null"):
        return _made(
            place, shape, shape.kind, is_null=True, text=data.get(name, ""), present=_is_there(data, place)
        ), None
    if shape.kind == "object":
        return _read_object(reader, shape, place)
    if shape.kind == "list":
        return _read_list(reader, shape, place)
    return _read_scalar(reader, shape, place)


def _read_scalar(reader: _Reader, shape: Shape, place: _Place) -> tuple[Field, Any]:
    text = reader.data.get(place.name, "")
    made = _made(place, shape, shape.kind, text=text)
    if not text.strip() if shape.kind == "number" else not text:
        return made, ABSENT
    if shape.kind == "text":
        return made, text.replace("\r\n", "\n")
    value = _number(text) if shape.kind == "number" else _chosen(shape, text)
    if value is ABSENT:
        said = "Write a number such as 12 or 12.5." if shape.kind == "number" else "Choose one of these."
        reader.faults.append(Fault(made.pointer, "wrong-type", said))
    return made, value


def _read_json(reader: _Reader, shape: Shape, place: _Place) -> tuple[Field, Any]:
    text = reader.data.get(f"{place.name}.json", "")
    return _made(place, shape, "json", text=text), _parsed(reader, text, pointer(*place.parts))


def _parsed(reader: _Reader, text: str, at: str) -> Any:
    """The value of a JSON text, ABSENT for none and for one that is wrong."""
    if not text.strip():
        return ABSENT
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"))
    except Refused as refused:
        faults = refused.faults or (Fault("", refused.slug, refused.detail),)
        reader.faults += [Fault(at + one.pointer, one.code, one.message) for one in faults]
        return ABSENT


def _read_object(reader: _Reader, shape: Shape, place: _Place) -> tuple[Field, Any]:
    if not _is_there(reader.data, place):
        return _made(place, shape, "object", present=False), ABSENT
    required = set(shape.node.get("required", ()))
    value: dict[str, Any] = {}
    children = []
    for n, (name, schema) in enumerate(shape.properties.items()):
        inner = shape_of(schema, reader.schema)
        label = inner.node.get("title") or name
        child = _Place(f"{place.name}-{n}", (*place.parts, name), label, name in required)
        made, found = _read(reader, inner, child)
        children.append(made)
        if found is not ABSENT:
            value[name] = found
    children += _read_extras(reader, shape, place, value)
    return _made(place, shape, "object", children=tuple(children)), value


def _read_extras(reader: _Reader, shape: Shape, place: _Place, value: dict[str, Any]) -> list[Field]:
    """What an object holds beside its properties, put into ``value``: rows of a name and a field, or JSON text."""
    allowed, name = extras_of(shape, reader.schema), f"{place.name}-{EXTRA}"
    here = _Place(name, place.parts, "Other fields", required=False)
    text = reader.data.get(f"{name}.json", "")
    if not text.strip() and allowed is None:
        return []
    if not text.strip() and allowed is not None and allowed.kind != "json":
        rows = tuple(_read_row(reader, allowed, here, n, value) for n in range(_rows(reader.data, name)))
        return [_made(here, allowed, "extras", children=rows)]
    found = _parsed(reader, text, pointer(*place.parts))
    if isinstance(found, dict):
        if twice := next((key for key in found if key in shape.properties), None):
            reader.faults.append(Fault(pointer(*place.parts, twice), "duplicate-key", "It has a field of its own."))
        value.update((key, one) for key, one in found.items() if key not in shape.properties)
    elif found is not ABSENT:
        said = 'Other fields are a JSON object such as {"name": "value"}.'
        reader.faults.append(Fault(pointer(*place.parts), "wrong-type", said))
    return [_made(here, Shape("json", {}), "extras", text=text)]


def _read_row(reader: _Reader, shape: Shape, place: _Place, n: int, value: dict[str, Any]) -> Field:
    name = f"{place.name}-{n}"
    key = reader.data.get(f"{name}.key", "")
    row = _Place(name, (*place.parts, key or f"{n + 1}"), "", required=True, key=key, removable=True)
    made, found = _read(reader, shape, row)
    if not key and found is not ABSENT:
        reader.faults.append(Fault(made.pointer, "required", "Give it a name."))
    elif key and found is ABSENT:
        reader.faults.append(Fault(made.pointer, "required", "Give it a value, or remove it."))
    elif key and key in value:
        reader.faults.append(Fault(made.pointer, "duplicate-key", "There is a field of this name already."))
    elif key:
        value[key] = found
    return made


def _read_list(reader: _Reader, shape: Shape, place: _Place) -> tuple[Field, Any]:
    if not _is_there(reader.data, place):
        return _made(place, shape, "list", present=False), ABSENT
    item = shape_of(shape.node["items"], reader.schema)
    children, value = [], []
    for n in range(_rows(reader.data, place.name)):
        label = item.node.get("title") or "Item"
        here = _Place(f"{place.name}-{n}", (*place.parts, n), f"{label} {n + 1}", required=True, removable=True)
        made, found = _read(reader, item, here)
        if found is ABSENT and not any(one.pointer.startswith(made.pointer) for one in reader.faults):
            reader.faults.append(Fault(made.pointer, "required", "Fill it in, or remove it."))
        children.append(made)
        value.append(None if found is ABSENT else found)
    return _made(place, shape, "list", children=tuple(children)), value


def _is_there(data: Data, place: _Place) -> bool:
    return place.name == ROOT or f"{place.name}.is" in data or f"{place.name}.n" in data


def _rows(data: Data, name: str) -> int:
    text = data.get(f"{name}.n", "0")
    return min(int(text), MAX_ROWS) if re.fullmatch("[0-9]{1,4}", text) else 0


def _made(place: _Place, shape: Shape, kind: str, **more: Any) -> Field:
    at = pointer(*place.parts)
    made = {"required": place.required, "key": place.key, "removable": place.removable, **more}
    return Field(place.name, at, kind, place.label, shape, **made)


def _number(text: str) -> Any:
    if not _NUMBER.fullmatch(text.strip()):
        return ABSENT
    value = json.loads(text)
    return ABSENT if value in (float("inf"), float("-inf")) else value


def _chosen(shape: Shape, text: str) -> Any:
    if shape.kind == "boolean":
        return {"true": True, "false": False, "null": None if shape.nullable else ABSENT}.get(text, ABSENT)
    n = int(text) if re.fullmatch("[0-9]{1,4}", text) else len(shape.choices)
    return shape.choices[n].value if n < len(shape.choices) else ABSENT


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON text: 1 is not 1.0, and not true."""
    return to_text(one) == to_text(other)
