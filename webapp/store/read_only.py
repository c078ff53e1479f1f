"""The switch of read-only mode: one row of ``meta``. Its value is the moment when it was switched on, 0 while it is off."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from webapp.store.bulk import insert_rows
from webapp.store.tables import meta

NAME = "read_only"
OFF = 0


def read_switch(conn: Connection) -> Row[Any, Any] | None:
    """Its value and details; None when it was never used."""
    return conn.execute(select(meta.c.value, meta.c.details).where(meta.c.name == NAME)).one_or_none()


def switch_on(conn: Connection, now: datetime, details: Mapping[str, Any]) -> bool:
    """From off to on; False when it is on already."""
    insert_rows(conn, meta, [{"name": NAME, "value": OFF}], "ON CONFLICT (name) DO NOTHING")
    moment = int(now.timestamp() * 1000)
    off = (meta.c.name == NAME, meta.c.value == OFF)
    return conn.execute(update(meta).where(*off).values(value=moment, details=dict(details))).rowcount == 1


def switch_off(conn: Connection) -> bool:
    """From on to off; False when it is off already."""
    on = (meta.c.name == NAME, meta.c.value != OFF)
    return conn.execute(update(meta).where(*on).values(value=OFF, details=None)).rowcount == 1
