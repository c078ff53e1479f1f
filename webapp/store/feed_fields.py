"""What is known of the fields of events: the schemas of their types, and the newest events themselves. Bounded reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from webapp.store import tables as t
from webapp.store.engine import within

NEWEST = 12  # events looked at
TYPES = 20
PAYLOAD_CHARS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """Schemas of the newest versions, and payloads and labels of the newest events."""

    schemas: tuple[Any, ...]
    payloads: tuple[Any, ...]
    labels: tuple[str, ...]


def seen_fields(conn: Connection, event_types: Sequence[str]) -> Seen:
    """Of these types; of any when none is named."""
    e = t.events.c
    query = select(e.payload, e.labels).where(func.length(e.payload) <= PAYLOAD_CHARS)
    if event_types:
        query = query.where(within(conn, e.type, list(event_types)[:TYPES]))
    rows = conn.execute(query.order_by(e.uid.desc()).limit(NEWEST)).all()
    labels = dict.fromkeys(key for row in rows for key in row.labels)
    return Seen(_schemas(conn, event_types), tuple(json.loads(row.payload) for row in rows), tuple(labels))


def _schemas(conn: Connection, event_types: Sequence[str]) -> tuple[Any, ...]:
    v = t.event_type_versions.c
    newest = select(v.type, func.max(v.version).label("version")).group_by(v.type)
    if event_types:
        newest = newest.where(within(conn, v.type, list(event_types)[:TYPES]))
    chosen = newest.order_by(v.type).limit(TYPES).subquery()
    query = select(v.schema).join(chosen, (chosen.c.type == v.type) & (chosen.c.version == v.version))
    return tuple(json.loads(schema) for schema in conn.execute(query).scalars())
