"""``/api/openapi.json``: the API described (OpenAPI 3.1), gathered from the notes that each view carries."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from werkzeug.routing import Rule

from webapp.web import auth
from webapp.web.api import (
    backtest,
    batch,
    bulk,
    cloudevents,
    deliveries,
    errors,
    event_types_schema,
    events,
    explain,
    exports,
    health,
    imports,
    keys,
    marks,
    needs,
    read_only,
    reroute,
    rules,
    samples,
    schedules,
    secrets,
    sources,
    subscriptions,
    versions,
)
from webapp.web.api.blueprint import OPERATION, Operation, answer, operation

bp = Blueprint("openapi", __name__)

DESCRIBED = ("api.", "health.", "openapi.", "metrics.")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CACHE = "signalbox.openapi"
DOCUMENTS = ("application/json", "application/yaml")  # what a JSON Schema can be said of
TAGS = (
    {"name": "events", "description": "Publish events, look at them and at what became of them."},
    {"name": "deliveries", "description": "One event at one subscription: the unit of work."},
    {"name": "errors", "description": "Failed attempts."},
    {"name": "subscriptions", "description": "Which events go to which handler, and what handlers there are."},
    {
        "name": "secrets",
        "description": "What options of handlers name as {secret.NAME}; values go in and never come out.",
    },
    {"name": "rules", "description": "Rules as code: files of subscriptions, planned and applied."},
    {"name": "samples", "description": "Events that somebody keeps under a name."},
    {"name": "event-types", "description": "The catalog: what events look like, who owns them."},
    {"name": "exports", "description": "Everything that matches a filter as a file, written in the background."},
    {"name": "imports", "description": "Events from a file, brought in by the background."},
    {"name": "bulk", "description": "Retry, re-run, cancel or replay everything that matches, in the background."},
    {"name": "sources", "description": "Addresses for senders that speak their own dialect."},
    {"name": "keys", "description": "The keys of programs, for administrators."},
    {"name": "health", "description": "For load balancers and monitoring."},
)
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. The type leads to a page that explains it.",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "trace_id": {"type": "string", "description": "That of the traceparent header, or a new one; the log has it."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) into the body, or ?name."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


@bp.get("/api/openapi.json")
@auth.require("read")
@operation("This description", "health", {200: "Description"})
def show() -> Response:
    """Built once per process."""
    if CACHE not in current_app.extensions:
        current_app.extensions[CACHE] = build(current_app)
    return answer(current_app.extensions[CACHE])


def build(app: Flask) -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, Any] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        note = getattr(app.view_functions.get(rule.endpoint), OPERATION, None)
        if note is None or not rule.endpoint.startswith(DESCRIBED):
            continue
        with app.app_context():
            is_public = auth.verb_of(rule.endpoint) == auth.PUBLIC
        for method in sorted((rule.methods or set()) & set(METHODS)):
            path = paths.setdefault(rule.rule.replace("<", "{").replace(">", "}"), {})
            path[method.lower()] = _operation(note, rule, is_public)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Signalbox",
            "version": _version(),
            "description": "Publish events, and see what became of them. Every refusal is a problem document (RFC 9457).",
        },
        "servers": [{"url": "/"}],
        "tags": list(TAGS),
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key: sbx_…"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": app.config["SESSION_COOKIE_NAME"],
                    "description": "A signed-in browser; for safe methods only.",
                },
            },
        },
    }


def _version() -> str:
    try:
        return version("signalbox")
    except PackageNotFoundError:
        return "0.1.0"


def _operation(note: Operation, rule: Rule, is_public: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": note.summary,
        "tags": [note.tag],
        "responses": _answers(note, rule, is_public),
    }
    if note.description:
        found["description"] = note.description
    parameters = _parameters(note, rule)
    if parameters:
        found["parameters"] = parameters
    if note.body:
        content: dict[str, Any] = {"application/json": {"schema": _ref(note.body)}}
        for kind, told in note.body_types.items():
            shape = {} if kind in DOCUMENTS else {"type": "string"}
            content[kind] = {"schema": {**shape, "description": told}}
        found["requestBody"] = {"required": note.body_required, "content": content}
    if is_public:
        found["security"] = []
    return found


def _parameters(note: Operation, rule: Rule) -> list[dict[str, Any]]:
    text = {"type": "string"}
    in_path = [{"name": name, "in": "path", "required": True, "schema": text} for name in sorted(rule.arguments)]
    in_query = [{"name": p.name, "in": "query", "description": p.about, "schema": p.schema} for p in note.query]
    return in_path + in_query + [{"name": name, "in": "header", "schema": text} for name in note.headers]


def _answers(note: Operation, rule: Rule, is_public: bool) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, schema in note.answers.items():
        answers[str(status)] = {"description": HTTPStatus(status).phrase}
        if schema is not None:
            is_document = note.content_type in DOCUMENTS
            answers[str(status)]["content"] = {
                note.content_type: {"schema": _ref(schema) if is_document else {"type": "string"}}
            }
    problems = set(note.problems) | (set() if is_public else {400, 401, 403, 429})
    for status in sorted(problems):
        content = {"application/problem+json": {"schema": _ref("Problem")}}
        answers.setdefault(str(status), {"description": HTTPStatus(status).phrase, "content": content})
    return answers


def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = {"Problem": PROBLEM, "Description": {"type": "object", "required": ["openapi", "paths"]}}
    for module in (
        events,
        event_types_schema,
        cloudevents,
        batch,
        explain,
        deliveries,
        errors,
        sources,
        subscriptions,
        schedules,
        samples,
        secrets,
        backtest,
        health,
        keys,
        marks,
        bulk,
        exports,
        imports,
        read_only,
        reroute,
        rules,
        versions,
        needs,
    ):
        schemas |= module.SCHEMAS
    for noun in (
        "Event",
        "EventType",
        "Delivery",
        "Error",
        "Subscription",
        "Schedule",
        "Sample",
        "Secret",
        "Key",
        "Bulk",
        "BulkError",
        "Export",
        "Import",
        "ImportFault",
    ):
        schemas[f"{noun}List"] = _list_of(noun)
    return schemas


def _list_of(noun: str) -> dict[str, Any]:
    cursor = {"type": ["string", "null"]}
    return {
        "type": "object",
        "required": ["data", "next_cursor", "prev_cursor", "has_more"],
        "additionalProperties": False,
        "properties": {
            "data": {"type": "array", "items": _ref(noun)},
            "next_cursor": cursor,
            "prev_cursor": cursor,
            "has_more": {"type": "boolean"},
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
