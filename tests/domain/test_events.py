"""Every fault of an event is named at once; what passes is complete and can be stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.errors import Refused
from webapp.domain.events import Event, EventDraft, draft_of, parse_event
from webapp.domain.instants import iso, parse_instant

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
FULL = {
    "type": "order.paid",
    "source": "https://shop.example/checkout",
    "payload": {"amount": 129.5, "who": "Zoë", "__proto__": 1},
    "id": "o-1",
    "timestamp": "2026-11-23T13:00:00.250+01:00",
    "version": 3,
    "subject": "order 1",
    "labels": {"team": "pay", "a.b_c-1": ""},
    "correlation_id": "c-1",
    "causation_id": "x/1",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
}


def _parse(**fields: Any) -> EventDraft:
    return parse_event({"type": "order.paid"} | fields, default_source="web", now=NOW)


def _refused(document: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        parse_event(document, default_source="web", now=NOW)
    assert refused.value.status == 422
    return refused.value


def test_event_keeps_every_field_when_all_are_given() -> None:
    draft = parse_event(FULL, default_source="web", now=NOW)
    assert (draft.id, draft.type, draft.source, draft.version) == ("o-1", "order.paid", FULL["source"], 3)
    assert draft.timestamp == datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
    assert draft.payload_text == '{"amount":129.5,"who":"Zoë","__proto__":1}'
    assert (draft.subject, draft.labels) == ("order 1", FULL["labels"])
    assert (draft.correlation_id, draft.causation_id, draft.trace_id) == ("c-1", "x/1", FULL["trace_id"])


@pytest.mark.parametrize("absent", [{}, dict.fromkeys(["id", "source", "timestamp", "version", "subject", "labels"])])
def test_event_takes_defaults_when_only_the_type_is_given(absent: dict[str, Any]) -> None:
    draft = _parse(**absent)
    assert draft == EventDraft(None, "order.paid", "web", {}, "{}", NOW)


@pytest.mark.parametrize("document", [None, 5, "x", [], True])
def test_event_is_refused_at_the_root_when_it_is_no_object(document: Any) -> None:
    refused = _refused(document)
    assert (refused.slug, refused.faults[0].pointer) == ("invalid-event", "")


def test_event_is_refused_when_the_type_is_missing() -> None:
    refused = _refused({})
    assert (refused.slug, [fault.pointer for fault in refused.faults]) == ("invalid-event", ["/type"])


@pytest.mark.parametrize("kind", ["a", "order.paid", "a_b-c.d", "1.2", ".".join("a" * 16), "x" * 128])
def test_type_is_accepted_when_it_follows_the_grammar(kind: str) -> None:
    assert _parse(type=kind).type == kind


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "x" * 129,
        "Order.paid",
        "order paid",
        "...",
        ".a",
        "a.",
        "a..b",
        "order.paid\n",
        "a\r\nb",
        "\u202eabc",
        "a\u200bb",
        ".".join("a" * 17),
        "é",
        "a*",
        "٣",
        5,
        None,
        ["a"],
        "a" * 300,
    ],
)
def test_type_is_refused_with_its_own_problem_when_it_breaks_the_grammar(kind: Any) -> None:
    refused = _refused({"type": kind})
    assert (refused.slug, refused.faults[0].pointer) == ("invalid-event-type", "/type")


@pytest.mark.parametrize("kind", ["a" * 100_000, "a." * 60_000, "a" * 127 + "!"])
def test_type_is_refused_at_once_when_it_is_made_to_be_slow(kind: str) -> None:
    assert _refused({"type": kind}).slug == "invalid-event-type"


@pytest.mark.parametrize("name", ["uid", "state", "received_at", "tenant", "data", "Type", "a/b", "__class__", ""])
def test_event_is_refused_when_a_field_is_unknown(name: str) -> None:
    refused = _refused({"type": "a", name: 1})
    pointer = "/" + name.replace("/", "~1")
    assert (refused.slug, [fault.pointer for fault in refused.faults]) == ("unknown-field", [pointer])


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:60Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T23:59:60Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "2026-W01-1T00:00:00Z",
        "20260101T000000Z",
        "2026-01-01 00:00:00Z",
        "now",
        "",
        "9999-12-31T23:59:59-23:59",
        "2031-12-01T00:00:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00Z\n",
        "٢026-01-01T00:00:00Z",
        1700000000,
        True,
        {},
        "2026-01-01T00:00:00." + "1" * 10000 + "Z",
    ],
)
def test_timestamp_is_refused_with_its_own_problem_when_it_is_no_instant(stamp: Any) -> None:
    refused = _refused({"type": "a", "timestamp": stamp})
    assert (refused.slug, refused.faults[0].pointer) == ("invalid-timestamp", "/timestamp")


@pytest.mark.parametrize(
    ("stamp", "instant"),
    [
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-01-01t00:00:00.123456789z", datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
        ("2024-02-29T12:00:00-05:30", datetime(2024, 2, 29, 17, 30, tzinfo=UTC)),
        ("2031-11-22T00:00:00Z", datetime(2031, 11, 22, tzinfo=UTC)),
    ],
)
def test_timestamp_is_read_as_utc_when_it_is_rfc_3339(stamp: str, instant: datetime) -> None:
    draft = _parse(timestamp=stamp)
    assert draft.timestamp == instant
    assert draft.timestamp.utcoffset() == timedelta()


@given(st.datetimes(datetime(1971, 1, 1), datetime(9999, 1, 1), timezones=st.timezones()))
def test_instant_is_equal_to_the_millisecond_when_written_and_read_back(instant: datetime) -> None:
    again = parse_instant(iso(instant))
    assert abs(again - instant.astimezone(UTC)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("field", "value", "pointer", "code"),
    [
        ("payload", [], "/payload", "wrong-type"),
        ("payload", None, "/payload", "wrong-type"),
        ("payload", "text", "/payload", "wrong-type"),
        ("source", "", "/source", "invalid-length"),
        ("source", "s" * 201, "/source", "invalid-length"),
        ("source", "two words", "/source", "invalid-value"),
        ("source", "a\u202eb", "/source", "invalid-value"),
        ("source", "a\nb", "/source", "invalid-character"),
        ("source", 5, "/source", "wrong-type"),
        ("id", "", "/id", "invalid-length"),
        ("id", "i" * 201, "/id", "invalid-length"),
        ("id", "i" * 12_000, "/id", "invalid-length"),
        ("id", "a b", "/id", "invalid-value"),
        ("id", "é", "/id", "invalid-value"),
        ("id", 7, "/id", "wrong-type"),
        ("version", 0, "/version", "out-of-range"),
        ("version", 2**31, "/version", "out-of-range"),
        ("version", True, "/version", "wrong-type"),
        ("version", 1.0, "/version", "wrong-type"),
        ("version", "1", "/version", "wrong-type"),
        ("subject", "s" * 257, "/subject", "invalid-length"),
        ("subject", "a\r\nb", "/subject", "invalid-character"),
        ("subject", "a\u2028b", "/subject", "invalid-character"),
        ("subject", {}, "/subject", "wrong-type"),
        ("labels", [], "/labels", "wrong-type"),
        ("labels", {f"k{n}": "" for n in range(33)}, "/labels", "too-many"),
        ("labels", {"Team": "x"}, "/labels/Team", "invalid-value"),
        ("labels", {"": "x"}, "/labels/", "invalid-value"),
        ("labels", {"team": 5}, "/labels/team", "wrong-type"),
        ("labels", {"team": "x" * 257}, "/labels/team", "invalid-length"),
        ("correlation_id", "c" * 201, "/correlation_id", "invalid-length"),
        ("causation_id", "", "/causation_id", "invalid-length"),
        ("causation_id", "\x1b[2J", "/causation_id", "invalid-character"),
        ("trace_id", "0AF7651916CD43DD8448EB211C80319C", "/trace_id", "invalid-value"),
        ("trace_id", "0af7\n", "/trace_id", "invalid-value"),
        ("trace_id", 5, "/trace_id", "invalid-value"),
    ],
)
def test_field_is_refused_with_pointer_and_code_when_it_is_wrong(
    field: str, value: Any, pointer: str, code: str
) -> None:
    refused = _refused({"type": "a", field: value})
    assert [(fault.pointer, fault.code) for fault in refused.faults] == [(pointer, code)]
    assert refused.slug == "invalid-event"


@pytest.mark.parametrize(("field", "most"), [("id", 200), ("source", 200), ("subject", 256), ("correlation_id", 200)])
def test_text_is_accepted_when_it_is_exactly_as_long_as_allowed(field: str, most: int) -> None:
    assert getattr(_parse(**{field: "x" * most}), field) == "x" * most


def test_event_names_all_faults_when_several_kinds_are_wrong() -> None:
    refused = _refused({"type": "A", "timestamp": "x", "zz": 1, "version": 0, "payload": []})
    assert refused.slug == "invalid-event"
    assert {fault.pointer for fault in refused.faults} == {"/type", "/timestamp", "/zz", "/version", "/payload"}


def test_refusal_never_echoes_a_long_value_and_lists_twenty_faults_at_most() -> None:
    refused = _refused({"type": "x" * 5000} | {f"{n}" + "y" * 200: 1 for n in range(50)})
    assert len(refused.faults) == 20
    assert all(len(fault.message) < 250 and "x" * 81 not in fault.message for fault in refused.faults)
    assert all("y" * 81 not in fault.message for fault in refused.faults)


def test_event_is_built_by_code_with_few_words_and_sent_through_the_same_door() -> None:
    event = Event(id="o-1", type="order.paid", payload={"amount": 1, "pair": (1, 2)})
    draft = draft_of(event, NOW)
    assert (draft.id, draft.source, draft.timestamp, draft.version) == ("o-1", "local", NOW, 1)
    assert draft.payload == {"amount": 1, "pair": [1, 2]}
    assert draft_of(Event(id="", type="a", payload={}), NOW, "cron").id is None


def test_draft_keeps_what_the_event_says() -> None:
    at = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    event = Event("i", "a.b", {"k": "é"}, at, "s", 2, "sub", {"l": "v"}, "", None, "c", "d", "a" * 32)
    assert draft_of(event, NOW) == EventDraft(
        "i", "a.b", "s", {"k": "é"}, '{"k":"é"}', at.astimezone(UTC), 2, "sub", {"l": "v"}, "c", "d", "a" * 32
    )


def _ring() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["self"] = ring
    return ring


@pytest.mark.parametrize(
    ("payload", "slug"),
    [
        ({"a": object()}, "invalid-event"),
        ({"a": {1, 2}}, "invalid-event"),
        ({("a", "b"): 1}, "invalid-event"),
        (_ring(), "invalid-event"),
        ({"a": float("nan")}, "malformed-json"),
        ({"a": 2**60}, "number-out-of-range"),
        ({"a": "\ud800"}, "invalid-character"),
    ],
)
def test_draft_is_refused_when_the_payload_is_no_json(payload: Any, slug: str) -> None:
    with pytest.raises(Refused) as refused:
        draft_of(Event(id="o-1", type="a", payload=payload), NOW)
    assert refused.value.slug == slug


def test_event_cannot_be_built_when_its_time_has_no_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Event(id="1", type="a", payload={}, timestamp=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="received_at"):
        Event(id="1", type="a", payload={}, received_at=datetime(2026, 1, 1))


def test_event_json_has_the_promised_keys_and_times_in_utc() -> None:
    event = Event(id="o-1", type="a", payload={"k": 1}, timestamp=NOW, source="s", uid="evt_1", received_at=NOW)
    document = event.to_json()
    assert set(document) >= {"id", "type", "payload", "timestamp", "source", "version"}
    assert (document["timestamp"], document["received_at"]) == ("2026-11-23T13:30:00.000Z",) * 2
    assert Event(id="o-1", type="a", payload={}).to_json()["timestamp"] is None
