"""Writing exports in the background, step by step: count, then write, newest first, a piece of the file per step.

A step reads without a transaction, then writes the piece, the cursor and the counts in one, provided that nobody
else has gone on meanwhile. So a beat that dies loses one step and nothing is ever in the file twice.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from webapp.domain.access import SYSTEM
from webapp.domain.bulk import Standing
from webapp.domain.export_files import cloudevent_lines, columns_of, csv_header, csv_rows, json_lines
from webapp.domain.progress import paced
from webapp.live import Fact, TransferChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.exports import KEPT, target_of
from webapp.services.transfer_notices import tell_owner
from webapp.store import export_rows, transfers
from webapp.store.events import to_event
from webapp.store.export_rows import Window

LEASE = timedelta(seconds=10)
COUNTED_AT_ONCE = 1_000
WRITTEN_AT_ONCE = {"events": 100, "deliveries": 250, "audit": 250}
MAX_BYTES = 256 * 1024 * 1024  # of one file


def advance(rt: Runtime, owner: str, budget_s: float) -> bool:
    """Go on with every export, for about ``budget_s`` in all; answers whether more is to be done now."""
    until, more = time.monotonic() + budget_s, False
    with rt.db.read() as conn:
        ids = transfers.running(conn, owner, "export", rt.clock())
    for export_id in ids:
        goes_on = _step(rt, owner, export_id)
        while goes_on and time.monotonic() < until:
            goes_on = _step(rt, owner, export_id)
        more = more or goes_on
    return more


def _step(rt: Runtime, owner: str, export_id: str) -> bool:
    """Answers whether there is more to do of it."""
    with rt.db.read() as conn:
        row = transfers.get(conn, export_id)
        if row.state != Standing.RUNNING:
            return False
        is_counted = bool(row.options.get("counted"))
        size = WRITTEN_AT_ONCE[row.what] if is_counted else COUNTED_AT_ONCE
        find = export_rows.read if is_counted else export_rows.look
        before = row.cursor or export_rows.start_of(row.what, row.created_at)
        window = find(conn, row.what, row.filter, row.created_at, before, size)
    lease = {"lease_owner": owner, "lease_until": rt.clock() + LEASE}
    return _write(rt, row, window, lease) if is_counted else _count(rt, row, window, lease)


def _count(rt: Runtime, row: Any, window: Window, lease: dict[str, Any]) -> bool:
    now = rt.clock()
    counted = {} if window.next else {"counted": True, "speed": paced(None, 0, now)}
    values = {"total": row.total + len(window.rows), "cursor": window.next, "options": row.options | counted}
    with rt.db.write() as conn:
        is_mine = transfers.step(conn, row, now, **values, **lease)
    rt.live.tell(TransferChanged(row.id, row.state))
    return is_mine


def _write(rt: Runtime, row: Any, window: Window, lease: dict[str, Any]) -> bool:
    text = _head(row) + _text(row, window)
    is_full = row.bytes + len(text) > MAX_BYTES
    is_over = is_full or window.next is None
    now, done = rt.clock(), row.done + (0 if is_full else len(window.rows))
    values = {
        "cursor": window.next,
        "done": done,
        "options": row.options | {"speed": paced(row.options["speed"], done, now)},
    }
    if text and not is_full:
        values |= {"bytes": row.bytes + len(text), "pieces": row.pieces + 1}
    with rt.db.write() as conn:
        if not transfers.step(conn, row, now, **values, **lease):
            return False
        if text and not is_full:
            transfers.add_piece(conn, row.id, row.pieces, text, len(window.rows))
        told = _end(rt, conn, row, done, is_full) if is_over else []
    rt.live.tell(TransferChanged(row.id, str(Standing.DONE if is_over else row.state)), *told)
    return not is_over


def _end(rt: Runtime, conn: Any, row: Any, done: int, is_full: bool) -> list[Fact]:
    why = (
        f"The file is full ({MAX_BYTES >> 20} MiB): it has the newest {done:,}. Narrow the filter for the others."
        if is_full
        else None
    )
    now, skipped = rt.clock(), max(0, row.total - done) if is_full else 0
    values = {"state_reason": why, "skipped": skipped, "file_until": now + KEPT}
    transfers.move(conn, row.id, (Standing.RUNNING,), Standing.DONE, now, **values)
    details = {"done": done} | ({"why": why} if why else {})
    trail.leave(rt, conn, SYSTEM, "export.finished", target_of(row._mapping), details)
    return tell_owner(rt, conn, row.id)


def _head(row: Any) -> bytes:
    is_first = row.format == "csv" and row.pieces == 0
    return csv_header(columns_of(row.what, row.options["payloads"])) if is_first else b""


def _text(row: Any, window: Window) -> bytes:
    if row.format == "csv":
        return csv_rows(window.rows, columns_of(row.what, row.options["payloads"]))
    if row.format == "cloudevents":
        return cloudevent_lines(to_event(one) for one in window.rows)
    return json_lines(row.what, window.rows, row.options["payloads"])
