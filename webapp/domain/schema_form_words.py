"""What a form says of its fields: the limits of the schema in words, what to type, and which keyboard helps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from webapp.domain.faults import shown
from webapp.domain.schema_form import Field
from webapp.domain.schema_shape import Node

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "date": "A date such as 2026-11-23.",
        "date-time": "A time such as 2026-11-23T14:00:00Z.",
        "time": "A time of day such as 14:00:00Z.",
        "duration": "A duration such as PT15M.",
        "email": "A mail address.",
        "uri": "An address such as https://example.com/a.",
        "uuid": "A UUID such as 3f2a9c1e-5b7d-4e8f-9a0b-1c2d3e4f5a6b.",
        "ipv4": "An address such as 192.0.2.7.",
        "hostname": "A host name such as shop.example.com.",
    }
)
_KEYBOARDS: Mapping[str, str] = MappingProxyType({"email": "email", "idn-email": "email", "uri": "url", "iri": "url"})


def description_of(field: Field) -> str:
    """What the schema says of it."""
    return str(field.shape.node.get("description", ""))


def limits_of(field: Field) -> str:
    """What a value has to keep to, in sentences."""
    node = field.shape.node
    if field.kind == "number":
        return " ".join(_of_number(node))
    if field.kind == "text":
        return " ".join(_of_text(node))
    if field.kind == "list":
        items = _range(node, "minItems", "maxItems", "item")
        return " ".join([*items, *(["None twice."] if node.get("uniqueItems") else [])])
    if field.kind == "json":
        return "As JSON."
    return ""


def placeholder_of(field: Field) -> str:
    """An example, or what goes without saying."""
    samples = [one for one in field.shape.node.get("examples", ()) if isinstance(one, str | int | float)]
    return shown(samples[0]) if samples and field.kind in ("text", "number") else ""


def keyboard_of(field: Field) -> str:
    """The ``inputmode``, or nothing."""
    if field.kind == "number":
        whole = field.shape.node.get("type") == "integer" and field.shape.node.get("minimum", -1) >= 0
        return "numeric" if whole else "decimal"
    return _KEYBOARDS.get(field.shape.node.get("format", ""), "")


def is_date(field: Field) -> bool:
    """Whether a date can be picked: only where nothing, or one that a picker understands, stands there."""
    if field.kind != "text" or field.shape.node.get("format") != "date":
        return False
    return not field.text or _is_picked(field.text)


def _is_picked(text: str) -> bool:
    try:
        return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None and date.fromisoformat(text).year > 0
    except ValueError:
        return False


def _of_number(node: Node) -> Iterator[str]:
    whole = node.get("type") == "integer"
    low, high = node.get("minimum"), node.get("maximum")
    noun = "A whole number" if whole else "A number"
    if low is not None and high is not None:
        yield f"{noun} from {low} to {high}."
    elif low is not None or high is not None:
        yield f"{noun}, at {'least' if low is not None else 'most'} {low if low is not None else high}."
    elif whole:
        yield f"{noun}."
    if "exclusiveMinimum" in node:
        yield f"More than {node['exclusiveMinimum']}."
    if "exclusiveMaximum" in node:
        yield f"Less than {node['exclusiveMaximum']}."
    if "multipleOf" in node:
        yield f"In steps of {node['multipleOf']}."


def _of_text(node: Node) -> Iterator[str]:
    if node.get("format") in FORMATS:
        yield FORMATS[node["format"]]
    yield from _range(node, "minLength", "maxLength", "character")
    if "pattern" in node:
        yield f"Matches {shown(node['pattern'])}"


def _range(node: Node, least: str, most: str, noun: str) -> Iterator[str]:
    low, high = node.get(least, 0), node.get(most)
    if low > 1 and low == high:
        yield f"Exactly {low} {noun}s."
    elif low > 1 and high is not None:
        yield f"{low} to {high} {noun}s."
    elif low > 1:
        yield f"At least {low} {noun}s."
    elif high is not None:
        yield f"At most {high} {noun}{'' if high == 1 else 's'}."


def words_of(field: Field) -> Mapping[str, Any]:
    """All of it, for a template."""
    return {
        "description": description_of(field),
        "limits": limits_of(field),
        "placeholder": placeholder_of(field),
        "keyboard": keyboard_of(field),
        "is_date": is_date(field),
    }
