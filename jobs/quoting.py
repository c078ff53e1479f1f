"""Texts that quote the event: ``{data.path}``, ``{label.name}``, ``{type}``.

Quoting is a plain look-up of names, never ``str.format``: a template cannot reach into objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from webapp.domain.events import Event
from webapp.domain.instants import iso

_QUOTE = re.compile(r"\{([A-Za-z_][\w.\-]{0,199})\}")
_FIELDS = ("id", "uid", "type", "source", "subject", "version")


def fill(template: str, event: Event, escape: Callable[[str], str] = str) -> str:
    """The template with each ``{field}``, ``{label.name}`` and ``{data.path}`` filled in; unknown ones stay as they are.

    What is filled in goes through ``escape``; the template itself does not.
    """

    def quoted(match: re.Match[str]) -> str:
        found, value = _look_up(match[1], event)
        return escape(_shown(value)) if found else match[0]

    return _QUOTE.sub(quoted, template)


def _look_up(name: str, event: Event) -> tuple[bool, Any]:
    head, _, rest = name.partition(".")
    if head == "data" and rest:
        return _walk(event.payload, rest.split("."))
    if head == "label" and rest:
        return (rest in event.labels, event.labels.get(rest))
    if name == "timestamp":
        return True, iso(event.timestamp)
    if name == "data":
        return True, event.payload
    if name in _FIELDS:
        return True, getattr(event, name)
    return False, None


def _walk(value: Any, path: list[str]) -> tuple[bool, Any]:
    for step in path:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False, None
    return True, value


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list | bool | int | float | None):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
