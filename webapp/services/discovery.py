"""Discovery: finds event types that nobody declared, works out what they look like, and notes when types were seen.

It reads beside the accepting, never in it: one step of the beat looks at the newest events since the last step. In a
flood it looks at the newest ``LOOK`` only; a rare type is found when it comes again.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain.errors import Refused
from webapp.domain.ids import made_at
from webapp.domain.jsontext import parse_json
from webapp.domain.schema_infer import infer
from webapp.runtime import Runtime
from webapp.store import discovery as store
from webapp.store import event_types

log = logging.getLogger(__name__)

LOOK = 1_000  # events in one step
OVERLAP_MS = 2_000  # a commit may come later than the id of its event
SAMPLES = 50
ENOUGH = 50  # events that a schema was worked out from; it is left alone then
PAYLOAD_CHARS = 32 * 1024
PER_STEP = 20  # schemas worked out in one step
MAX_DISCOVERED = 2_000  # whoever sends made-up types does not fill the catalog


def look(rt: Runtime) -> int:
    """One step; answers how many types were found."""
    now_ms = int(rt.clock().timestamp() * 1_000)
    with rt.db.read() as conn:
        cursor = store.read_cursor(conn)
        newest, count = store.newest_by_type(conn, max(0, (cursor or 0) - OVERLAP_MS), LOOK)
        if not count and cursor is not None:
            return 0
        known, schemas = _work_out(conn, newest)
        room = MAX_DISCOVERED - event_types.count_types(conn)
    with rt.db.write() as conn:
        if not store.move_cursor(conn, cursor, now_ms):
            return 0
        found = 0
        for name, (schema, events) in sorted(schemas.items()):
            if name in known:
                store.save_inferred(conn, name, known[name].inferred_from, schema, events)
            elif found < room:
                found += 1
                store.add_discovered(conn, _discovered(name, schema, events, rt.clock()))
        for name, uid in sorted(newest.items()):
            store.note_seen(conn, name, made_at(uid) or rt.clock())
    if found:
        log.info("%s event types discovered", found, extra={"action": "types_discovered"})
    return found


def _work_out(conn: Connection, newest: dict[str, str]) -> tuple[dict[str, Any], dict[str, tuple[Any, int]]]:
    """What the catalog knows of these types, and the schemas of those that nobody declared."""
    known = event_types.known_names(conn, newest)
    wanted = [name for name in sorted(newest) if name not in known or _is_open(known[name])]
    return known, {name: _inferred(conn, name) for name in wanted[:PER_STEP]}


def _is_open(row: Any) -> bool:
    return row.state == "discovered" and row.deleted_at is None and row.inferred_from < ENOUGH


def _inferred(conn: Connection, name: str) -> tuple[dict[str, Any], int]:
    payloads = []
    for text in store.newest_payloads(conn, name, SAMPLES, PAYLOAD_CHARS):
        try:
            payloads.append(parse_json(text.encode()))
        except Refused:  # kept before the limits of today
            continue
    return infer(payloads), len(payloads)


def _discovered(name: str, schema: dict[str, Any], events: int, now: datetime) -> dict[str, Any]:
    return {
        "name": name,
        "state": "discovered",
        "owner": "",
        "description": "",
        "inferred": schema,
        "inferred_from": events,
        "created_at": now,
        "updated_at": now,
    }
