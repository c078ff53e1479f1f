"""The catalog in the description of the API."""

from __future__ import annotations

from typing import Any

from webapp.domain.event_types import MAX_EXAMPLES, VALIDATION
from webapp.domain.events import TYPE_CHARS, TYPE_PATTERN
from webapp.domain.schema_compat import MODES as COMPATIBILITY

_TIME = {"type": ["string", "null"], "format": "date-time"}
_CHOSEN: dict[str, Any] = {
    "owner": {"type": "string", "maxLength": 120},
    "description": {"type": "string", "maxLength": 5_000},
    "validation": {"type": "string", "enum": list(VALIDATION)},
    "compatibility": {"type": "string", "enum": list(COMPATIBILITY)},
    "deprecated": {"type": "boolean"},
    "deprecation": {"type": "string", "maxLength": 500, "description": "What to use instead, in words."},
}
_VERSION: dict[str, Any] = {
    "schema": {"type": "object", "description": "JSON Schema 2020-12 of the payload."},
    "examples": {"type": "array", "maxItems": MAX_EXAMPLES, "items": {"type": "object"}},
    "note": {"type": "string", "maxLength": 500},
}
_TYPE: dict[str, Any] = {
    "name": {"type": "string", "pattern": TYPE_PATTERN, "maxLength": TYPE_CHARS},
    "state": {"type": "string", "enum": ["declared", "discovered"]},
    **_CHOSEN,
    "deprecated_at": _TIME,
    "latest_version": {"type": ["integer", "null"]},
    "seen_at": _TIME,
    "revision": {"type": "integer"},
    "created_at": {"type": "string", "format": "date-time"},
    "updated_at": {"type": "string", "format": "date-time"},
    "links": {"type": "object"},
}

SCHEMAS: dict[str, Any] = {
    "EventTypeDraft": {
        "type": "object",
        "additionalProperties": False,
        "properties": _CHOSEN,
        "examples": [{"owner": "Shop", "description": "An order was paid.", "validation": "reject"}],
    },
    "EventTypeVersionDraft": {
        "type": "object",
        "required": ["schema"],
        "additionalProperties": False,
        "properties": _VERSION,
        "examples": [
            {"schema": {"type": "object", "required": ["amount"]}, "examples": [{"amount": 3}], "note": "First"}
        ],
    },
    "EventType": {
        "type": "object",
        "required": [name for name in _TYPE if name != "links"],
        "properties": {
            **_TYPE,
            "inferred": {"type": ["object", "null"], "description": "The schema worked out from events."},
            "versions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["version", *_VERSION, "created_at", "created_by"],
                    "properties": {"version": {"type": "integer"}, **_VERSION, "created_at": _TIME, "created_by": {}},
                },
            },
        },
    },
    "EventTypeImportDocument": {"type": "object", "description": "AsyncAPI 3, or a JSON Schema with ?type=."},
    "EventTypeImport": {
        "type": "object",
        "required": ["dry_run", "types"],
        "properties": {
            "dry_run": {"type": "boolean"},
            "types": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "action", "versions", "errors"],
                    "properties": {
                        "name": {"type": "string"},
                        "action": {"type": "string", "enum": ["added", "changed", "same"]},
                        "versions": {"type": "integer", "description": "How many versions are added."},
                        "errors": {"type": "array", "items": {"type": "object"}},
                    },
                },
            },
        },
    },
    "AsyncApi": {"type": "object", "required": ["asyncapi", "info", "channels"]},
}
