"""Idempotency keys: which requests are being answered, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from webapp.store.tables import idempotency_keys as keys


def begin(conn: Connection, key: str, fingerprint: str, now: datetime, until: datetime) -> bool:
    """Take the key; until then nobody else gets it. Whether it was free, or had run out."""
    insert = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    row = {"fingerprint": fingerprint, "state": "running", "created_at": now, "expires_at": until}
    taken = insert(keys).values(key=key, **row)
    blank = {"status": None, "headers": None, "body": None}
    taken = taken.on_conflict_do_update(index_elements=[keys.c.key], set_=row | blank, where=keys.c.expires_at <= now)
    return conn.execute(taken.returning(keys.c.key)).first() is not None


def find(conn: Connection, key: str) -> Row[Any] | None:
    """What is known of the key."""
    return conn.execute(select(keys).where(keys.c.key == key)).one_or_none()


def finish(conn: Connection, key: str, begun: datetime, answer: Mapping[str, Any], until: datetime) -> bool:
    """Keep the answer, unless somebody else has the key by now."""
    mine = update(keys).where(keys.c.key == key, keys.c.state == "running", keys.c.created_at == begun)
    return conn.execute(mine.values(state="done", expires_at=until, **answer)).rowcount == 1


def release(conn: Connection, key: str, begun: datetime) -> None:
    """Give the key back: the request may be repeated."""
    conn.execute(delete(keys).where(keys.c.key == key, keys.c.state == "running", keys.c.created_at == begun))


def drop_expired(conn: Connection, now: datetime, limit: int = 1000) -> int:
    """Forget keys that ran out; answers how many."""
    outdated = select(keys.c.key).where(keys.c.expires_at <= now).limit(limit)
    return conn.execute(delete(keys).where(keys.c.key.in_(outdated))).rowcount
