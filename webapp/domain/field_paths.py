"""Which fields a condition may name, found in what is known of events: JSON Schemas, and payloads that came."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_PATHS = 300
MAX_DEPTH = 6
KEYS = 60  # of one object

_NAME = re.compile(r"[^.\[\]]{1,80}")


def paths_of_payload(payload: Any) -> Iterator[str]:
    """Every path to a value, ``[*]`` where there is a list; those of the first element stand for all."""
    return _below(payload, "data", 0)


def _below(value: Any, path: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key in list(value)[:KEYS]:
            if _NAME.fullmatch(key) and key.isprintable():
                yield from _below(value[key], f"{path}.{key}", depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict | list):
        yield from _below(value[0], f"{path}[*]", depth + 1)
    elif depth:
        yield path


def paths_of_schema(schema: Any) -> Iterator[str]:
    """The same of a schema's ``properties`` and ``items``; what only a ``$ref`` tells is left out."""
    return _described(schema, "data", 0)


def _described(schema: Any, path: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return
    properties, items = schema.get("properties"), schema.get("items")
    if isinstance(properties, Mapping) and properties:
        for key in list(properties)[:KEYS]:
            if _NAME.fullmatch(key) and key.isprintable():
                yield from _described(properties[key], f"{path}.{key}", depth + 1)
    elif isinstance(items, Mapping) and (items.get("properties") or items.get("items")):
        yield from _described(items, f"{path}[*]", depth + 1)
    elif depth:
        yield path
