"""Checks a handler's options against its schema: a small, closed subset of JSON Schema 2020-12.

Understood: ``type`` (one name or a list), ``enum``, ``required``, ``properties``, ``additionalProperties`` (true or
false), ``items``, ``minimum``, ``maximum``, ``minLength``, ``maxLength``, and ``format: uri`` (begins with http://
or https://). ``title``, ``description``, ``default``, ``examples`` and ``$schema`` are for people,
``x-sensitive`` hides a value from them (``sensitive.py``). Anything else is named by ``unsupported_keywords``, so
that a handler cannot ask for a check that never runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer, shown
from webapp.domain.operators import TYPES

KEYWORDS = frozenset(
    {"type", "enum", "required", "properties", "additionalProperties", "items"}
    | {"minimum", "maximum", "minLength", "maxLength", "format"}
)
ANNOTATIONS = frozenset({"title", "description", "default", "examples", "$schema", "x-sensitive"})


def unsupported_keywords(schema: Mapping[str, Any]) -> list[str]:
    """The keywords of ``schema``, at any depth, that ``check_options`` would not check."""
    found = {key for key in schema if key not in KEYWORDS | ANNOTATIONS}
    if schema.get("format", "uri") != "uri":
        found.add(f"format: {schema['format']}")
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return sorted(found.union(*(unsupported_keywords(part) for part in inner)))


def check_options(schema: Mapping[str, Any], value: Any, at: str) -> list[Fault]:
    """Every fault of ``value``; ``at`` is the JSON Pointer to it."""
    return list(_check(schema, value, at))


def _check(schema: Mapping[str, Any], value: Any, at: str) -> Iterator[Fault]:
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(TYPES[name](value) for name in names):
        yield Fault(at, "wrong-type", f"Must be of type {' or '.join(names)}.")
        return
    if "enum" in schema and not any(_same(value, item) for item in schema["enum"]):
        yield Fault(at, "invalid-value", f"Must be one of {', '.join(shown(item) for item in schema['enum'])}.")
    if isinstance(value, str):
        yield from _check_text(schema, value, at)
    elif isinstance(value, dict):
        yield from _check_object(schema, value, at)
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _check(schema.get("items", {}), item, f"{at}/{n}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(schema, value, at)


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _check_text(schema: Mapping[str, Any], value: str, at: str) -> Iterator[Fault]:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if len(value) < least:
        yield Fault(at, "invalid-length", f"Must have at least {least} characters.")
    if most is not None and len(value) > most:
        yield Fault(at, "invalid-length", f"Must have at most {most} characters.")
    if schema.get("format") == "uri" and not value.startswith(("http://", "https://")):
        yield Fault(at, "invalid-value", "Must begin with http:// or https://.")


def _check_number(schema: Mapping[str, Any], value: float, at: str) -> Iterator[Fault]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and not value >= low:
        yield Fault(at, "out-of-range", f"Must be at least {low}.")
    if high is not None and not value <= high:
        yield Fault(at, "out-of-range", f"Must be at most {high}.")


def _check_object(schema: Mapping[str, Any], value: dict[str, Any], at: str) -> Iterator[Fault]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield Fault(at + pointer(name), "required", "This option is required.")
    for name, item in value.items():
        if name in properties:
            yield from _check(properties[name], item, at + pointer(name))
        elif schema.get("additionalProperties", True) is False:
            known = ", ".join(properties) or "none"
            yield Fault(at + pointer(name), "unknown-field", f"There is no option {shown(name)!r}; known: {known}.")
