"""The catalog as an AsyncAPI 3.0 document: a channel for each event type, a message for each version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VERSION = "3.0.0"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
OWN = "x-signalbox"
OWN_ID = "urn:signalbox:"


@dataclass(frozen=True, slots=True)
class ExportedVersion:
    """One version of a type."""

    number: int
    schema: str
    examples: Sequence[Any]
    note: str


@dataclass(frozen=True, slots=True)
class ExportedType:
    """A declared type; ``said`` is what ``parse_type`` takes."""

    name: str
    said: Mapping[str, Any]
    versions: Sequence[ExportedVersion]


def export(types: Iterable[ExportedType]) -> dict[str, Any]:
    """The document."""
    channels: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for one in types:
        keys = {f"v{version.number}": f"{one.name}.v{version.number}" for version in one.versions}
        messages |= {f"{one.name}.v{version.number}": _message(one, version) for version in one.versions}
        channels[one.name] = {
            "address": one.name,
            "messages": {key: {"$ref": f"#/components/messages/{target}"} for key, target in keys.items()},
            OWN: dict(one.said),
        } | ({"description": one.said["description"]} if one.said.get("description") else {})
    return {
        "asyncapi": VERSION,
        "info": {"title": "Event types", "version": "1.0.0", "description": "The catalog of a Signalbox."},
        "defaultContentType": "application/json",
        "channels": channels,
        "components": {"messages": messages},
    }


def _message(one: ExportedType, version: ExportedVersion) -> dict[str, Any]:
    schema = json.loads(version.schema)
    if "$ref" in version.schema:  # or its references would be looked for in this document
        schema.setdefault("$id", f"{OWN_ID}{one.name}:{version.number}")
    message: dict[str, Any] = {
        "name": one.name,
        "title": f"{one.name}, version {version.number}",
        "contentType": "application/json",
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": schema},
        OWN: {"version": version.number, "note": version.note},
    }
    if version.examples:
        message["examples"] = [{"payload": example} for example in version.examples]
    return message
