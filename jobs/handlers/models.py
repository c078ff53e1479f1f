"""Pydantic models of payloads and options: checked, and turned into the schema that the hub checks subscriptions by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from webapp.domain.faults import pointer

M = TypeVar("M", bound=BaseModel)
FAULTS = 10  # that a message tells
_DROPPED = ("title", "$defs")


def parsed(model: type[M], value: Any, name: str) -> M:
    """The model of ``value``. Raises ``ValueError`` with JSON Pointers below ``name``, and nothing of the value in it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        told = [f"/{name}{pointer(*map(str, one['loc']))}: {one['msg']}" for one in faults[:FAULTS]]
        raise ValueError("; ".join(told)) from None


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model in the words that option schemas may use: references inlined, "or null" as a type."""
    schema = model.model_json_schema()
    plain: dict[str, Any] = _plain(schema, schema.get("$defs", {}))
    return {"additionalProperties": False, **plain}


def _plain(schema: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_plain(one, known) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain({**known[schema["$ref"].rpartition("/")[2]], **rest}, known)
    if "properties" in schema:
        inner = {key: _plain(value, known) for key, value in schema["properties"].items()}
        schema = {**schema, "properties": inner}
    if "anyOf" in schema:
        return _plain(_folded(schema, known), known)
    kept = {key: value for key, value in schema.items() if key not in _DROPPED}
    return {
        key: value if key in ("properties", "default", "enum") else _plain(value, known) for key, value in kept.items()
    }


def _folded(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """``X | None`` as X with a second type. Other unions have no words here."""
    parts = [_plain(part, known) for part in schema["anyOf"]]
    real = [part for part in parts if part != {"type": "null"}]
    if len(real) != 1 or "type" not in real[0]:
        raise TypeError("an option of several types cannot be described; write options_schema by hand")
    types = real[0]["type"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**real[0], **rest, "type": [*([types] if isinstance(types, str) else types), "null"]}
