"""CloudEvents over HTTP, sent by the reference implementation of the CNCF."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_binary_event,
    from_structured_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from werkzeug.test import TestResponse

from tests.support import factories as make
from tests.support.people import Program
from webapp.domain import cloudevents as ce
from webapp.domain.events import Event
from webapp.runtime import Runtime
from webapp.store import tables

PATH = "/api/v1/cloudevents"
NOW = datetime(2026, 11, 23, 10, 30, 0, 250_000, tzinfo=UTC)
ATTRIBUTES = {
    "specversion": "1.0", "id": "A-1", "source": "https://shop.example/orders", "type": "com.example.Order.Paid",
    "time": NOW, "subject": "Käse & Wein 100%", "partitionkey": "customer-7", "dataschema": "https://schemas.example/order",
}  # fmt: skip


def send(program: Program, message: HTTPMessage) -> TestResponse:
    headers = {name: value for name, value in message.headers.items() if name.lower() != "content-type"}
    kind = next((value for name, value in message.headers.items() if name.lower() == "content-type"), None)
    return program.send("POST", PATH, data=message.body, content_type=kind, headers=headers)


def stored(rt: Runtime) -> list[Event]:
    return [
        Event(
            id=row.id, type=row.type, payload=json.loads(row.payload), timestamp=row.timestamp, source=row.source,
            version=row.version, subject=row.subject, labels=row.labels, uid=row.uid, received_at=row.received_at,
            correlation_id=row.correlation_id, causation_id=row.causation_id, trace_id=row.trace_id,
        )
        for row in make.rows_of(rt, tables.events)
    ]  # fmt: skip


def pointers(answer: TestResponse) -> list[str]:
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    return [fault["pointer"] for fault in answer.json["errors"]]


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("application/json", {"order": 1042, "note": "grün"}),
        ("application/json", {}),
        ("text/plain", "just text €"),
        ("application/octet-stream", b"\x00\xff\x01"),
    ],
)
def test_event_of_the_reference_comes_in_and_goes_out_as_it_was(
    as_publisher: Program, sqlite_rt: Runtime, mode: str, kind: str, data: Any
) -> None:
    wanted = make.make_subscription(sqlite_rt, pattern="com.example.order.*")
    sent = CloudEvent(attributes=ATTRIBUTES | {"datacontenttype": kind}, data=data)
    answer = send(as_publisher, to_structured_event(sent) if mode == "structured" else to_binary_event(sent))
    assert answer.status_code == 202, answer.text
    assert answer.json is not None
    assert (answer.json["id"], answer.json["subscriptions"][0]["id"]) == ("A-1", wanted)
    (event,) = stored(sqlite_rt)
    out_structured = HTTPMessage({"content-type": ce.STRUCTURED}, ce.structured_json(event))
    out_binary = HTTPMessage(ce.binary_headers(event), ce.binary_body(event))
    for read in (from_structured_event(out_structured), from_binary_event(out_binary)):
        got = read.get_attributes()
        assert {name: got[name] for name in ATTRIBUTES} == ATTRIBUTES
        assert got["datacontenttype"] == kind
        assert read.get_data() == data


def test_same_event_again_is_a_duplicate(as_publisher: Program) -> None:
    sent = CloudEvent(attributes=dict(ATTRIBUTES), data={"a": 1})
    first = send(as_publisher, to_binary_event(sent)).json
    again = send(as_publisher, to_structured_event(sent)).json
    assert first is not None
    assert again is not None
    assert (again["duplicate"], again["uid"]) == (True, first["uid"])


def test_batch_answers_each_event_in_order(as_publisher: Program, sqlite_rt: Runtime) -> None:
    batch = [json.loads(to_structured_event(CloudEvent({**ATTRIBUTES, "id": f"A-{n}"}, {})).body) for n in range(3)]
    answer = as_publisher.send("POST", PATH, data=json.dumps(batch), content_type="application/cloudevents-batch+json")
    assert answer.status_code == 202
    assert answer.json is not None
    assert [one["id"] for one in answer.json["data"]] == ["A-0", "A-1", "A-2"]
    assert len(stored(sqlite_rt)) == 3
    empty = as_publisher.send("POST", PATH, data="[]", content_type="application/cloudevents-batch+json")
    assert (empty.status_code, empty.json) == (202, {"data": []})


def test_batch_with_a_faulty_event_stores_nothing(as_publisher: Program, sqlite_rt: Runtime) -> None:
    good = {"specversion": "1.0", "id": "1", "source": "/x", "type": "a"}
    for bad, at in (
        ({**good, "source": "a b"}, "/1/source"),
        (5, "/1"),
        ({**good, "data_base64": "!"}, "/1/data_base64"),
    ):
        answer = as_publisher.send(
            "POST", PATH, data=json.dumps([good, bad]), content_type="application/cloudevents-batch+json"
        )
        assert (answer.status_code, pointers(answer)) == (422, [at])
    assert stored(sqlite_rt) == []
    assert "event.refused" in {row.action for row in make.rows_of(sqlite_rt, tables.audit)}


def test_faults_name_the_header_or_the_member(as_publisher: Program) -> None:
    headers = {"ce-specversion": "0.3", "ce-id": "1", "ce-source": "%FF", "ce-type": "a"}
    binary = as_publisher.send("POST", PATH, data=b"{}", headers=headers)
    assert (binary.status_code, pointers(binary)) == (422, ["ce-source"])
    headers["ce-source"] = "/x"
    assert pointers(as_publisher.send("POST", PATH, data=b"{}", headers=headers)) == ["ce-specversion"]
    document = json.dumps({"specversion": "1.0", "id": "1", "source": "/x", "type": "a", "time": "now"})
    structured = as_publisher.send("POST", PATH, data=document, content_type="application/cloudevents+json")
    assert (structured.status_code, pointers(structured)) == (422, ["/time"])


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/cloudevents+json", b"", 400),
        ("application/cloudevents+json", b"[]", 422),
        ("application/cloudevents+json", b'{"a":1,"a":2}', 400),
        ("application/cloudevents+avro", b"{}", 415),
        ("application/cloudevents-batch+json", b"{}", 422),
        ("application/json", b"{}", 422),
        ("text/plain", b"{}", 422),
        ("", b"", 422),
        ("application/cloudevents+json", b" " * (1 << 20) + b"{}", 413),
    ],
)
def test_what_is_no_cloudevent_is_refused(as_publisher: Program, kind: str, body: bytes, status: int) -> None:
    assert as_publisher.send("POST", PATH, data=body, content_type=kind).status_code == status


def test_plain_json_without_headers_is_read_as_structured(as_publisher: Program, sqlite_rt: Runtime) -> None:
    assert as_publisher.post(PATH, {"specversion": "1.0", "id": "1", "source": "/x", "type": "a.b"}).status_code == 202
    assert stored(sqlite_rt)[0].type == "a.b"


def test_viewer_may_not_publish(app: Any) -> None:
    from tests.support.people import add_program

    assert send(add_program(app, "viewer"), to_binary_event(CloudEvent(dict(ATTRIBUTES), {}))).status_code == 403
    assert send(Program(app, ""), to_binary_event(CloudEvent(dict(ATTRIBUTES), {}))).status_code == 401
