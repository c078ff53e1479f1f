"""From a document to what would have been typed into the form of its schema; and rows that are added and removed.

Reading what ``data_of`` answers gives the same document again: a value that a field cannot show becomes JSON text.
"""

from __future__ import annotations

import json
import re
from typing import Any

from webapp.domain.jsontext import to_text
from webapp.domain.schema_form import (
    ABSENT,
    EXTRA,
    MAX_DEPTH,
    MAX_NODES,
    MAX_ROWS,
    ROOT,
    Data,
    Field,
    FormTooLargeError,
    read,
    same,
)
from webapp.domain.schema_shape import Shape, extras_of, shape_of

_UNTYPABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")  # what a text area would not send back as it was


def data_of(schema: Any, document: Any) -> dict[str, str]:
    """What would have been typed. Raises ``FormTooLargeError``."""
    data: dict[str, str] = {}
    _fill(data, schema, shape_of(schema, schema), ROOT, document, 0)
    return data


def starting_document(schema: Any) -> dict[str, Any]:
    """What a form begins with: defaults, and what can be nothing else."""
    found = _start(schema, schema, 0)
    return found if isinstance(found, dict) else {}


def add(schema: Any, data: Data, name: str) -> dict[str, str]:
    """One more row of the list (or of the other fields) at ``name``, or the object there; as it was when there is none."""
    found, changed = _find(schema, data, name), dict(data)
    if found is None or found.kind not in ("list", "object", "extras"):
        return changed
    if found.kind == "object":
        return changed | _begun(schema, found.shape.node, found.shape, name)
    rows = len(found.children)
    if rows >= MAX_ROWS:
        return changed
    if found.kind == "list":
        items = found.shape.node["items"]
        changed |= _begun(schema, items, shape_of(items, schema), f"{name}-{rows}")
    return changed | {f"{name}.n": str(rows + 1)}


def remove(schema: Any, data: Data, name: str) -> dict[str, str]:
    """Without the row or the object at ``name``; the rows behind it move up."""
    found = _find(schema, data, name)
    if found is None or found.name == ROOT:
        return dict(data)
    kept = {key: text for key, text in data.items() if not _is_under(key, name)}
    if not found.removable:
        return kept
    parent, _, last = name.rpartition("-")
    moved = {_moved_up(key, parent, int(last)): text for key, text in kept.items()}
    outer = _find(schema, data, parent)
    rows = len(outer.children) - 1 if outer else 0
    moved[f"{parent}.n"] = str(rows)
    if not rows and outer is not None and not outer.required:
        del moved[f"{parent}.n"]
    return moved


def _find(schema: Any, data: Data, name: str) -> Field | None:
    return next((one for one in read(schema, data).root.walk() if one.name == name), None)


def _is_under(key: str, name: str) -> bool:
    return key == name or key.startswith((f"{name}-", f"{name}."))


def _moved_up(key: str, parent: str, gone: int) -> str:
    row = re.match(rf"{re.escape(parent)}-([0-9]+)(?=[-.]|$)", key)
    if row is None or int(row[1]) < gone:
        return key
    return f"{parent}-{int(row[1]) - 1}{key[row.end() :]}"


def _begun(schema: Any, node: Any, shape: Shape, name: str) -> dict[str, str]:
    data: dict[str, str] = {}
    start = _start(node, schema, 0)
    if start is not ABSENT:
        _fill(data, schema, shape, name, start, name.count("-"))
    return data


def _start(schema: Any, root: Any, depth: int) -> Any:
    shape = shape_of(schema, root)
    if "default" in shape.node:
        return shape.node["default"]
    if shape.kind == "choice" and len(shape.choices) == 1:
        return shape.choices[0].value
    if shape.kind == "list":
        return []
    if shape.kind != "object" or depth >= MAX_DEPTH:
        return ABSENT
    required = shape.node.get("required", ())
    begun = {
        name: _start(inner, root, depth + 1)
        for name, inner in shape.properties.items()
        if name in required or "default" in shape_of(inner, root).node
    }
    return {name: value for name, value in begun.items() if value is not ABSENT}


def _fill(data: dict[str, str], root: Any, shape: Shape, name: str, value: Any, depth: int) -> None:
    if len(data) > 2 * MAX_NODES:
        raise FormTooLargeError
    if shape.kind == "json" or depth > MAX_DEPTH:
        data[f"{name}.json"] = _laid_out(value)
    elif value is None and shape.nullable and shape.kind != "boolean":
        data[f"{name}.null"] = "on"
    elif shape.kind == "object" and isinstance(value, dict):
        _fill_object(data, root, shape, name, value, depth)
    elif shape.kind == "list" and isinstance(value, list) and len(value) <= MAX_ROWS:
        data[f"{name}.n"] = str(len(value))
        item = shape_of(shape.node["items"], root)
        for n, one in enumerate(value):
            _fill(data, root, item, f"{name}-{n}", one, depth + 1)
    elif (text := _text_of(shape, value)) is not None:
        data[name] = text
    else:
        data[f"{name}.json"] = _laid_out(value)


def _fill_object(data: dict[str, str], root: Any, shape: Shape, name: str, value: dict[str, Any], depth: int) -> None:
    if name != ROOT:
        data[f"{name}.is"] = "1"
    for n, (key, schema) in enumerate(shape.properties.items()):
        if key in value:
            _fill(data, root, shape_of(schema, root), f"{name}-{n}", value[key], depth + 1)
    extras = {key: one for key, one in value.items() if key not in shape.properties}
    allowed, place = extras_of(shape, root), f"{name}-{EXTRA}"
    if not extras:
        return
    typable = len(extras) <= MAX_ROWS and all(key and not _UNTYPABLE.search(key) and "\n" not in key for key in extras)
    if allowed is None or allowed.kind == "json" or not typable:
        data[f"{place}.json"] = _laid_out(extras)
        return
    data[f"{place}.n"] = str(len(extras))
    for n, (key, one) in enumerate(extras.items()):
        data[f"{place}-{n}.key"] = key
        _fill(data, root, allowed, f"{place}-{n}", one, depth + 1)


def _text_of(shape: Shape, value: Any) -> str | None:
    """What would have been typed for a value; None when the field cannot show it."""
    if shape.kind == "text":
        return value if isinstance(value, str) and value and not _UNTYPABLE.search(value) else None
    if shape.kind == "number":
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = to_text(value) if is_number else ""
        return text if text and len(text) < 100 else None
    if shape.kind == "boolean":
        words = {True: "true", False: "false"}
        if value is None and shape.nullable:
            return "null"
        return words[value] if isinstance(value, bool) else None
    found = (str(n) for n, choice in enumerate(shape.choices) if same(choice.value, value))
    return next(found, None) if shape.kind == "choice" else None


def _laid_out(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
