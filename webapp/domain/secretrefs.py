"""``{secret.NAME}`` inside the options of a handler: where such names stand, and putting the values in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from webapp.domain.faults import pointer

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
REFERENCE = re.compile(r"\{secret\.([^{}]*)\}")
START = "{secret."


def references(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every reference in the strings of ``value``: the JSON Pointer to its string, and the name."""
    if isinstance(value, str):
        if START in value:
            yield from ((at, name) for name in REFERENCE.findall(value))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from references(one, at + pointer(key))
    elif isinstance(value, list | tuple):
        for n, one in enumerate(value):
            yield from references(one, f"{at}/{n}")


def resolved(value: Any, values: Mapping[str, str]) -> Any:
    """``value`` with every reference replaced; ``KeyError`` when a name is not in ``values``. What came in is not looked at again."""
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: values[match[1]], value) if START in value else value
    if isinstance(value, Mapping):
        return {key: resolved(one, values) for key, one in value.items()}
    return [resolved(one, values) for one in value] if isinstance(value, list | tuple) else value
