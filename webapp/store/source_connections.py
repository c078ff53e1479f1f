"""What consumer processes say of their connections, one row per source and process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from webapp.store.tables_inbound import source_connections, sources

SHOWN = 50


def save_connections(conn: Connection, rows: Collection[Mapping[str, Any]]) -> None:
    """Write down how they are now; those of a source that is deleted are left out."""
    s = sources.c
    wanted = {row["source_id"] for row in rows}
    there = set(conn.scalars(select(s.id).where(s.id.in_(wanted), s.deleted_at.is_(None))))
    for row in rows:
        if row["source_id"] in there:
            insert = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(source_connections).values(**row)
            changing = {name: insert.excluded[name] for name in row if name not in ("source_id", "worker")}
            conn.execute(insert.on_conflict_do_update(index_elements=["source_id", "worker"], set_=changing))


def drop_connections(conn: Connection, worker: str, source_ids: Collection[str] | None = None) -> None:
    """This process holds them no more: these, or all of its."""
    c = source_connections.c
    mine = delete(source_connections).where(c.worker == worker)
    conn.execute(mine if source_ids is None else mine.where(c.source_id.in_(source_ids)))


def drop_silent(conn: Connection, before: datetime) -> None:
    """What processes said that have not been heard of since."""
    conn.execute(delete(source_connections).where(source_connections.c.seen_at < before))


def connections_of(conn: Connection, source_id: str, since: datetime) -> Sequence[Row[Any]]:
    """Those that were heard of since then, by process."""
    c = source_connections.c
    found = select(source_connections).where(c.source_id == source_id, c.seen_at >= since)
    return conn.execute(found.order_by(c.worker).limit(SHOWN)).all()
