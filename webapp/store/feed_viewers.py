"""Read model of who looks at a page: whether there is such a page, and the names of people."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from webapp.store import tables as t
from webapp.store.engine import within

KEYS = {"event": t.events.c.uid, "delivery": t.deliveries.c.id, "subscription": t.subscriptions.c.id}


def is_there(conn: Connection, noun: str, key: str) -> bool:
    """Whether there is an event, a delivery or a subscription of this id."""
    column = KEYS.get(noun)
    return column is not None and conn.execute(select(column).where(column == key)).first() is not None


def names_of(conn: Connection, people: Collection[str]) -> dict[str, str]:
    """Names of people by id, in the order of the names."""
    u = t.users.c
    query = select(u.id, u.username).where(within(conn, u.id, sorted(people))).order_by(u.username)
    return {row.id: row.username for row in conn.execute(query)}
