"""Many events in one body: a JSON array, or one JSON document a line (NDJSON). Each is read by itself.

What is wrong with one event is its own fault; what is wrong with the body as a whole is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.events import EventDraft, parse_event
from webapp.domain.jsontext import check_sound, load_json

MAX_EVENTS = 1000

Read = EventDraft | Refused
Loaded = tuple[Any, bool] | Refused  # the value and whether strings in it were escaped


@dataclass(frozen=True, slots=True)
class Limits:
    """Of every event."""

    max_depth: int
    max_bytes: int


def read_array(body: bytes, limits: Limits, *, default_source: str, now: datetime) -> list[Read]:
    """The events of a JSON array. Raises ``Refused`` when the body is not one, or holds too many."""
    documents, escaped = load_json(body)
    if not isinstance(documents, list):
        fault = Fault("", "wrong-type", "A batch is a JSON array of events.")
        raise Refused("invalid-batch", fault.message, faults=[fault])
    _check_count(len(documents))
    return list(_read(((one, escaped) for one in documents), limits, default_source, now))


def read_lines(body: bytes, limits: Limits, *, default_source: str, now: datetime) -> list[Read]:
    """The events of NDJSON; blank lines are none. Raises ``Refused`` when there are too many."""
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    _check_count(len(lines))
    return list(_read((_load_line(line, limits) for line in lines), limits, default_source, now))


def _check_count(count: int) -> None:
    if count > MAX_EVENTS:
        detail = f"A batch has {MAX_EVENTS:,} events at most, this one {count:,}; send them in several."
        raise Refused("batch-too-large", detail, status=413)


def _load_line(line: bytes, limits: Limits) -> Loaded:
    if len(line) > limits.max_bytes:
        return _too_large(limits)
    try:
        return load_json(line)
    except Refused as refused:
        return refused


def _read(loaded: Iterable[Loaded], limits: Limits, default_source: str, now: datetime) -> Iterator[Read]:
    for one in loaded:
        if isinstance(one, Refused):
            yield one
            continue
        try:
            document, escaped = one
            check_sound(document, escaped, max_depth=limits.max_depth)
            draft = parse_event(document, default_source=default_source, now=now)
        except Refused as refused:
            yield refused
        else:
            yield draft if len(draft.payload_text) <= limits.max_bytes else _too_large(limits)


def _too_large(limits: Limits) -> Refused:
    return Refused("payload-too-large", f"One event may have {limits.max_bytes} bytes at most.", status=413)
