"""From a request to an event: templates for type, id and subject, over what was sent.

``{body.action}``, ``{body.items[0].id}``, ``{header.x-github-event}``, ``{query.job}`` and ``{source}``; ``{a|b}`` is
the first that is not empty. What is missing counts as empty. Whatever a type becomes is folded as types of
CloudEvents are, so no sender can break a rule of the hub by its spelling.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from webapp.domain.cloudevents import fold_type, is_json
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import CONTROL, refusal, shown
from webapp.domain.jsontext import parse_json, to_text

TEMPLATE_CHARS = 300
FIELDS = ("type", "id", "subject")
MAX_FORM_FIELDS = 500
FORM = "application/x-www-form-urlencoded"

PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "github": {
            "type": "github.{header.x-github-event}.{body.action}",
            "id": "{header.x-github-delivery}",
            "subject": "{body.repository.full_name}",
        },
        "stripe": {"type": "stripe.{body.type}", "id": "{body.id}", "subject": "{body.data.object.id}"},
        "slack": {
            "type": "slack.{body.event.type|body.command|body.type}",
            "id": "{body.event_id|body.trigger_id}",
            "subject": "{body.event.channel|body.channel_id}",
        },
        "standard": {"type": "{body.type|source}", "id": "{header.webhook-id}", "subject": ""},
        "hmac": {"type": "{body.type|source}", "id": "", "subject": ""},
        "basic": {"type": "{body.type|source}", "id": "", "subject": ""},
        "none": {"type": "{body.type|source}", "id": "", "subject": ""},
        "publish": {"type": "", "id": "", "subject": ""},  # its type is in the address
    }
)

_PART = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"source|(?:header|query)\.[A-Za-z0-9_\-]{1,80}|body(?:\.[^.\[\]{}|]{1,80}|\[[0-9]{1,4}\]){1,12}")
_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]")
_ID_CHARS = re.compile(r"[^\x21-\x7e]+")


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What was sent. Names of headers are in lower case; ``body`` is a JSON value, text, bytes or None."""

    headers: Mapping[str, str]
    source: str
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)


def check_template(text: str) -> str | None:
    """What is wrong with a template, in words; None: nothing."""
    if len(text) > TEMPLATE_CHARS or CONTROL.search(text):
        return f"A template is one line of {TEMPLATE_CHARS} characters at most."
    for match in _PART.finditer(text):
        for path in match[1].split("|"):
            if not _PATH.fullmatch(path):
                return (
                    f"Write {{body.x.y}}, {{header.x-name}}, {{query.x}} or {{source}}, not {shown('{' + path + '}')}."
                )
    rest = _PART.sub("", text)
    return "A brace is open: write fields as {body.x.y}." if "{" in rest or "}" in rest else None


def render(template: str, request: Request) -> str:
    """The template with its fields filled in."""
    return _PART.sub(lambda match: _first(match[1].split("|"), request), template).strip()


def document_of(request: Request, mapping: Mapping[str, str]) -> dict[str, Any]:
    """The document for ``parse_event``. Raises ``Refused`` when no type comes out of it."""
    event_type = fold_type(render(mapping["type"], request))
    if not event_type:
        message = f"The template {shown(mapping['type'])} gave no type for this request."
        raise refusal("invalid-event", "request", [Fault("/type", "required", message)])
    document: dict[str, Any] = {"type": event_type, "source": request.source, "payload": payload_of(request.body)}
    if found := _ID_CHARS.sub("-", render(mapping["id"], request)):
        document["id"] = found[:200]
    if found := CONTROL.sub(" ", render(mapping["subject"], request)):
        document["subject"] = found[:256]
    return document


def payload_of(body: Any) -> dict[str, Any]:
    """A payload is an object: anything else is put into one, as for CloudEvents."""
    if body is None:
        return {}
    if isinstance(body, bytes):
        return {"data_base64": b64encode(body).decode()}
    return body if isinstance(body, dict) else {"data": body}


def read_body(kind: str, content_type: str, body: bytes, *, max_depth: int = 32) -> Any:
    """JSON, the fields of a form, text, else bytes. Raises ``Refused`` for JSON that is none."""
    if not body:
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == FORM:
        fields = _form(body)
        inner = fields.get("payload") if kind in ("slack", "github") else None  # both wrap JSON in a form
        return parse_json(inner.encode(), max_depth=max_depth) if isinstance(inner, str) else fields
    if is_json(media_type or None):
        return parse_json(body, max_depth=max_depth)
    return _text(body)


def read_loosely(content_type: str, body: bytes, *, max_depth: int = 32) -> Any:
    """The same for what people type into a shell, where ``curl -d`` calls everything a form."""
    if not body:
        return None
    if body.lstrip()[:1] in (b"{", b"["):
        return parse_json(body, max_depth=max_depth)
    if content_type.partition(";")[0].strip().lower() == FORM and b"=" in body:
        return _form(body)
    return _text(body)


def _text(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return body
    return body if "\0" in text else text


def _form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        detail = f"The form is not UTF-8, or has more than {MAX_FORM_FIELDS} fields."
        raise Refused("invalid-encoding", detail, status=400) from None
    return fields_of(pairs)


def fields_of(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Fields by name; one that was sent twice has a list. Raises ``Refused`` for what cannot be stored."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            before = fields[name]
            fields[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            fields[name] = value
    return dict(parse_json(to_text(fields).encode("utf-8", "surrogatepass")))  # through the gate like all


def _first(paths: list[str], request: Request) -> str:
    return next((text for path in paths if (text := _text_of(_read(path, request)))), "")


def _read(path: str, request: Request) -> Any:
    root, _, rest = path.partition(".")
    if path == "source":
        return request.source
    if root in ("header", "query"):
        return request.headers.get(rest.lower()) if root == "header" else request.query.get(rest)
    value = request.body
    for name, index in _STEP.findall(path.removeprefix("body")):
        if name and isinstance(value, dict):
            value = value.get(name)
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return None
    return value


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return to_text(value) if isinstance(value, bool | int | float) else ""
