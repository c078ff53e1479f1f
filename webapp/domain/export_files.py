"""What stands in an exported file: rows as CSV that no spreadsheet takes for formulas, or as one JSON document a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from webapp.domain.cloudevents import structured_json
from webapp.domain.events import Event
from webapp.domain.instants import iso
from webapp.domain.jsontext import to_text

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "events": ("uid", "id", "type", "source", "version", "subject", "timestamp", "received_at", "status", "duplicates", "correlation_id", "causation_id", "trace_id", "labels", "payload"),
    "deliveries": ("id", "event_uid", "event_type", "event_source", "event_subject", "subscription_id", "subscription_name", "handler", "state", "reason", "attempt", "created_at", "started_at", "finished_at", "error_type", "error_message", "rerun_of"),
    "audit": ("id", "at", "actor_kind", "actor_id", "actor_name", "action", "target_kind", "target_id", "target_name", "ip", "request_id", "details"),
}  # fmt: skip
SENT = (
    "id",
    "type",
    "source",
    "version",
    "subject",
    "timestamp",
    "correlation_id",
    "causation_id",
    "trace_id",
    "labels",
)
OF_THE_HUB = ("uid", "received_at", "status", "duplicates")
HUB = "hub"  # the member of an exported event with what the hub itself knows; an import leaves it out
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms


def columns_of(what: str, payloads: bool) -> tuple[str, ...]:
    """The names at the head of a CSV file."""
    return COLUMNS[what] if payloads or what != "events" else COLUMNS[what][:-1]


def csv_header(columns: Sequence[str]) -> bytes:
    """The first line."""
    return _csv([columns])


def csv_rows(rows: Iterable[Any], columns: Sequence[str]) -> bytes:
    """RFC 4180, UTF-8."""
    return _csv([[_cell(getattr(row, name)) for name in columns] for row in rows])


def json_lines(what: str, rows: Iterable[Any], payloads: bool) -> bytes:
    """NDJSON. An event has the form in which events are sent, so that it can be imported."""
    show = _event if what == "events" else _plain(COLUMNS[what])
    return b"".join(orjson.dumps(show(row, payloads), option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def cloudevent_lines(events: Iterable[Event]) -> bytes:
    """CloudEvents in their JSON format, one a line."""
    return b"".join(structured_json(event) + b"\n" for event in events)


def _csv(lines: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """As a cell. A text that a spreadsheet would compute is made one that it shows."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return iso(value)
    text = value if isinstance(value, str) else to_text(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _event(row: Any, payloads: bool) -> dict[str, Any]:
    document = {name: _json(getattr(row, name)) for name in SENT}
    document = {name: value for name, value in document.items() if value not in (None, {})}
    if payloads:
        document["payload"] = orjson.Fragment(row.payload)
    return document | {HUB: {name: _json(getattr(row, name)) for name in OF_THE_HUB}}


def _plain(columns: Sequence[str]) -> Any:
    return lambda row, payloads: {name: _json(getattr(row, name)) for name in columns}


def _json(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value
