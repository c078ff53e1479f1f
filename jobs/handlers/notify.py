"""``notify``: turns an event into a notification for people. Texts may quote the event as ``{data.path}``.

Quoting is a plain look-up of names, never ``str.format``: a template cannot reach into objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from jobs.handlers import Context, Done, Event, EventHandler, Invalid

SEVERITIES = ("info", "success", "warning", "error")
MAX_TITLE = 200
MAX_BODY = 2000
_QUOTE = re.compile(r"\{([A-Za-z_][\w.\-]{0,199})\}")
_FIELDS = ("id", "type", "source", "subject", "version", "timestamp")


class NotifyHandler(EventHandler):
    """Notify people."""

    name = "notify"
    description = "Notifies people in their browsers."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "severity": {"type": "string", "enum": list(SEVERITIES), "default": "info"},
            "title": {"type": "string", "maxLength": MAX_TITLE, "default": "{type}"},
            "body": {"type": "string", "maxLength": MAX_BODY, "default": ""},
        },
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        if self.options.get("severity", "info") not in SEVERITIES:
            raise Invalid(f"severity must be one of {', '.join(SEVERITIES)}")

    async def process(self, event: Event, ctx: Context) -> Done:
        title = fill(str(self.options.get("title") or "{type}"), event)[:MAX_TITLE]
        body = fill(str(self.options.get("body") or ""), event)[:MAX_BODY]
        severity = str(self.options.get("severity", "info"))
        notification = await ctx.notify(severity, title, body, dedupe_key=f"delivery:{ctx.delivery_id}")
        return Done({"notification": notification})


def fill(template: str, event: Event) -> str:
    """The template with each ``{field}``, ``{label.name}`` and ``{data.path}`` filled in; unknown ones stay as they are."""

    def quoted(match: re.Match[str]) -> str:
        found, value = _look_up(match[1], event)
        return _shown(value) if found else match[0]

    return _QUOTE.sub(quoted, template)


def _look_up(name: str, event: Event) -> tuple[bool, Any]:
    head, _, rest = name.partition(".")
    if head == "data" and rest:
        return _walk(event.payload, rest.split("."))
    if head == "label" and rest:
        return (rest in event.labels, event.labels.get(rest))
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
