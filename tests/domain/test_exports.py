from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from webapp.domain.errors import Refused
from webapp.domain.export_files import COLUMNS, columns_of, csv_header, csv_rows, json_lines
from webapp.domain.exports import FILTERS, FORMATS, file_name, parse_export

NOW = datetime(2026, 11, 23, 14, 2, 8, tzinfo=UTC)


def event(**fields: Any) -> Any:
    texts = dict.fromkeys(COLUMNS["events"]) | {
        "uid": "evt_1",
        "id": "1",
        "type": "order.paid",
        "source": "shop",
        "version": 1,
    }
    known = {
        "timestamp": NOW,
        "received_at": NOW,
        "status": "succeeded",
        "duplicates": 0,
        "labels": {},
        "payload": "{}",
    }
    return SimpleNamespace(**(texts | known | fields))


def cells(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode())))


@pytest.mark.parametrize("nasty", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_cell_is_a_formula(nasty: str) -> None:
    [row] = cells(csv_rows([event(subject=nasty)], ("subject", "version")))
    assert row[0].startswith("'")
    assert row[0][1:].replace("\r", "\n") == nasty.replace("\r", "\n")


def test_csv_keeps_commas_quotes_and_line_breaks_in_their_cell() -> None:
    columns = columns_of("events", payloads=True)
    payload = '{"note":"a, \\"b\\"\\nc","n":-1.50}'
    head, row = cells(csv_header(columns) + csv_rows([event(subject='a,"b"\nc', payload=payload)], columns))
    assert tuple(head) == columns
    found = dict(zip(head, row, strict=True))
    assert (found["subject"], found["payload"], found["timestamp"]) == ('a,"b"\nc', payload, "2026-11-23T14:02:08.000Z")


def test_payloads_are_left_out_unless_they_are_wanted() -> None:
    assert "payload" not in columns_of("events", payloads=False)
    assert columns_of("deliveries", payloads=False) == COLUMNS["deliveries"]
    assert b"secret" not in json_lines("events", [event(payload='{"secret":1}')], payloads=False)


def test_a_line_of_json_is_the_event_as_it_was_sent_with_what_the_hub_knows_apart() -> None:
    [line] = json_lines("events", [event(payload='{"n":1.50}', labels={"a": "b"})], payloads=True).splitlines()
    assert b'"payload":{"n":1.50}' in line
    document = orjson.loads(line)
    assert document["hub"] == {
        "uid": "evt_1",
        "received_at": "2026-11-23T14:02:08.000Z",
        "status": "succeeded",
        "duplicates": 0,
    }
    assert (document["labels"], "subject" in document) == ({"a": "b"}, False)


def test_times_are_fixed_when_it_is_asked_for() -> None:
    draft = parse_export({"what": "events", "filter": {"since": "now-1h", "type": "order.*", "until": ""}}, NOW)
    assert (draft.format, draft.filter) == ("csv", {"since": "2026-11-23T13:02:08.000Z", "type": "order.*"})
    assert not draft.shows_payloads
    assert parse_export({"what": "events", "filter": {"q": "data.amount>1"}}, NOW).shows_payloads


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ([], [""]),
        ({}, ["/what"]),
        ({"what": ["events"]}, ["/what"]),
        ({"what": "events", "color": 1}, ["/color"]),
        ({"what": "events", "format": "xlsx", "payloads": 1}, ["/format", "/payloads"]),
        ({"what": "audit", "format": "cloudevents"}, ["/format", "/payloads"]),
        ({"what": "events", "format": "cloudevents"}, ["/payloads"]),
        ({"what": "audit", "payloads": True}, ["/payloads"]),
        ({"what": "events", "filter": []}, ["/filter"]),
        ({"what": "events", "filter": {"state": "dead"}}, ["/filter/state"]),
        ({"what": "events", "filter": {"since": "soon", "status": "good", "q": "(("}}, ["/filter/since", "/filter/status", "/filter/q"]),
        ({"what": "deliveries", "filter": {"state": "x" * 300}}, ["/filter/state"]),
    ],
)  # fmt: skip
def test_every_fault_is_named(document: Any, pointers: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        parse_export(document, NOW)
    assert [fault.pointer for fault in refused.value.faults] == pointers


def test_every_kind_has_formats_filters_and_columns() -> None:
    assert set(FORMATS) == set(FILTERS) == set(COLUMNS)
    assert file_name("events", "cloudevents", NOW) == "signalbox-events-20261123-140208.ndjson"
