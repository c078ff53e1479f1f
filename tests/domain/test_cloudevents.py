"""CloudEvents in and out: nothing is lost, and what cannot be kept is refused by name."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event, from_structured_event
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.domain import cloudevents as ce
from webapp.domain.cloudevents_http import (
    at_headers,
    decode_header,
    mode_of,
    read_batch,
    read_binary,
    read_structured,
    under,
)
from webapp.domain.errors import Refused
from webapp.domain.events import TYPE_PATTERN, Event, EventDraft

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEAST = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid"}


def event_of(draft: EventDraft) -> Event:
    return Event(
        id=draft.id or "", type=draft.type, payload=json.loads(draft.payload_text), timestamp=draft.timestamp,
        source=draft.source, version=draft.version, subject=draft.subject, labels=draft.labels,
        correlation_id=draft.correlation_id, causation_id=draft.causation_id, trace_id=draft.trace_id,
    )  # fmt: skip


def through(attrs: dict[str, Any], data: Any = ce.NO_DATA) -> Event:
    return event_of(ce.draft_of_cloudevent(attrs, data, NOW))


def faults_of(attrs: dict[str, Any], data: Any = ce.NO_DATA) -> set[str]:
    with pytest.raises(Refused) as caught:
        ce.draft_of_cloudevent(attrs, data, NOW)
    assert caught.value.status == 422
    return {fault.pointer for fault in caught.value.faults}


# What becomes of attributes


def test_attributes_become_fields_and_extensions_become_labels() -> None:
    attrs = LEAST | {
        "subject": "order/7", "time": "2026-11-23T10:00:00.5+01:00", "dataschema": "https://schemas.example/order",
        "correlationid": "c-1", "causationid": "evt-0", "partitionkey": "customer-4", "sequence": "0042",
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    }  # fmt: skip
    event = through(attrs, {"amount": 3})
    assert (event.id, event.source, event.type, event.subject) == ("1", "/shop", "order.paid", "order/7")
    assert event.timestamp == datetime(2026, 11, 23, 9, 0, 0, 500_000, tzinfo=UTC)
    assert (event.correlation_id, event.causation_id, event.trace_id) == ("c-1", "evt-0", "a" * 32)
    assert event.payload == {"amount": 3}
    assert event.labels == {name: attrs[name] for name in ("dataschema", "partitionkey", "sequence", "traceparent")}


@pytest.mark.parametrize(
    ("sent", "routed"),
    [
        ("com.GitHub.Push", "com.github.push"),
        ("google.cloud.pubsub.topic.v1.messagePublished", "google.cloud.pubsub.topic.v1.messagepublished"),
        ("aws:s3:ObjectCreated", "aws-s3-objectcreated"),
        ("ci/build//done.", "ci-build-done"),
        ("order_.-paid", "order.paid"),
    ],
)
def test_type_that_the_hub_does_not_route_is_folded_and_goes_out_as_it_came(sent: str, routed: str) -> None:
    event = through(LEAST | {"type": sent})
    assert event.type == routed
    assert event.labels["ce.type"] == sent
    assert ce.to_cloudevent(event)["type"] == sent


def test_label_that_lies_about_the_type_is_not_believed() -> None:
    event = Event(id="1", type="order.paid", payload={}, labels={"ce.type": "invoice.Paid"}, source="shop")
    assert ce.to_cloudevent(event)["type"] == "order.paid"


@given(st.text(max_size=60))
def test_folded_type_is_a_type_or_nothing(text: str) -> None:
    import re

    folded = ce.fold_type(text)
    short = folded.count(".") + folded.count("-") + folded.count("_") < 16
    assert folded == "" or not short or re.fullmatch(TYPE_PATTERN, folded)
    assert ce.fold_type(folded) == folded


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"specversion": None}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": None}, "/id"),
        ({"id": 5}, "/id"),
        ({"id": "a b"}, "/id"),
        ({"source": "no spaces"}, "/source"),
        ({"source": None}, "/source"),
        ({"type": ""}, "/type"),
        ({"type": "日本"}, "/type"),
        ({"type": "a" * 129}, "/type"),
        ({"time": "yesterday"}, "/time"),
        ({"subject": ""}, "/subject"),
        ({"dataschema": "relative/path"}, "/dataschema"),
        ({"datacontenttype": "json"}, "/datacontenttype"),
        ({"expirytime": "soon"}, "/expirytime"),
        ({"tenantId": "1"}, "/tenantId"),
        ({"tenant_id": "1"}, "/tenant_id"),
        ({"amount": 1.5}, "/amount"),
        ({"amount": 2**31}, "/amount"),
        ({"nested": {}}, "/nested"),
        ({"long": "x" * 257}, "/long"),
        ({"correlationid": 7}, "/correlationid"),
    ],
)
def test_fault_names_the_attribute(changes: dict[str, Any], at: str) -> None:
    assert faults_of(LEAST | changes) == {at}


def test_every_fault_is_named_at_once() -> None:
    assert faults_of({"id": "", "time": "x", "Bad": "1"}) >= {
        "/specversion",
        "/id",
        "/source",
        "/type",
        "/time",
        "/Bad",
    }


# Data


@pytest.mark.parametrize(
    ("content_type", "body", "payload"),
    [
        ("application/json", b'{"a":1}', {"a": 1}),
        ("application/json; charset=utf-8", b"[1,2]", {"data": [1, 2]}),
        ("application/vnd.x+json", b'"text"', {"data": "text"}),
        ("application/json", b"null", {"data": None}),
        ("application/json", b'{"data":"x"}', {"data": "x"}),
        ("application/json", b'{"data_base64":"AA=="}', {"data_base64": "AA=="}),
        ("text/plain", "grüße".encode(), {"data": "grüße"}),
        ("text/plain", b"\xff\xfe", {"data_base64": "//4="}),
        ("text/plain; charset=iso-8859-1", b"gr\xfc\xdfe", {"data_base64": "Z3L832U="}),
        ("application/xml", b"<a/>", {"data": "<a/>"}),
        ("application/octet-stream", b"abc", {"data_base64": "YWJj"}),
        ("text/plain", b"", {}),
        ("", b"", {}),
    ],
)
def test_body_goes_out_byte_for_byte(content_type: str, body: bytes, payload: dict[str, Any]) -> None:
    headers = {f"Ce-{name}": value for name, value in LEAST.items()}
    event = through(*read_binary(headers, content_type, body))
    assert event.payload == payload
    assert ce.binary_body(event) == body
    assert ce.binary_headers(event).get("Content-Type", "") == content_type
    again = through(*read_structured(json.loads(ce.structured_json(event))))
    assert (again.payload, ce.binary_body(again)) == (payload, body)


@pytest.mark.parametrize("members", [{"data": 1, "data_base64": "AA=="}, {"data_base64": "!"}, {"data_base64": 5}])
def test_data_that_cannot_be_meant_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        read_structured(LEAST | members)
    assert caught.value.faults[0].pointer == "/data_base64"


# Round trips

NAMES = st.from_regex(r"[a-z][a-z0-9]{2,19}", fullmatch=True).filter(
    lambda name: name not in ce.NOT_EXTENSIONS | ce.TEXTS | {"recordedtime", "dataversion"}
)
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=40)
EXTENSIONS = st.dictionaries(NAMES, TEXT | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=6)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": st.from_regex(r"[!-~]{1,30}", fullmatch=True),
        "source": st.sampled_from(["/", "urn:x:1", "https://a.example/b?c=%20#d", "../x"]),
        "type": st.from_regex(r"[A-Za-z0-9]{1,8}([.:/ _-][A-Za-z0-9]{1,8}){0,4}", fullmatch=True),
        "time": st.datetimes(datetime(1971, 1, 1), datetime(2026, 1, 1)).map(
            lambda at: at.replace(tzinfo=UTC).isoformat()
        ),
    },
    optional={
        "subject": TEXT,
        "correlationid": TEXT,
        "causationid": TEXT,
        "dataversion": st.integers(1, 9) | st.sampled_from(["1", "7", "x"]),
        "recordedtime": st.just("2026-01-02T03:04:05Z"),
        "datacontenttype": st.sampled_from(["text/plain", "application/vnd.x+json", "image/png; q=1"]),
    },
)


@settings(max_examples=150)
@given(EVENTS, EXTENSIONS, st.just(ce.NO_DATA) | JSON_VALUES | st.binary(max_size=20))
def test_structured_event_goes_out_as_it_came(attrs: dict[str, Any], more: dict[str, Any], data: Any) -> None:
    sent = more | attrs
    body = (
        {}
        if data is ce.NO_DATA
        else {"data_base64": b64encode(data).decode()}
        if isinstance(data, bytes)
        else {"data": data}
    )
    event = through(*read_structured(json.loads(json.dumps(sent | body))))
    got = json.loads(ce.structured_json(event))
    assert datetime.fromisoformat(got.pop("time")) == datetime.fromisoformat(sent.pop("time"))
    if body:
        sent.setdefault("datacontenttype", "application/json")  # what leaving it out means
    assert got == sent | body


@settings(max_examples=100)
@given(EVENTS, st.dictionaries(NAMES, TEXT, max_size=4), st.binary(max_size=20))
def test_binary_event_goes_out_as_it_came(attrs: dict[str, Any], more: dict[str, Any], body: bytes) -> None:
    kind = attrs.pop("datacontenttype", "application/octet-stream")
    kind = kind if "json" not in kind else "text/csv"
    event = through(*read_structured(json.loads(json.dumps(more | attrs))))
    headers = ce.binary_headers(event)
    again = through(*read_binary(headers, kind, body))
    assert ce.binary_headers(again) == headers | ({"Content-Type": kind})
    assert ce.binary_body(again) == body


# Headers


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"quoted %41 \\" and \\\\"', 'quoted A " and \\'),
        ("100%", "100%"),
        ("%2541", "%41"),
    ],
)
def test_header_is_unquoted_then_decoded_once(header: str, text: str) -> None:
    assert decode_header(header) == text


@pytest.mark.parametrize("header", ["%FF", "%C0%80", "%ED%A0%80", "a%0Ab", "\xff"])
def test_header_that_is_no_text_is_refused_by_name(header: str) -> None:
    with pytest.raises(Refused) as caught:
        read_binary({"CE-Subject": header}, "", b"")
    assert [fault.pointer for fault in caught.value.faults] == ["ce-subject"]


def test_faults_of_binary_mode_name_headers() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "x y", "ce-type": "a", "ce-my-ext": "1"}
    with pytest.raises(Refused) as caught:
        ce.draft_of_cloudevent(*read_binary(headers, "nonsense", b"x"), NOW)
    assert {fault.pointer for fault in at_headers(caught.value).faults} == {"ce-source", "ce-my-ext", "content-type"}


def test_content_type_as_attribute_header_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        read_binary({"ce-datacontenttype": "text/plain"}, "", b"")
    assert caught.value.faults[0].pointer == "ce-datacontenttype"


def test_mode_is_told_by_the_content_type() -> None:
    names = {"Ce-Specversion"}
    assert mode_of("Application/CloudEvents+JSON; charset=UTF-8", names) == "structured"
    assert mode_of("application/cloudevents-batch+json", names) == "batched"
    assert mode_of("application/json", names) == "binary"
    assert mode_of("application/json", set()) is None
    for other in ("application/cloudevents+avro", "application/cloudevents+json; charset=utf-16"):
        with pytest.raises(Refused) as caught:
            mode_of(other, names)
        assert caught.value.status == 415


def test_batch_is_an_array_and_faults_point_into_it() -> None:
    assert read_batch([]) == []
    for wrong, status in (({}, 422), ([{}] * 1001, 413)):
        with pytest.raises(Refused) as caught:
            read_batch(wrong)
        assert caught.value.status == status
    assert under(Refused("invalid-event", "bad"), 3).faults[0].pointer == "/3"


# Out, as the reference reads it


def test_event_of_the_hub_is_read_by_the_reference_implementation() -> None:
    event = Event(
        id="o-1", type="order.paid", payload={"amount": 19.9, "note": "für 5 €"}, timestamp=NOW, source="web shop €",
        version=3, subject="Käse 100%", labels={"region": "eu", "tenant_id": "4", "data": "x"}, uid="evt-1",
        received_at=NOW, correlation_id="c", causation_id="d", trace_id="a" * 32,
    )  # fmt: skip
    structured = from_structured_event(HTTPMessage({"content-type": ce.STRUCTURED}, ce.structured_json(event)))
    headers = ce.binary_headers(event)
    binary = from_binary_event(HTTPMessage(headers, ce.binary_body(event)))
    for read in (structured, binary):
        assert (read.get_id(), read.get_type(), read.get_time()) == ("o-1", "order.paid", NOW)
        assert read.get_source() == "web%20shop%20%E2%82%AC"
        assert read.get_subject() == "Käse 100%"
        assert read.get_data() == event.payload
        assert read.get_datacontenttype() == "application/json"
        assert read.get_extension("region") == "eu"
        assert read.get_extension("recordedtime") == "2026-11-23T12:00:00.000Z"
        assert str(read.get_extension("dataversion")) == "3"
        assert read.get_extension("traceparent").startswith("00-" + "a" * 32)
    assert "ce-tenant_id" not in headers
