"""Worker processes as their own heartbeats describe them. A row is a claim to be alive, nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete
from sqlalchemy.dialects import postgresql, sqlite

from webapp.store.tables import workers

LASTING = frozenset({"name", "kind", "host", "pid", "started_at"})


def save_worker(conn: Connection, row: Mapping[str, Any]) -> None:
    """Write the heartbeat down; a worker that was given up meanwhile is there again."""
    insert = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(workers).values(**row)
    changing = {name: insert.excluded[name] for name in row if name not in LASTING}
    conn.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changing))


def delete_worker(conn: Connection, name: str) -> bool:
    """The worker ended as it should; answers whether it was known."""
    return conn.execute(delete(workers).where(workers.c.name == name)).rowcount == 1
