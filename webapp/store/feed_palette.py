"""What the command palette finds: rows by id or by name, few of each kind, every query on an index or a small table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, func, or_, select

from webapp.store.paging import escape_like
from webapp.store.tables import deliveries, event_types, events, schedules, sources, subscriptions

EACH = 5
SHORTEST_PREFIX = 8  # of an id: its kind and the first digits of its time
AFTER_ALL = "\uffff"


@dataclass(frozen=True, slots=True)
class Hit:
    """One row that fits; ``about`` tells it from others of the same name."""

    kind: str
    id: str
    name: str
    about: str = ""


def find(conn: Connection, words: str, each: int = EACH) -> list[Hit]:
    """By kind, best kinds first: what has this id, then what has the words in its name."""
    return [*_events(conn, words, each), *_deliveries(conn, words, each), *_named(conn, words, each)]


def _events(conn: Connection, words: str, each: int) -> list[Hit]:
    """By the beginning of the hub's id, or by the whole of the sender's."""
    e = events.c
    found = or_(_begins(e.uid, words), e.id == words) if words.startswith("evt_") else e.id == words
    rows = conn.execute(select(e.uid, e.type, e.id, e.source).where(found).order_by(e.uid.desc()).limit(each))
    return [
        Hit("event", row.uid, row.type, row.uid if row.uid == row.id else f"{row.id} from {row.source}") for row in rows
    ]


def _deliveries(conn: Connection, words: str, each: int) -> list[Hit]:
    if not words.startswith("dlv_"):
        return []
    d = deliveries.c
    rows = conn.execute(
        select(d.id, d.state, subscriptions.c.name)
        .join(subscriptions, subscriptions.c.id == d.subscription_id)
        .where(_begins(d.id, words))
        .order_by(d.id.desc())
        .limit(each)
    )
    return [Hit("delivery", row.id, row.name, f"{row.id}, {row.state}") for row in rows]


def _named(conn: Connection, words: str, each: int) -> list[Hit]:
    hits = []
    for kind, table in (("subscription", subscriptions), ("source", sources), ("schedule", schedules)):
        rows = conn.execute(_by_name(table, words, each))
        hits += [Hit(kind, row.id, row.name, row.id) for row in rows]
    t = event_types.c
    types = select(t.name, t.description).where(_contains(t.name, words)).order_by(t.name).limit(each)
    return hits + [Hit("event type", row.name, row.name, row.description[:80]) for row in conn.execute(types)]


def _by_name(table: Table, words: str, each: int) -> Select[Any]:
    c = table.c
    found = or_(_contains(c.name, words), c.id == words)
    return select(c.id, c.name).where(c.deleted_at.is_(None), found).order_by(c.name, c.id).limit(each)


def _contains(name: ColumnElement[str], words: str) -> ColumnElement[bool]:
    return func.lower(name).like(f"%{escape_like(words.lower())}%", escape="\\")


def _begins(key: ColumnElement[str], words: str) -> ColumnElement[bool]:
    """A range, which the index of the key serves on both databases."""
    if len(words) < SHORTEST_PREFIX:
        return key == words
    return (key >= words) & (key < words + AFTER_ALL)
