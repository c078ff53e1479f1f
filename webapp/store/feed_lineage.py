"""Read model of lineage: the event that caused this one, and those that this one caused."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from webapp.store.feed_events import EventRow, find_row, rows_by_uid
from webapp.store.tables import events

CHILDREN_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Lineage:
    """One step up and one step down."""

    parent: EventRow | None
    children: tuple[EventRow, ...]  # newest first
    has_more: bool

    def __bool__(self) -> bool:
        return self.parent is not None or bool(self.children)


def lineage_of(conn: Connection, uid: str, causation_id: str | None, limit: int = CHILDREN_SHOWN) -> Lineage:
    """The lineage of one event. A cause that is no event of this hub is no parent."""
    parent = find_row(conn, causation_id) if causation_id and causation_id != uid else None
    return Lineage(parent, *children_of(conn, uid, limit))


def children_of(conn: Connection, uid: str, limit: int = CHILDREN_SHOWN) -> tuple[tuple[EventRow, ...], bool]:
    """What an event caused, newest first, and whether there is more."""
    e = events.c
    newest = select(e.uid).where(e.causation_id == uid, e.uid != uid).order_by(e.uid.desc()).limit(limit + 1)
    uids = list(conn.execute(newest).scalars())
    return rows_by_uid(conn, uids[:limit]), len(uids) > limit
