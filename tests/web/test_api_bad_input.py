"""Everything hostile that can be posted: the right refusal, in the right form, and nothing of it stored."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from flask import Flask

from tests.support.factories import rows_of
from tests.support.people import Program
from webapp.runtime import Runtime
from webapp.store import tables

EVENTS = "/api/v1/events"


def with_payload(text: bytes) -> bytes:
    return b'{"type": "order.paid", "payload": {"x": ' + text + b"}}"


def with_field(name: str, value: Any) -> bytes:
    return json.dumps({"type": "order.paid", name: value}).encode()


def nested(depth: int) -> bytes:
    """An event whose document is ``depth`` levels deep."""
    inside = depth - 2
    return with_payload(b"[" * inside + b"]" * inside)


# (what, body, status, slug, pointer of the first fault or None)
BODIES: list[tuple[str, bytes, int, str, str | None]] = [
    ("1 empty", b"", 400, "malformed-json", None),
    ("1 blank", b"  \n", 400, "malformed-json", None),
    ("2 truncated", b'{"type": "order.paid"', 400, "malformed-json", None),
    ("3 trailing data", b'{"type":"a"} {}', 400, "malformed-json", None),
    ("4 null", b"null", 422, "invalid-event", ""),
    ("4 number", b"5", 422, "invalid-event", ""),
    ("4 text", b'"x"', 422, "invalid-event", ""),
    ("4 list", b"[]", 422, "invalid-event", ""),
    ("5 100,000 nested lists", b"[" * 100_000 + b"]" * 100_000, 400, "json-too-deep", None),
    ("5 100,000 nested objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, "json-too-deep", None),
    ("6 depth 33", nested(33), 400, "json-too-deep", None),
    ("7 too many elements", with_payload(b"[" + b"0," * 100_000 + b"0]"), 400, "json-too-complex", None),
    ("8 integer of 5,000 digits", with_payload(b"9" * 5000), 400, "number-out-of-range", None),
    ("9 2^53", with_payload(b"9007199254740992"), 422, "number-out-of-range", "/payload/x"),
    ("9 2^63", with_payload(b"9223372036854775808"), 422, "number-out-of-range", "/payload/x"),
    ("9 -2^63-1", with_payload(b"-9223372036854775809"), 422, "number-out-of-range", "/payload/x"),
    ("10 30 digits", with_payload(b"1" * 30), 422, "number-out-of-range", "/payload/x"),
    ("11 1e400", with_payload(b"1e400"), 422, "number-out-of-range", "/payload/x"),
    ("12 1e200000", with_payload(b"-1e200000"), 422, "number-out-of-range", "/payload/x"),
    ("13 NaN", with_payload(b"NaN"), 400, "malformed-json", None),
    ("13 Infinity", with_payload(b"Infinity"), 400, "malformed-json", None),
    ("13 -Infinity", with_payload(b"-Infinity"), 400, "malformed-json", None),
    ("14 duplicate key", b'{"type":"a","type":"b"}', 400, "duplicate-key", "/type"),
    ("14 duplicate key below", with_payload(b'{"a":1,"a":2}'), 400, "duplicate-key", "/payload/x/a"),
    ("15 duplicate key by escape", with_payload(b'{"a":1,"\\u0061":2}'), 400, "duplicate-key", "/payload/x/a"),
    ("16 NUL in text", with_payload(b'"a\\u0000b"'), 422, "invalid-character", "/payload/x"),
    ("16 NUL in a key", with_payload(b'{"a\\u0000b": 1}'), 422, "invalid-character", None),
    ("16 NUL in the type", with_field("type", "a\x00b"), 422, "invalid-character", "/type"),
    ("17 raw control character", with_payload(b'"a\x01b"'), 400, "malformed-json", None),
    ("18 lone surrogate", with_payload(b'"\\ud800"'), 422, "invalid-character", "/payload/x"),
    ("19 reversed surrogates", with_payload(b'"\\udc00\\ud800"'), 422, "invalid-character", "/payload/x"),
    ("18 lone surrogate in a key", with_payload(b'{"\\udfff": 1}'), 422, "invalid-character", None),
    ("20 0xFF", with_payload(b'"\xff"'), 400, "invalid-encoding", None),
    ("20 overlong", with_payload(b'"\xc0\xaf"'), 400, "invalid-encoding", None),
    ("20 CESU-8", with_payload(b'"\xed\xa0\x81\xed\xb0\x80"'), 400, "invalid-encoding", None),
    ("21 byte order mark", b"\xef\xbb\xbf" + with_payload(b"1"), 400, "invalid-encoding", None),
    ("22 UTF-16", with_payload(b"1").decode().encode("utf-16"), 415, "unsupported-media-type", None),
    ("22 UTF-32", with_payload(b"1").decode().encode("utf-32"), 415, "unsupported-media-type", None),
    ("41 unknown field", with_field("state", "done"), 422, "unknown-field", "/state"),
    ("41 field of the hub", with_field("received_at", "2026-03-02T12:00:00Z"), 422, "unknown-field", "/received_at"),
    ("42 no type", b'{"payload": {}}', 422, "invalid-event", "/type"),
    ("43 type is null", with_field("type", None), 422, "invalid-event-type", "/type"),
    ("43 type is a number", with_field("type", 5), 422, "invalid-event-type", "/type"),
    ("43 type of 300", with_field("type", "a" * 300), 422, "invalid-event-type", "/type"),
    ("43 type in capitals", with_field("type", "Order.Paid"), 422, "invalid-event-type", "/type"),
    ("43 type with a space", with_field("type", "order paid"), 422, "invalid-event-type", "/type"),
    ("43 type of dots", with_field("type", "..."), 422, "invalid-event-type", "/type"),
    ("43 type turned around", with_field("type", "order\u202epaid"), 422, "invalid-event-type", "/type"),
    ("43 type with zero width", with_field("type", "order\u200bpaid"), 422, "invalid-event-type", "/type"),
    ("43 empty type", with_field("type", ""), 422, "invalid-event-type", "/type"),
    ("44 type with a line break", with_field("type", "order.paid\n"), 422, "invalid-event-type", "/type"),
    ("44 type with a header", with_field("type", "a\r\nX-Evil: 1"), 422, "invalid-event-type", "/type"),
    ("47 no such day", with_field("timestamp", "2026-02-30T00:00:00Z"), 422, "invalid-timestamp", "/timestamp"),
    ("47 no such hour", with_field("timestamp", "2026-02-01T24:00:60Z"), 422, "invalid-timestamp", "/timestamp"),
    ("47 year 0", with_field("timestamp", "0000-01-01T00:00:00Z"), 422, "invalid-timestamp", "/timestamp"),
    ("47 year 10000", with_field("timestamp", "10000-01-01T00:00:00Z"), 422, "invalid-timestamp", "/timestamp"),
    ("47 no offset", with_field("timestamp", "2026-02-01T12:00:00"), 422, "invalid-timestamp", "/timestamp"),
    ("47 far ahead", with_field("timestamp", "2099-01-01T00:00:00Z"), 422, "invalid-timestamp", "/timestamp"),
    ("47 a number", with_field("timestamp", 1767225600), 422, "invalid-timestamp", "/timestamp"),
    ("48 id with a space", with_field("id", "a b"), 422, "invalid-event", "/id"),
    ("48 id of 201", with_field("id", "x" * 201), 422, "invalid-event", "/id"),
    ("48 id is a number", with_field("id", 7), 422, "invalid-event", "/id"),
    ("78 long subject", with_field("subject", "x" * 12_000), 422, "invalid-event", "/subject"),
    ("payload is a list", with_field("payload", []), 422, "invalid-event", "/payload"),
    ("payload is text", with_field("payload", "x"), 422, "invalid-event", "/payload"),
    ("source with a line break", with_field("source", "a\nb"), 422, "invalid-event", "/source"),
    ("labels are a list", with_field("labels", ["a"]), 422, "invalid-event", "/labels"),
    ("label is a number", with_field("labels", {"a": 1}), 422, "invalid-event", "/labels/a"),
    ("version 0", with_field("version", 0), 422, "invalid-event", "/version"),
    ("version 2^31", with_field("version", 2**31), 422, "invalid-event", "/version"),
    ("version is true", with_field("version", True), 422, "invalid-event", "/version"),
    ("version is a fraction", with_field("version", 1.5), 422, "invalid-event", "/version"),
]


def nothing_stored(rt: Runtime) -> None:
    assert rows_of(rt, tables.events) == []
    assert rows_of(rt, tables.deliveries) == []


def check_problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["instance"] == EVENTS
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["title"]
    assert problem["detail"]
    for word in ("Traceback", "sqlalchemy", "sqlite", "/webapp/"):
        assert word not in answer.text
    return problem


@pytest.mark.parametrize(
    ("body", "status", "slug", "pointer"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_bad_body_is_refused_with_the_right_problem(
    as_publisher: Program, sqlite_rt: Runtime, body: bytes, status: int, slug: str, pointer: str | None
) -> None:
    problem = check_problem(as_publisher.send("POST", EVENTS, data=body), status, slug)
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer
        assert set(problem["errors"][0]) == {"pointer", "code", "message"}
        assert len(problem["errors"][0]["message"]) < 400
    nothing_stored(sqlite_rt)
    assert as_publisher.post(EVENTS, {"type": "order.paid"}).status_code == 202, "the next one is served"


@pytest.mark.parametrize(
    "body",
    [nested(32), with_payload(b"9007199254740991"), with_payload(b"-9007199254740991"), with_payload(b"1e308")],
    ids=["depth 32", "2^53-1", "-(2^53-1)", "1e308"],
)
def test_body_at_the_limit_is_accepted(as_publisher: Program, body: bytes) -> None:
    assert as_publisher.send("POST", EVENTS, data=body).status_code == 202


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "text/json", "application/x+json", "application/cloudevents+json", "multipart/form-data",
     "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/json; charset=latin-1",
     "application/jsonp", "application/json, text/plain"],
)  # fmt: skip
def test_other_content_types_are_refused(as_publisher: Program, sqlite_rt: Runtime, kind: str) -> None:
    answer = as_publisher.send("POST", EVENTS, data=b'{"type":"order.paid"}', content_type=kind)
    check_problem(answer, 415, "unsupported-media-type")
    nothing_stored(sqlite_rt)


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"']
)
def test_json_content_types_are_accepted(as_publisher: Program, kind: str) -> None:
    answer = as_publisher.send("POST", EVENTS, data=b'{"type":"order.paid"}', content_type=kind)
    assert answer.status_code == 202


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "x", "gzip, gzip"])
def test_compressed_body_is_refused(as_publisher: Program, sqlite_rt: Runtime, encoding: str) -> None:
    body = gzip.compress(b'{"type":"order.paid"}')
    answer = as_publisher.send("POST", EVENTS, data=body, headers={"Content-Encoding": encoding})
    check_problem(answer, 415, "unsupported-content-encoding")
    nothing_stored(sqlite_rt)


def test_identity_encoding_is_accepted(as_publisher: Program) -> None:
    answer = as_publisher.send("POST", EVENTS, data=b'{"type":"order.paid"}', headers={"Content-Encoding": "identity"})
    assert answer.status_code == 202


def test_body_over_the_limit_is_refused_unread(as_publisher: Program, sqlite_rt: Runtime) -> None:
    limit = sqlite_rt.settings.max_body_bytes
    frame = with_payload(b'""')
    for size, status in ((limit, 202), (limit + 1, 413)):
        body = frame[:-4] + b'"' + b"x" * (size - len(frame)) + b'"}}'
        assert len(body) == size
        answer = as_publisher.send("POST", EVENTS, data=body)
        assert answer.status_code == status
    check_problem(answer, 413, "payload-too-large")
    assert len(rows_of(sqlite_rt, tables.events)) == 1


class Endless(io.RawIOBase):
    """A chunked body that never ends; remembers how much of it was read."""

    served = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b" " * len(buffer)
        self.served += len(buffer)
        return len(buffer)


def test_endless_chunked_body_is_counted_and_refused(as_publisher: Program, sqlite_rt: Runtime) -> None:
    stream = Endless()
    answer = as_publisher.client.post(
        EVENTS,
        content_type="application/json",
        headers=as_publisher.headers,
        environ_overrides={
            "wsgi.input": stream,
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
        },
    )
    check_problem(answer, 413, "payload-too-large")
    assert stream.served <= sqlite_rt.settings.max_body_bytes + 65_536
    nothing_stored(sqlite_rt)


@pytest.mark.parametrize("query", ["x=1", "limit=1", "%00=1", "type=a&type=b"])
def test_query_parameters_of_a_post_are_refused(as_publisher: Program, sqlite_rt: Runtime, query: str) -> None:
    check_problem(as_publisher.post(f"{EVENTS}?{query}", {"type": "order.paid"}), 400, "invalid-parameter")
    nothing_stored(sqlite_rt)


@pytest.mark.parametrize(
    "query",
    ["x=1", "limit=1&limit=2", "limit=0", "limit=201", "limit=1000000000", "limit=-1", "limit=1.5", "limit=%D9%A1",
     "limit=", "cursor=x", "cursor=%00", "cursor=" + "A" * 400, "cursor=" + "A" * 4000, "status=done", "since=yesterday",
     "since=2026-02-30T00:00:00Z", "since=2026-03-02T12:00:00", "until=%ff", "type=%00", "type=", "source=" + "x" * 600],
)  # fmt: skip
def test_bad_query_is_refused(api: Program, query: str) -> None:
    problem = check_problem(api.get(f"{EVENTS}?{query}"), 400, "invalid-parameter")
    assert problem["errors"][0]["pointer"].startswith("?")


def test_cursor_of_another_list_or_another_secret_is_refused(api: Program, app: Flask) -> None:
    for n in range(3):
        api.post(EVENTS, {"type": "order.paid", "id": str(n)})
    cursor = api.get(f"{EVENTS}?limit=1").json["next_cursor"]  # type: ignore[index]
    assert api.get(f"{EVENTS}?cursor={cursor}").status_code == 200
    assert api.get(f"/api/v1/deliveries?cursor={cursor}").status_code == 400
    forged = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    assert api.get(f"{EVENTS}?cursor={forged}").status_code == 400


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "<img src=x onerror=alert(1)></script>'-alert()-'=cmd|' /C calc'!A0"},
        {"emoji": "🎉👩‍👩‍👧", "cjk": "注文", "nfc": "é", "nfd": "e\u0301", "rtl": "\u202eabc"},
        {"__proto__": {"x": 1}, "constructor": 2, "toString": None},
        {"template": "{{7*7}} {0.__class__} ${x}"},
        {"numbers": [1.10, 1e2, -0.0, 0.1], "deep": {"a": [{}]}},
    ],
)
def test_odd_but_valid_payload_comes_back_as_it_was(api: Program, payload: dict[str, Any]) -> None:
    answer = api.post(EVENTS, {"type": "order.paid", "payload": payload})
    assert answer.status_code == 202
    found = api.get(f"{EVENTS}/{answer.json['uid']}")  # type: ignore[index]
    assert found.json is not None
    assert found.json["payload"] == payload
    assert "\\u" not in found.text, "characters are sent as they are"


def test_refused_event_leaves_a_trace_but_a_flood_does_not(as_publisher: Program, sqlite_rt: Runtime) -> None:
    for n in range(100):
        as_publisher.send("POST", EVENTS, data=b'{"type": "A%d \x00"}' % n)
    traces = [row for row in rows_of(sqlite_rt, tables.audit) if row.action == "event.refused"]
    assert 60 <= len(traces) <= 70
    assert traces[0].details["problem"] == "malformed-json"
    assert "\x00" not in traces[0].words
    assert all(row.request_id for row in traces)


def test_unroutable_event_is_kept_as_unrouted(api: Program) -> None:
    answer = api.post(EVENTS, {"type": "nobody.cares"})
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"], answer.json["deliveries"]) == (202, "unrouted", [])
    assert api.get(f"{EVENTS}?status=unrouted").json["data"][0]["uid"] == answer.json["uid"]  # type: ignore[index]
