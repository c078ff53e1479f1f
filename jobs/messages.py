"""The forms in which events go out over HTTP: our own JSON, Standard Webhooks, CloudEvents; one event or many."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.domain.cloudevents import STRUCTURED, binary_body, binary_headers, structured_json, to_cloudevent
from webapp.domain.events import Event
from webapp.domain.instants import iso
from webapp.domain.jsontext import to_text

JSON_TYPE = "application/json"
BATCHED = "application/cloudevents-batch+json"
FORMS = ("json", "standard", "cloudevents", "cloudevents-binary")


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, and the headers that say what it is."""

    body: bytes
    headers: dict[str, str]


def message_of(event: Event, form: str) -> Message:
    """One event."""
    if form == "cloudevents":
        return Message(structured_json(event), {"Content-Type": STRUCTURED})
    if form == "cloudevents-binary":
        return Message(binary_body(event), binary_headers(event))
    return Message(to_text(_DOCUMENTS[form](event)).encode(), {"Content-Type": JSON_TYPE})


def batch_of(events: Sequence[Event], form: str) -> Message:
    """Many events, oldest first: a JSON array. CloudEvents have no binary form of that."""
    if form.startswith("cloudevents"):
        body = b"[" + b",".join(structured_json(event) for event in events) + b"]"
        return Message(body, {"Content-Type": BATCHED})
    documents = [_DOCUMENTS[form](event) for event in events]
    return Message(to_text(documents).encode(), {"Content-Type": JSON_TYPE})


def trace_headers(event: Event, delivery_id: str, attempt: int) -> dict[str, str]:
    """``traceparent`` (W3C): the trace that the event came with, and this try as the parent of what the receiver does."""
    trace_id = event.trace_id or str(to_cloudevent(event).get("traceparent", ""))[3:35]
    if not trace_id:
        return {}
    span_id = hashlib.sha256(f"{delivery_id}/{attempt}".encode()).hexdigest()[:16]
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    if state := event.labels.get("tracestate", ""):
        headers["tracestate"] = state
    return headers


def _standard(event: Event) -> dict[str, Any]:
    return {"type": event.type, "timestamp": iso(event.timestamp), "data": event.payload}


_DOCUMENTS: dict[str, Callable[[Event], dict[str, Any]]] = {
    "json": lambda event: event.to_json(),
    "standard": _standard,
}
