"""Which kind of form field a JSON Schema (2020-12) asks for. ``schema_form`` makes the fields.

The schema passed ``check_schema``, so it is bounded; what it says beyond the words that are understood here is left to
whoever judges the document. What no field can show honestly is of the kind ``json``: a field for JSON text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.domain.faults import shown
from webapp.domain.jsontext import to_text
from webapp.domain.schema_walk import parts_of

SCALARS = frozenset({"text", "number", "boolean", "choice"})
MAX_CHOICES = 300
MAX_PROPERTIES = 100
MAX_HOPS = 16  # references in a row
LONG_CHARS = 200  # a text that may be longer gets more than a line

Node = Mapping[str, Any]

_NOTES = frozenset({"title", "description", "default", "examples", "deprecated", "$comment", "readOnly", "writeOnly"})
_NOT_HERE = frozenset({"$defs", "definitions", "$schema", "$id"})
_OF_TEXT = ("pattern", "format", "minLength", "maxLength")


class _UnfitError(Exception):
    """No field can show it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value to choose."""

    value: Any
    label: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a schema asks for: ``object``, ``list``, ``text``, ``number``, ``boolean``, ``choice`` or ``json``."""

    kind: str
    node: Node  # the schema, its references resolved and its parts put together
    nullable: bool = False
    choices: tuple[Choice, ...] = ()

    @property
    def properties(self) -> Mapping[str, Any]:
        """Name -> schema, of an object."""
        found: Mapping[str, Any] = self.node.get("properties", {})
        return found

    @property
    def is_long(self) -> bool:
        """Whether a text may have more than a line."""
        samples = (self.node.get("default"), *self.node.get("examples", ()))
        several = any(isinstance(one, str) and "\n" in one for one in samples)
        return several or self.node.get("maxLength", 0) > LONG_CHARS or "contentMediaType" in self.node


def shape_of(schema: Any, root: Any) -> Shape:
    """The shape of ``schema``, which stands somewhere in ``root``."""
    if not isinstance(schema, Mapping):
        return Shape("json", {})
    try:
        node, nullable = _without_null(_together(schema, root, MAX_HOPS), root)
    except _UnfitError:
        return Shape("json", {key: schema[key] for key in schema.keys() & _NOTES})
    if choices := _choices(node):
        return Shape("choice", node, choices=choices + ((Choice(None, "null"),) if nullable else ()))
    kind = _kind(node)
    return Shape(kind, node, nullable and kind != "json")


def extras_of(shape: Shape, root: Any) -> Shape | None:
    """The shape of what an object may hold beside its properties; None when it may hold nothing more."""
    node = shape.node
    allowed = node.get("additionalProperties", node.get("unevaluatedProperties", True))
    if allowed is False and not node.get("patternProperties"):
        return None
    found = shape_of(allowed, root) if not node.get("patternProperties") else Shape("json", {})
    return found if found.kind in SCALARS else Shape("json", {})


def _together(schema: Any, root: Any, hops: int) -> Node:
    """The schema with what it refers to and what it is made of (``allOf``) put into it."""
    if not isinstance(schema, Mapping) or not hops:
        raise _UnfitError
    found: dict[str, Any] = {}
    if "$ref" in schema:
        found = dict(_together(_target(schema["$ref"], root), root, hops - 1))
    for part in schema.get("allOf", ()):
        found = _merged(found, _together(part, root, hops - 1))
    own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf") and key not in _NOT_HERE}
    return _merged(found, own)


def _target(reference: str, root: Any) -> Any:
    place: Any = root
    for part in parts_of(reference) or ():
        try:
            place = place[int(part)] if isinstance(place, list) else place[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise _UnfitError from None
    return place


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both at once. What they say of the same thing has to be the same, but for what is only said to people."""
    found = dict(one)
    for key, value in other.items():
        if key == "properties" and key in found:
            if any(found[key].get(name, inner) != inner for name, inner in value.items()):
                raise _UnfitError
            found[key] = {**found[key], **value}
        elif key == "required":
            found[key] = [*dict.fromkeys([*found.get(key, ()), *value])]
        elif key in _NOTES or key not in found:
            found[key] = value
        elif to_text(found[key]) != to_text(value):
            raise _UnfitError
    return found


def _without_null(node: Node, root: Any) -> tuple[Node, bool]:
    """The schema without the null that it allows, and whether it did."""
    kinds = node.get("type")
    if isinstance(kinds, list) and "null" in kinds and len(kinds) > 1 and "enum" not in node:
        rest = [kind for kind in kinds if kind != "null"]
        return {**node, "type": rest[0] if len(rest) == 1 else rest}, True
    for word in ("anyOf", "oneOf"):
        members = node.get(word)
        if members and (others := [one for one in members if one != {"type": "null"}]) != members:
            bare = {key: value for key, value in node.items() if key != word}
            if len(others) == 1:
                return _merged(_together(others[0], root, MAX_HOPS), bare), True
            return {**bare, word: others}, True
    return node, False


def _choices(node: Node) -> tuple[Choice, ...]:
    if "const" in node:
        return (Choice(node["const"], _label(node["const"])),)
    if "enum" in node:
        values = node["enum"] if len(node["enum"]) <= MAX_CHOICES else ()
        return tuple(Choice(value, _label(value)) for value in values)
    for word in ("oneOf", "anyOf"):
        members = node.get(word, ())
        if 0 < len(members) <= MAX_CHOICES and all(isinstance(one, Mapping) and "const" in one for one in members):
            return tuple(
                Choice(one["const"], shown(one.get("title", "")) or _label(one["const"]), one.get("description", ""))
                for one in members
            )
    return ()


def _label(value: Any) -> str:
    """Texts as they are, everything else as JSON; an empty text as two quotes."""
    return shown(value) if value != "" else '""'


def _kind(node: Node) -> str:
    kind = node.get("type") or _implied(node)
    if isinstance(kind, list):
        return "number" if set(kind) == {"integer", "number"} else "json"
    if "enum" in node:  # of too many values
        return "json"
    if kind == "object":
        return "object" if _is_described(node) else "json"
    if kind == "array":
        return "list" if isinstance(node.get("items"), Mapping) and "prefixItems" not in node else "json"
    return {"string": "text", "integer": "number", "number": "number", "boolean": "boolean"}.get(kind or "", "json")


def _implied(node: Node) -> str | None:
    """The type that a schema without one most likely means. A value of another type gets a field for JSON."""
    if "properties" in node:
        return "object"
    if "items" in node:
        return "array"
    return "string" if any(word in node for word in _OF_TEXT) else None


def _is_described(node: Node) -> bool:
    properties = node.get("properties", {})
    return len(properties) <= MAX_PROPERTIES and bool(
        properties or isinstance(node.get("additionalProperties"), Mapping)
    )
