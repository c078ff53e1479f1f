"""What discovery reads of the newest events, and the rows that it keeps of types nobody declared."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from webapp.domain.ids import first_id_at
from webapp.store.bulk import insert_rows
from webapp.store.tables import event_types, events, meta

CURSOR = "event_types_cursor"  # in meta: milliseconds since 1970 up to which events were looked at


def read_cursor(conn: Connection) -> int | None:
    """How far discovery has come; None when it never ran."""
    return conn.execute(select(meta.c.value).where(meta.c.name == CURSOR)).scalar_one_or_none()


def move_cursor(conn: Connection, before: int | None, to: int) -> bool:
    """Compare-and-set; False when another beat was faster."""
    if before is None:
        insert_rows(conn, meta, [{"name": CURSOR, "value": -1}], "ON CONFLICT (name) DO NOTHING")
    was = -1 if before is None else before
    moved = conn.execute(update(meta).where(meta.c.name == CURSOR, meta.c.value == was).values(value=to))
    return moved.rowcount == 1


def newest_by_type(conn: Connection, since_ms: int, limit: int) -> tuple[dict[str, str], int]:
    """The types of the newest events since then, each with its newest event; and how many events were read."""
    e = events.c
    window = select(e.uid, e.type).where(e.uid >= first_id_at("evt", since_ms)).order_by(e.uid.desc()).limit(limit)
    part = window.subquery()
    found = conn.execute(select(part.c.type, func.max(part.c.uid), func.count()).group_by(part.c.type)).all()
    return {row[0]: row[1] for row in found}, sum(row[2] for row in found)


def newest_payloads(conn: Connection, name: str, limit: int, chars: int) -> list[str]:
    """The texts of the newest payloads of a type, without those that are longer than ``chars``."""
    e = events.c
    newest = select(e.uid).where(e.type == name).order_by(e.uid.desc()).limit(limit).subquery()
    fitting = select(e.payload).join(newest, newest.c.uid == e.uid).where(func.length(e.payload) <= chars)
    return list(conn.execute(fitting.order_by(e.uid.desc())).scalars())


def add_discovered(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert, unless the catalog has it by now."""
    insert_rows(conn, event_types, [dict(row)], "ON CONFLICT (name) DO NOTHING")


def save_inferred(conn: Connection, name: str, before: int, schema: Mapping[str, Any], count: int) -> bool:
    """A better schema of a type that is still only discovered. Nobody edits it meanwhile, so its revision stays."""
    t = event_types.c
    here = (t.name == name, t.state == "discovered", t.deleted_at.is_(None), t.inferred_from == before)
    saved = conn.execute(update(event_types).where(*here).values(inferred=dict(schema), inferred_from=count))
    return saved.rowcount == 1


def note_seen(conn: Connection, name: str, at: datetime) -> None:
    """The newest event of a type that anybody looked at."""
    t = event_types.c
    older = t.seen_at.is_(None) | (t.seen_at < at)
    conn.execute(update(event_types).where(t.name == name, older).values(seen_at=at))
