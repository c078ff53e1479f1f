"""Subscriptions as rules of files: those that a set of files may concern, and all of them for an export."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from webapp.store.engine import within
from webapp.store.tables import subscriptions

MAX_EXPORTED = 10_000


def concerned(
    conn: Connection, set_name: str, keys: Collection[str], names: Collection[str], *, lock: bool = False
) -> Sequence[Row[Any]]:
    """Those of the set, those with one of the keys or names; not deleted, in order of id.

    Locked in that order before any is changed, so that two who apply files never wait for each other in a circle. New
    deliveries may still refer to them.
    """
    s = subscriptions.c
    meant = or_(s.code_set == set_name, within(conn, s.code_key, list(keys)), within(conn, s.name, list(names)))
    query = select(subscriptions).where(s.deleted_at.is_(None), meant).order_by(s.id)
    return conn.execute(query.with_for_update(key_share=True) if lock else query).all()


def exported(conn: Connection, set_name: str | None = None) -> Sequence[Row[Any]]:
    """Those that are not deleted, by name; only those of a set when one is named."""
    s = subscriptions.c
    query = select(subscriptions).where(s.deleted_at.is_(None))
    if set_name is not None:
        query = query.where(s.code_set == set_name)
    return conn.execute(query.order_by(s.name, s.id).limit(MAX_EXPORTED)).all()
