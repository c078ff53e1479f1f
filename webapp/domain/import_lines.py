"""The lines of a file of events: as they are published, as an export of a hub has them, or CloudEvents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from webapp.domain.cloudevents import draft_of_cloudevent
from webapp.domain.cloudevents_http import read_structured
from webapp.domain.errors import Refused
from webapp.domain.event_batches import Limits
from webapp.domain.events import EventDraft, parse_event
from webapp.domain.export_files import HUB
from webapp.domain.jsontext import check_sound, load_json

LINES_AT_ONCE = 100
PIECE_BYTES = 1024 * 1024
NAME_CHARS = 120


def pieces_of(body: bytes) -> Iterator[list[bytes]]:
    """The lines, blank ones too so that they can be counted, in pieces that are one step each."""
    lines, size = list[bytes](), 0
    for line in body.split(b"\n"):
        if lines and (len(lines) == LINES_AT_ONCE or size + len(line) > PIECE_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield lines


def read_line(
    line: bytes, limits: Limits, *, own_id: str, default_source: str, now: datetime
) -> EventDraft | Refused | None:
    """The event of a line, what is wrong with it, or ``None`` for a blank one.

    One without an id gets ``own_id``, so that the same file imported again brings nothing twice.
    """
    if not line or line.isspace():
        return None
    if len(line) > limits.max_bytes:
        return Refused("payload-too-large", f"One event may have {limits.max_bytes} bytes at most.", status=413)
    try:
        document, escaped = load_json(line)
        check_sound(document, escaped, max_depth=limits.max_depth)
        if isinstance(document, dict) and "specversion" in document:
            return draft_of_cloudevent(*read_structured(document), now)
        return parse_event(_sent(document, own_id), default_source=default_source, now=now)
    except Refused as refused:
        return refused


def _sent(document: Any, own_id: str) -> Any:
    """Without what only the hub knows."""
    if not isinstance(document, dict):
        return document
    return {"id": own_id} | {name: value for name, value in document.items() if name != HUB}


def file_name_of(given: str) -> str:
    """What the sender calls the file, to be shown and never opened: without folders and what cannot be printed."""
    name = re.split(r"[/\\]", given)[-1][:NAME_CHARS]
    return "".join(char for char in name if char.isprintable()).strip()


def words_of(refused: Refused) -> str:
    """What is wrong, in one line."""
    said = [f"{fault.pointer}: {fault.message}" if fault.pointer else fault.message for fault in refused.faults[:3]]
    return " ".join(said) or refused.detail
