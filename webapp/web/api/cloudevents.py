"""``/api/v1/cloudevents``: CloudEvents 1.0 over HTTP in all three modes. The rules are ``webapp.domain.cloudevents``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, request

from webapp.domain.access import Actor
from webapp.domain.cloudevents import STRUCTURED, draft_of_cloudevent, is_json
from webapp.domain.cloudevents_http import BATCHED, at_headers, mode_of, read_batch, read_binary, read_structured, under
from webapp.domain.errors import HubError, Refused
from webapp.domain.events import EventDraft
from webapp.domain.jsontext import parse_json
from webapp.services.accept import Accepted, BatchRefused
from webapp.web import auth
from webapp.web.api.batch import RefusedAsAWhole
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.api.events import accepted_json, deprecation_header, note_refusal
from webapp.web.bodies import read_bytes
from webapp.web.context import get_acceptor, get_runtime
from webapp.web.requests import read_query


@bp.post("/cloudevents")
@auth.require("publish")
@operation(
    "Publish CloudEvents",
    "events",
    {202: "CloudEventsAccepted"},
    body="CloudEvent",
    body_types={
        STRUCTURED: "One CloudEvent in JSON; as application/json too, without ce- headers.",
        BATCHED: "An array of them.",
        "*/*": "The data of one whose attributes are ce- headers.",
    },
    problems=(400, 413, 415, 422, 503),
    headers=("ce-specversion", "ce-id", "ce-source", "ce-type"),
    description=f"CloudEvents 1.0, told apart by Content-Type: structured ({STRUCTURED}), batched ({BATCHED}), else binary "
    "(attributes in `ce-` headers, the body is the data, of any type). One event is answered as `POST /api/v1/events` "
    "answers, a batch with `data`, one answer per event in its order. If one event of a batch is faulty, none is stored; "
    "the pointers begin with its index. In binary mode, faults name headers in place of pointers.",
)
def publish_cloudevents() -> Response:
    """Accept one event, or a batch."""
    read_query()
    rt, actor = get_runtime(), auth.current_actor()
    batched = asked_mode() == "batched"
    body = read_bytes(rt.settings.max_batch_bytes if batched else rt.settings.max_body_bytes)
    try:
        drafts = read_cloudevents(body)
    except Refused as error:
        note_refusal(actor, error, body)
        raise
    if batched:
        return _accept_batch(drafts, actor)
    accepted = get_acceptor().accept(drafts[0], actor)
    return answer(accepted_json(accepted), 202, deprecation_header([accepted]))


def asked_mode() -> str | None:
    """The mode of the present request; None: it is no CloudEvent. Raises ``Refused`` (415) for a format that is not JSON."""
    return mode_of(request.headers.get("Content-Type", ""), {name for name, _ in request.headers})


def read_cloudevents(body: bytes) -> list[EventDraft]:
    """The events of the present request, one unless it is batched. Raises ``Refused``, naming members or headers."""
    kind, depth, mode = request.headers.get("Content-Type", ""), get_runtime().settings.max_json_depth, asked_mode()
    if mode == "structured" or (mode is None and kind.strip() and is_json(kind)):
        return [_draft(parse_json(body, max_depth=depth))]
    if mode == "batched":
        documents = read_batch(parse_json(body, max_depth=depth))
        return [_draft_in_batch(index, document) for index, document in enumerate(documents)]
    try:
        attrs, data = read_binary(dict(request.headers), kind, body, max_depth=depth)
        return [draft_of_cloudevent(attrs, data, get_runtime().clock())]
    except Refused as refused:
        raise at_headers(refused) from None


def _draft(document: Any, at: str = "") -> EventDraft:
    return draft_of_cloudevent(*read_structured(document, at=at), get_runtime().clock())


def _draft_in_batch(index: int, document: Any) -> EventDraft:
    try:
        return _draft(document)
    except Refused as refused:
        raise under(refused, index) from None


def _accept_batch(drafts: Sequence[EventDraft], actor: Actor) -> Response:
    answers = get_acceptor().accept_many(drafts, actor, atomic=True)
    refused = [(index, one) for index, one in enumerate(answers) if isinstance(one, HubError)]
    if refused:
        raise RefusedAsAWhole([(index, one) for index, one in refused if not isinstance(one, BatchRefused)])
    accepted = [one for one in answers if isinstance(one, Accepted)]
    return answer({"data": [accepted_json(one) for one in accepted]}, 202, deprecation_header(accepted))


_TEXT = {"type": "string", "minLength": 1}
SCHEMAS: dict[str, Any] = {
    "CloudEvent": {
        "type": "object",
        "description": "CloudEvents 1.0, JSON format. Further members are extension attributes: text, true, false or whole "
        "numbers, by names of a-z and 0-9.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": {**_TEXT, "maxLength": 200},
            "source": {**_TEXT, "maxLength": 200, "format": "uri-reference"},
            "type": {
                **_TEXT,
                "maxLength": 128,
                "description": "Routed in lower case; kept as sent in the label ce.type.",
            },
            "subject": {"type": ["string", "null"], "minLength": 1, "maxLength": 256},
            "time": {"type": ["string", "null"], "format": "date-time"},
            "datacontenttype": {"type": ["string", "null"], "maxLength": 256},
            "dataschema": {"type": ["string", "null"], "format": "uri", "maxLength": 256},
            "data": {"description": "Any JSON; text if datacontenttype is no JSON type."},
            "data_base64": {"type": ["string", "null"], "contentEncoding": "base64"},
        },
        "additionalProperties": {"type": ["string", "boolean", "integer", "null"]},
        "examples": [
            {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order.paid", "data": {"order": 1042}}
        ],
    },
    "CloudEventsAccepted": {
        "anyOf": [
            {"$ref": "#/components/schemas/Accepted"},
            {
                "type": "object",
                "required": ["data"],
                "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Accepted"}}},
            },
        ]
    },
}
