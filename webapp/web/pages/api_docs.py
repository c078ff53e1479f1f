"""The API for people: the OpenAPI document laid out as a page, with commands to copy and the kinds of problems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, redirect
from werkzeug.wrappers import Response as AnyResponse

from webapp.web import render
from webapp.web.api.openapi import build
from webapp.web.auth import public, require
from webapp.web.context import get_runtime
from webapp.web.problems import PROBLEMS

bp = Blueprint("api_docs", __name__)

DEPTH = 4
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a body, or one parameter."""

    name: str
    kind: str
    required: bool
    about: str
    place: str = ""  # path, query or header, of a parameter


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    is_public: bool
    parameters: tuple[Field, ...]
    body: str  # name of the schema
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str, str], ...]  # status, words, schema
    curl: str


@dataclass(frozen=True, slots=True)
class Group:
    """The operations of one tag."""

    name: str
    about: str
    endpoints: tuple[Endpoint, ...]


@bp.get("/api")
@require("read")
def index() -> Response:
    """Everything on one page."""
    document = build(current_app._get_current_object())  # type: ignore[attr-defined]
    return render.part(
        "api_docs/index.html",
        groups=groups_of(document, get_runtime().settings.base_url),
        schemas=[(name, _fields(document, schema)) for name, schema in _schemas(document).items()],
        problems=sorted(PROBLEMS.items(), key=lambda item: (item[1].status, item[0])),
        version=document["info"]["version"],
        base=get_runtime().settings.base_url,
    )


@bp.get("/api/docs")
@public
def moved() -> AnyResponse:
    """The address that many would try first."""
    return redirect("/api", 308)


def groups_of(document: Mapping[str, Any], base: str) -> tuple[Group, ...]:
    """The operations by tag, in the order of the document."""
    endpoints: dict[str, list[Endpoint]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                tag = operation.get("tags", ["other"])[0]
                endpoints.setdefault(tag, []).append(_endpoint(document, base, method, path, operation))
    about = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
    return tuple(Group(name, about.get(name, ""), tuple(found)) for name, found in endpoints.items() if found)


def _endpoint(document: Mapping[str, Any], base: str, method: str, path: str, operation: Mapping[str, Any]) -> Endpoint:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return Endpoint(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        about=operation.get("description", ""),
        is_public=operation.get("security") == [],
        parameters=tuple(
            Field(
                one["name"],
                _kind(one.get("schema", {})),
                one.get("required", False),
                one.get("description", ""),
                one["in"],
            )
            for one in operation.get("parameters", ())
        ),
        body=_name(body),
        fields=_fields(document, body),
        answers=tuple(_answer(status, one) for status, one in operation.get("responses", {}).items()),
        curl=_curl(document, base, method, path, operation, body),
    )


def _answer(status: str, answer: Mapping[str, Any]) -> tuple[str, str, str]:
    content: Mapping[str, Any] = answer.get("content", {})
    schemas = [one.get("schema", {}) for one in content.values()]
    return status, str(answer.get("description", "")), _name(schemas[0]) if schemas else ""


def _curl(
    document: Mapping[str, Any], base: str, method: str, path: str, operation: Mapping[str, Any], body: Any
) -> str:
    lines = [f"curl {base}{path}" if method == "get" else f"curl -X {method.upper()} {base}{path}"]
    if operation.get("security") != []:
        lines.append("-H 'Authorization: Bearer sbx_…'")
    if body:
        example = json.dumps(_example(document, body, DEPTH), ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d '{example}'"]
    return " \\\n  ".join(lines)


def _example(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> Any:
    """A value that the schema would take: its example, else its required properties."""
    schema = _resolved(document, schema)
    for key in ("examples", "example", "default", "const"):
        if key in schema:
            return schema[key][0] if key == "examples" and schema[key] else schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if "properties" in schema and depth > 0:
        names = schema.get("required") or list(schema["properties"])
        return {name: _example(document, schema["properties"].get(name, {}), depth - 1) for name in names}
    kind = _kind(schema).split(" ")[0]
    return {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}.get(kind, "…")


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Field, ...]:
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    return tuple(
        Field(name, _kind(one), name in required, one.get("description", ""))
        for name, one in schema.get("properties", {}).items()
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """``string``, ``list of Event``, ``integer or null``."""
    if "$ref" in schema:
        return _name(schema)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_kind(one) for one in schema[key])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return _schemas(document).get(_name(schema), {}) if "$ref" in schema else schema


def _schemas(document: Mapping[str, Any]) -> dict[str, Any]:
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    return schemas
