"""Transforms: templates keep kinds, missing fields are a choice, and nothing that is written can cost much."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from webapp.domain.errors import Refused
from webapp.domain.events import Event
from webapp.domain.transform import RESULT_BYTES, TransformFailed, parse_transform, transformed

PAYLOAD = {
    "customer": {"name": "Ada", "email": None},
    "amount": 12.5,
    "items": [{"sku": "a", "price": 9}, {"sku": "b", "price": 11}],
}


def _event(payload: dict[str, Any] | None = None) -> Event:
    at = datetime(2026, 11, 23, 13, tzinfo=UTC)
    return Event("o-1", "order.paid", payload or PAYLOAD, at, "shop", 2, "order/1", {"tier": "gold"})


def _payload(template: Any, **more: Any) -> Any:
    return transformed(_event(), {"payload": template, **more}).payload


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("{data.amount}", 12.5),
        ("{data.customer}", PAYLOAD["customer"]),
        ("{data.items[*].sku}", ["a", "b"]),
        ("{data.items[1].sku}", "b"),
        ("{type} of {label.tier}: {data.amount}", "order.paid of gold: 12.5"),
        ("{time}", "2026-11-23T13:00:00.000Z"),
        ("{version}", 2),
        ("{subject}", "order/1"),
        ("{data.customer.email}", None),
        ("to {data.customer.email}.", "to ."),
        ("{{data.amount}}", "{data.amount}"),
        ("plain", "plain"),
        (7, 7),
        ([True, None, "{id}"], [True, None, "o-1"]),
        ({"$jmespath": "items[?price > `10`].sku"}, ["b"]),
        ({"$jmespath": "sum(items[].price)"}, 20),
        ({"$value": "{data.none}", "$default": [1, "{id}"]}, [1, "{id}"]),
        ({"$value": "{data.amount}", "$default": 0}, 12.5),
        ({"$jmespath": "none", "$default": "x"}, "x"),
        ({"$literal": {"$a": "{id}"}}, {"$a": "{id}"}),
    ],
)
def test_template_becomes_its_value(template: Any, made: Any) -> None:
    assert _payload({"x": template}) == {"x": made}


def test_whole_payload_and_the_attributes_of_the_event_can_be_made() -> None:
    document = {"payload": "{data.customer}", "type": "crm.{type}", "source": "hub", "subject": "{data.customer.name}"}
    seen = transformed(_event(), document)
    assert (seen.payload, seen.type, seen.source, seen.subject) == (PAYLOAD["customer"], "crm.order.paid", "hub", "Ada")
    assert (seen.id, seen.labels) == ("o-1", {"tier": "gold"})
    assert transformed(_event(), {"payload": "{data}"}).payload == PAYLOAD
    assert transformed(_event(), {"type": "x"}).payload == PAYLOAD
    assert transformed(_event(), None) == _event()


@pytest.mark.parametrize(
    ("missing", "made"),
    [
        ("null", {"a": None, "b": [None, 1], "c": {"d": None}}),
        ("drop", {"b": [1], "c": {}}),
    ],
)
def test_missing_is_null_or_left_out_where_the_transform_says_so(missing: str, made: Any) -> None:
    template = {"a": "{data.none}", "b": ["x {data.none}", 1], "c": {"d": {"$jmespath": "none"}}}
    assert _payload(template, missing=missing) == made


def test_missing_fails_unless_something_else_is_said() -> None:
    with pytest.raises(TransformFailed, match=r"^/payload/a/0: data.none is missing$"):
        _payload({"a": ["{data.none}"]})
    assert _payload({"a": {"$value": "{data.none}", "$drop": True}, "b": 1}) == {"b": 1}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"payload": "{data.amount}"}, "/payload: a payload is an object"),
        ({"payload": {"$jmespath": "items"}}, "/payload: a payload is an object"),
        ({"type": "{data.amount}"}, "/type: this is text"),
        ({"payload": {"x": {"$jmespath": "sum(customer)"}}}, "/payload/x: "),
        ({"payload": {"x": {"$jmespath": "&name"}}}, "not JSON"),
        ({"payload": {"x": {"$jmespath": "to_number('1e999')"}}}, "not JSON"),
        ({"payload": {"x": "{data.a.b}"}, "typo": 1}, "cannot be used"),
    ],
)
def test_what_cannot_be_made_fails_in_words(document: dict[str, Any], why: str) -> None:
    with pytest.raises(TransformFailed, match=why):
        transformed(_event(), document)


@pytest.mark.parametrize(
    ("document", "pointer", "code"),
    [
        ([], "/transform", "wrong-type"),
        ({}, "/transform", "wrong-type"),
        ({"payload": [1]}, "/transform/payload", "wrong-type"),
        ({"payload": {"a": "{data.x"}}, "/transform/payload/a", "invalid-template"),
        ({"payload": {"a": "{nothing}"}}, "/transform/payload/a", "invalid-template"),
        ({"payload": {"a": {"$jmespath": "items["}}}, "/transform/payload/a/$jmespath", "invalid-expression"),
        ({"payload": {"a": {"$jmespath": "env('HOME')"}}}, "/transform/payload/a/$jmespath", "invalid-expression"),
        ({"payload": {"a": {"$jmespath": "(" * 900}}}, "/transform/payload/a/$jmespath", "invalid-expression"),
        ({"payload": {"a": {"$jmespath": "not_null(" * 70 + "a" + ")" * 70}}}, "/transform/payload/a/$jmespath", "invalid-expression"),
        ({"payload": {"a": {"$jmespath": 5}}}, "/transform/payload/a/$jmespath", "wrong-type"),
        ({"payload": {"a": {"$value": "x", "$jmespath": "x"}}}, "/transform/payload/a", "contradiction"),
        ({"payload": {"a": {"$value": "{id}", "$drop": True, "$default": 1}}}, "/transform/payload/a/$drop", "contradiction"),
        ({"payload": {"a": {"$eval": "1"}}}, "/transform/payload/a/$eval", "unknown-field"),
        ({"payload": {}, "missing": "ignore"}, "/transform/missing", "unknown-choice"),
        ({"payload": {"a": [0] * 600}}, "/transform/payload/a/498", "too-many"),
        ({"payload": json.loads('{"a":' * 30 + "1" + "}" * 30)}, "/transform/payload" + "/a" * 16, "too-deep"),
        ({"payload": {"a": "x" * 17_000}}, "/transform", "too-long"),
    ],
)  # fmt: skip
def test_faulty_transform_is_refused_with_a_pointer(document: Any, pointer: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_transform(document)
    assert (pointer, code) in {(fault.pointer, fault.code) for fault in refused.value.faults}


@pytest.mark.parametrize(
    "template",
    [
        {"$jmespath": "|".join(["[@,@]"] * 40)},
        {"$jmespath": "|".join(["[@,@][]"] * 40)},
        {"$jmespath": "|".join(["to_string(@)", *["join('', [@,@])"] * 50])},
        {"$jmespath": "to_string(" + "|".join(["[@,@]"] * 30) + ")"},
        {"$jmespath": "map(&[@,@], " + "|".join(["[@,@]"] * 20) + ")"},
        ["{data}"] * 400,
        "{data}" * 2000,
        ["{data.items[*].none}"] * 400,
    ],
)
def test_a_bomb_fails_before_it_grows(template: Any) -> None:
    event = _event({"items": [{"n": n, "text": "x" * 100} for n in range(500)]})
    with pytest.raises(TransformFailed, match="makes too much"):
        transformed(event, {"payload": {"x": template}, "missing": "null"})


def test_result_has_a_size() -> None:
    event = _event({"text": "x" * (RESULT_BYTES // 2)})
    with pytest.raises(TransformFailed, match="more than 1024 KiB"):
        transformed(event, {"payload": {"a": "{data.text}", "b": "{data.text}"}})
