"""Whether one schema allows all that another allows, on the part of JSON Schema that events are made of.

``breaks(inner, outer)`` lists what ``inner`` allows and ``outer`` does not. A field that a schema does not name is
taken to be absent, unless it says what other fields look like. What cannot be judged is said, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer, shown
from webapp.domain.schema_walk import parts_of

MODES = ("none", "backward", "forward", "full")
MAX_DEPTH = 16
NOT_JUDGED = "not-judged"

_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_LOW = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_HIGH = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_SAME = ("format", "pattern", "multipleOf", "uniqueItems")
_SHAPE = {"type", "enum", "const", "required", "properties", "additionalProperties", "items", "$ref", *_LOW, *_HIGH}
_WORDS = {"$schema", "$id", "$defs", "definitions", "$comment", "title", "description", "default", "examples"}
_WORDS |= {"deprecated", "readOnly", "writeOnly"}
_JUDGED = _SHAPE | _WORDS | set(_SAME)


def incompatible(old: Mapping[str, Any], new: Mapping[str, Any], mode: str, number: int) -> list[Fault]:
    """What keeps ``new`` from following version ``number``, whose schema is ``old``; each says which change breaks whom."""
    faults = []
    if mode in ("backward", "full"):
        faults += [_told(fault, f"events that fit version {number} may not fit this one") for fault in breaks(old, new)]
    if mode in ("forward", "full"):
        why = f"consumers that know version {number} may not understand such events"
        faults += [_told(fault, why) for fault in breaks(new, old)]
    return faults


def breaks(inner: Any, outer: Any) -> list[Fault]:
    """What a payload that fits ``inner`` may have that ``outer`` does not allow; pointers into the schemas."""
    return [*_Comparison(inner, outer).nodes(inner, outer, "", 0)]


def _told(fault: Fault, why: str) -> Fault:
    return Fault(fault.pointer, fault.code, f"{fault.message}: {why}.")


class _Comparison:
    """Two documents, whose references are followed."""

    def __init__(self, inner: Any, outer: Any) -> None:
        self._inner, self._outer = inner, outer

    def nodes(self, inner: Any, outer: Any, at: str, depth: int) -> Iterator[Fault]:
        if inner is False or outer is True or outer == {}:
            return
        if outer is False:
            yield Fault(at, "not-allowed", "Nothing is allowed here")
            return
        inner = _resolved(self._inner, {} if inner is True else inner)
        outer = _resolved(self._outer, outer)
        if depth > MAX_DEPTH or "$ref" in inner or "$ref" in outer:
            if inner != outer or self._inner != self._outer:
                yield Fault(at, NOT_JUDGED, "It is nested too deeply to be judged")
            return
        unknown = sorted(key for key in {*inner, *outer} - _JUDGED if inner.get(key) != outer.get(key))
        for key in unknown:
            if not key.startswith("x-"):
                yield Fault(at + pointer(key), NOT_JUDGED, f"What a change of {shown(key)} means cannot be judged")
        yield from _types(inner, outer, at)
        yield from _values(inner, outer, at)
        yield from _limits(inner, outer, at)
        yield from self._fields(inner, outer, at, depth)
        if "items" in outer and _may_be(inner, "array"):
            yield from self.nodes(inner.get("items", True), outer["items"], at + "/items", depth + 1)

    def _fields(self, inner: Mapping[str, Any], outer: Mapping[str, Any], at: str, depth: int) -> Iterator[Fault]:
        if not _may_be(inner, "object"):
            return
        for name in sorted(set(outer.get("required", ())) - set(inner.get("required", ()))):
            yield Fault(at + "/required", "required", f"The field {shown(name)} is required on one side only")
        ours, theirs = inner.get("properties", {}), outer.get("properties", {})
        rest, others = inner.get("additionalProperties", True), outer.get("additionalProperties", True)
        for name in sorted({*ours, *theirs}):
            here = at + pointer("properties", name)
            if name in ours:
                yield from self._field(ours[name], theirs.get(name, others), here, depth)
            elif isinstance(rest, dict):
                yield from self.nodes(rest, theirs[name], here, depth + 1)
        if rest is not False and others is not True:
            yield from self._others(rest, others, at + "/additionalProperties", depth)

    def _field(self, ours: Any, theirs: Any, here: str, depth: int) -> Iterator[Fault]:
        if theirs is False and ours is not False:
            yield Fault(here, "unknown-field", "One side has this field, the other allows no further fields")
        else:
            yield from self.nodes(ours, theirs, here, depth + 1)

    def _others(self, rest: Any, others: Any, here: str, depth: int) -> Iterator[Fault]:
        if others is False:
            yield Fault(here, "unknown-field", "Further fields are allowed on one side only")
        else:
            yield from self.nodes(rest, others, here, depth + 1)


def _resolved(document: Any, node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node that a lone ``$ref`` leads to, a few references far."""
    for _ in range(MAX_DEPTH):
        if set(node) - _WORDS != {"$ref"}:
            return node
        found: Any = document
        for part in parts_of(node["$ref"]) or ():
            found = found[int(part)] if isinstance(found, list) else found[part]
        node = {} if found is True else {"not": {}} if found is False else found
    return node


def _types_of(node: Mapping[str, Any]) -> set[str]:
    named = node.get("type", _TYPES)
    types = {named} if isinstance(named, str) else set(named)
    if "type" not in node and ("enum" in node or "const" in node):
        types = {_type_of(value) for value in node.get("enum", [node.get("const")])}
    return types | {"integer"} if "number" in types else types


def _type_of(value: Any) -> str:
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "object"


def _may_be(node: Mapping[str, Any], kind: str) -> bool:
    return kind in _types_of(node)


def _types(inner: Mapping[str, Any], outer: Mapping[str, Any], at: str) -> Iterator[Fault]:
    more = [name for name in _TYPES if name in _types_of(inner) - _types_of(outer)]
    if more:
        yield Fault(at + "/type", "wrong-type", f"Of type {' or '.join(more)} on one side only")


def _values(inner: Mapping[str, Any], outer: Mapping[str, Any], at: str) -> Iterator[Fault]:
    allowed = _listed(outer)
    if allowed is None:
        return
    key = "/enum" if "enum" in outer else "/const"
    known = _listed(inner)
    if known is None:
        yield Fault(at + key, "invalid-value", "The values are listed on one side only")
        return
    for value in known:
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed):
            yield Fault(at + key, "invalid-value", f"The value {shown(value)} is on one side only")


def _listed(node: Mapping[str, Any]) -> list[Any] | None:
    if "const" in node:
        return [node["const"]]
    return node.get("enum")


def _limits(inner: Mapping[str, Any], outer: Mapping[str, Any], at: str) -> Iterator[Fault]:
    if _listed(inner) is not None:  # its values are compared one by one
        return
    for key in sorted((_LOW | _HIGH) & set(outer)):
        mine, theirs = inner.get(key), outer[key]
        if mine is None and theirs == 0 and key.startswith("min") and key != "minimum":
            continue
        if mine is None or (mine < theirs if key in _LOW else mine > theirs):
            was = "no limit" if mine is None else shown(mine)
            yield Fault(at + pointer(key), "out-of-range", f"{key} is {shown(theirs)} on one side, {was} on the other")
    for key in _SAME:
        if key in outer and inner.get(key) != outer[key] and outer[key] is not False:
            yield Fault(at + pointer(key), "invalid-format", f"{key} is {shown(outer[key])} on one side only")
