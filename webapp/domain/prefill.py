"""Links that fill in a form: a payload as ``payload.customer.id=4417`` pairs, typed by the schema, and back.

What such pairs could not say exactly (a name with a dot, an empty list) goes as one ``payload`` of JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import refusal
from webapp.domain.jsontext import check_sound, parse_json, to_text
from webapp.domain.schema_form import same
from webapp.domain.schema_shape import extras_of, shape_of

PAYLOAD = "payload"
MAX_LINK_CHARS = 2_000  # longer ones are cut or refused by mail programs, chats and proxies
MAX_PAIRS = 200
MAX_PARTS = 16
MAX_INDEX = 200

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?")
_INDEX = re.compile(r"0|[1-9]\d{0,3}")

Pair = tuple[str, str]


def payload_of(pairs: Iterable[Pair], schema: Any = None) -> dict[str, Any]:
    """The payload that the ``payload`` and ``payload.…`` pairs of a link name. Raises ``Refused``."""
    given = [(name, text) for name, text in pairs if name == PAYLOAD or name.startswith(f"{PAYLOAD}.")]
    if len(given) > MAX_PAIRS:
        raise _refused("", f"A link fills in at most {MAX_PAIRS} fields.")
    whole = [text for name, text in given if name == PAYLOAD]
    found = _whole(whole[-1]) if whole else {}
    for name, text in given:
        if name != PAYLOAD:
            _put(found, name.split(".")[1:], text, schema)
    check_sound(found, escaped=True)
    return found


def pairs_of(payload: Any, schema: Any = None) -> list[Pair]:
    """The pairs for a link, such that ``payload_of`` gives the same payload."""
    pairs = [*_flat(payload, PAYLOAD)] if isinstance(payload, dict) else []
    try:
        if len(pairs) <= MAX_PAIRS and same(payload_of(pairs, schema), payload):
            return pairs
    except Refused:
        pass
    return [(PAYLOAD, to_text(payload))]


def _whole(text: str) -> dict[str, Any]:
    found = parse_json(text.encode("utf-8", "surrogatepass"))
    if not isinstance(found, dict):
        raise _refused("", "The payload in a link is a JSON object.")
    return found


def _put(found: dict[str, Any], parts: Sequence[str], text: str, schema: Any) -> None:
    if len(parts) > MAX_PARTS or not all(parts):
        raise _refused("", f"A path in a link is payload.name.name, with at most {MAX_PARTS} names.")
    place: Any = found
    shape_schema = schema
    for n, part in enumerate(parts):
        shape_schema = _inside(shape_schema, part, schema)
        value = _typed(shape_schema, text, schema) if n == len(parts) - 1 else _box(parts[n + 1])
        place = _step(place, part, value)


def _step(place: Any, part: str, value: Any) -> Any:
    """Into ``part`` of ``place``, which becomes ``value`` when there is nothing yet."""
    if isinstance(place, dict):
        return place.setdefault(part, value)
    if not isinstance(place, list) or not _INDEX.fullmatch(part) or int(part) > min(len(place), MAX_INDEX):
        raise _refused("", f"The link names {part[:40]!r} where the payload has no such place.")
    if int(part) == len(place):
        place.append(value)
    return place[int(part)]


def _box(following: str) -> Any:
    return [] if _INDEX.fullmatch(following) else {}


def _inside(schema: Any, part: str, root: Any) -> Any:
    """The schema of what lies at ``part`` inside; None when nothing is said of it."""
    if schema is None:
        return None
    shape = shape_of(schema, root)
    if shape.kind == "object" and part in shape.properties:
        return shape.properties[part]
    if shape.kind == "object":
        extra = extras_of(shape, root)
        return extra.node if extra is not None and extra.kind != "json" else None
    return shape.node.get("items") if shape.kind == "list" else None


def _typed(schema: Any, text: str, root: Any) -> Any:
    """The value that a text of a link means; without a word of the schema, numbers, true, false and null are those."""
    shape = None if schema is None else shape_of(schema, root)
    if shape is not None and shape.kind == "choice":
        words = (
            (choice.value, choice.value if isinstance(choice.value, str) else to_text(choice.value))
            for choice in shape.choices
        )
        return next((value for value, word in words if word == text), text)
    if shape is not None and shape.kind == "text" and not (shape.nullable and text == "null"):
        return text
    if text in ("true", "false", "null") or _NUMBER.fullmatch(text):
        return json.loads(text)
    return text


def _flat(value: Any, path: str) -> Iterable[Pair]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict | list):
        for key, one in inner:
            yield from _flat(one, f"{path}.{key}")
    else:
        yield path, value if isinstance(value, str) else to_text(value)


def _refused(at: str, message: str) -> Refused:
    return refusal("invalid-link", "link", [Fault(at, "invalid-value", message)])
