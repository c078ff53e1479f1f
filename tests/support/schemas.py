"""A small judge of JSON against the schemas of our own API description: only the words that it uses, and no others."""

from __future__ import annotations

import re
from typing import Any

TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip
WORDS = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "$ref", "description", "format",
    "examples", "minimum", "maximum", "maxLength", "pattern", "maxProperties", "maxItems", "default",
}  # fmt: skip
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def faults(value: Any, schema: dict[str, Any], description: dict[str, Any], at: str = "") -> list[str]:
    """What is wrong with ``value``; a schema with unknown words is wrong as well."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return faults(value, description["components"]["schemas"][name], description, at)
    found = [f"{at}: unknown word {word}" for word in schema.keys() - WORDS]
    kinds = schema.get("type", list(TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(_is(value, kind) for kind in kinds):
        return [*found, f"{at}: {value!r} is not {kinds}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is not one of {schema['enum']}")
    if schema.get("format") == "date-time" and isinstance(value, str) and not INSTANT.fullmatch(value):
        found.append(f"{at}: {value!r} is no instant")
    if isinstance(value, dict):
        found += _faults_in_object(value, schema, description, at)
    if isinstance(value, list):
        for n, item in enumerate(value):
            found += faults(item, schema.get("items", {}), description, f"{at}/{n}")
    return found


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, TYPES[kind])


def _faults_in_object(value: dict[str, Any], schema: dict[str, Any], description: dict[str, Any], at: str) -> list[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    found = [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
    for name, item in value.items():
        if name in known:
            found += faults(item, known[name], description, f"{at}/{name}")
        elif others is False:
            found.append(f"{at}: {name} is not described")
        elif isinstance(others, dict):
            found += faults(item, others, description, f"{at}/{name}")
    return found
