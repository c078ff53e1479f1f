"""Walks the schemas inside a JSON Schema (2020-12): what is a schema there, and what is only data.

Hostile schemas are walked here before anything compiles them, so nothing in here recurses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Parts = tuple[str | int, ...]

ONE = ("additionalProperties", "propertyNames", "unevaluatedProperties", "items", "contains", "unevaluatedItems")
IN_PLACE_ONE = ("not", "if", "then", "else")
IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
NAMED = ("properties", "patternProperties", "$defs", "definitions")

_ONE = frozenset(ONE + IN_PLACE_ONE)
_LISTS = frozenset((*IN_PLACE_LISTS, "prefixItems"))
_NAMED = frozenset((*NAMED, "dependentSchemas"))


def walk_schemas(schema: Any) -> Iterator[tuple[Parts, Mapping[str, Any]]]:
    """Every schema with where it stands, ``true`` and ``false`` as empty ones. References are not followed."""
    stack: list[tuple[Parts, Any]] = [((), schema)]
    while stack:
        parts, node = stack.pop()
        yield parts, node if isinstance(node, dict) else {}
        if isinstance(node, dict):
            stack.extend((parts + tail, inner) for tail, inner in inner_schemas(node))


def inner_schemas(node: Mapping[str, Any]) -> Iterator[tuple[Parts, Any]]:
    """The schemas directly inside of ``node``."""
    for key, value in node.items():
        if key in _ONE:
            yield (key,), value
        elif key in _LISTS and isinstance(value, list):
            yield from (((key, n), item) for n, item in enumerate(value))
        elif key in _NAMED and isinstance(value, dict):
            yield from (((key, name), item) for name, item in value.items())


def parts_of(reference: str) -> Parts | None:
    """Where ``#/$defs/money`` points to; None when it leads out of the document, or is no JSON Pointer."""
    if reference == "#":
        return ()
    if not reference.startswith("#/") or "%" in reference:
        return None
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in reference[2:].split("/"))
