"""Keys made of an event: ``{data.customer_id}`` or ``{type}/{label.region}``. Deliveries with equal keys belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from webapp.domain.fields import Field, Found, parse_field

TEMPLATE_CHARS = 500
KEY_CHARS = 120  # a longer key is shortened to a digest, so that it fits an index

_PART = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """A parsed template. ``parts`` alternate as they are written: text or field."""

    text: str
    parts: tuple[str | Field, ...]

    def render(self, view: Mapping[str, Any]) -> str:
        """The key of an event view (``conditions.event_view``). A missing field counts as empty."""
        key = "".join(part if isinstance(part, str) else _text_of(part, view) for part in self.parts)
        if len(key) <= KEY_CHARS and key.isprintable():
            return key
        return f"sha256:{sha256(key.encode('utf-8', 'replace')).hexdigest()}"


def parse_key(text: Any) -> KeyTemplate:
    """The template that ``text`` writes. Raises ``ValueError`` with words for people."""
    if not isinstance(text, str) or not text.strip() or len(text) > TEMPLATE_CHARS:
        raise ValueError("Write a key such as {data.customer_id}.")
    parts: list[str | Field] = []
    at = 0
    for match in _PART.finditer(text):
        parts += [text[at : match.start()], parse_field(match[1])]
        at = match.end()
    parts.append(text[at:])
    if any(isinstance(part, str) and ("{" in part or "}" in part) for part in parts):
        raise ValueError("A brace is open: write fields as {data.customer_id}.")
    if not any(isinstance(part, Field) for part in parts):
        raise ValueError("A key needs a field in braces, for example {data.customer_id}.")
    return KeyTemplate(text, tuple(part for part in parts if part != ""))


def _text_of(field: Field, view: Mapping[str, Any]) -> str:
    found = field.read(view)
    if not isinstance(found, Found) or found.value is None:
        return ""
    value = found.value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
