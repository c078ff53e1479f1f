"""Lists of the JSON API: newest first by keyset, both ways, never by offset, never looking at more than ``SCAN`` rows.

A search without a fitting index may answer fewer rows than asked for, or none, and still have a next cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, select

from webapp.domain.ids import first_id_at
from webapp.store.paging import SCAN, escape_like
from webapp.store.tables import attempts, bulk_operations, deliveries, events, schedules, subscriptions, transfers


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: behind this id, towards older rows or (``newer``) towards newer ones."""

    id: str
    newer: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows, newest first, and the cursors of what lies on either side."""

    rows: Sequence[Row[Any]]
    next: Cursor | None
    prev: Cursor | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Conditions of a list: ``indexed`` bound the rows that are looked at, ``searched`` choose among these."""

    indexed: tuple[ColumnElement[bool], ...] = ()
    searched: tuple[ColumnElement[bool], ...] = ()


def list_events(
    conn: Connection,
    cursor: Cursor | None,
    limit: int,
    *,
    type: str | None = None,
    source: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Slice:
    """Events without their payloads. ``type`` may have ``*`` for any run of characters."""
    e = events.c
    indexed = _times("evt", e.uid, since, until)
    searched: list[ColumnElement[bool]] = []
    if status is not None:
        indexed.append(e.status == status)
    if type is not None and "*" not in type:
        indexed.append(e.type == type)
    elif type is not None:
        searched.append(e.type.like("%".join(escape_like(part) for part in type.split("*")), escape="\\"))
    if source is not None:
        searched.append(e.source == source)
    columns = [column for column in events.c if column.name not in ("payload",)]
    return _read(conn, select(*columns), e.uid, Wanted(tuple(indexed), tuple(searched)), cursor, limit)


def list_errors(
    conn: Connection,
    cursor: Cursor | None,
    limit: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    type: str | None = None,
) -> Slice:
    """Failed attempts with the sender's id of their event (``event_id``)."""
    a = attempts.c
    query = select(attempts, events.c.id.label("event_id")).join_from(attempts, events, events.c.uid == a.event_uid)
    indexed = (a.error_type.is_not(None), *_times("att", a.id, since, until))
    searched = () if type is None else (a.error_type == type,)
    return _read(conn, query, a.id, Wanted(indexed, searched), cursor, limit)


def list_deliveries(
    conn: Connection,
    cursor: Cursor | None,
    limit: int,
    *,
    state: str | None = None,
    subscription_id: str | None = None,
    event: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Slice:
    """Deliveries with the names of what they join; ``event`` is the hub's id of an event."""
    d = deliveries.c
    indexed = _times("dlv", d.id, since, until)
    for column, value in ((d.state, state), (d.subscription_id, subscription_id), (d.event_uid, event)):
        if value is not None:
            indexed.append(column == value)
    return _read(conn, _deliveries(), d.id, Wanted(tuple(indexed)), cursor, limit)


def find_delivery(conn: Connection, delivery_id: str) -> Row[Any] | None:
    """One delivery with the names of what it joins."""
    return conn.execute(_deliveries().where(deliveries.c.id == delivery_id)).one_or_none()


def attempts_of(conn: Connection, delivery_id: str, limit: int) -> Sequence[Row[Any]]:
    """The newest tries of a delivery, oldest first."""
    a = attempts.c
    newest = select(attempts).where(a.delivery_id == delivery_id).order_by(a.n.desc()).limit(limit)
    return list(reversed(conn.execute(newest).all()))


def list_subscriptions(conn: Connection, cursor: Cursor | None, limit: int) -> Slice:
    """Subscriptions that are not deleted, newest first."""
    s = subscriptions.c
    return _read(conn, select(subscriptions), s.id, Wanted((s.deleted_at.is_(None),)), cursor, limit)


def list_schedules(conn: Connection, cursor: Cursor | None, limit: int) -> Slice:
    """Schedules that are not deleted, newest first."""
    s = schedules.c
    return _read(conn, select(schedules), s.id, Wanted((s.deleted_at.is_(None),)), cursor, limit)


def list_bulk(conn: Connection, cursor: Cursor | None, limit: int) -> Slice:
    """Bulk operations, newest first."""
    return _read(conn, select(bulk_operations), bulk_operations.c.id, Wanted(), cursor, limit)


def list_transfers(conn: Connection, cursor: Cursor | None, limit: int, direction: str) -> Slice:
    """Exports, or imports, newest first."""
    return _read(conn, select(transfers), transfers.c.id, Wanted((transfers.c.direction == direction,)), cursor, limit)


def _deliveries() -> Select[Any]:
    return (
        select(
            deliveries,
            events.c.id.label("event_id"),
            events.c.type.label("event_type"),
            subscriptions.c.name.label("subscription_name"),
            subscriptions.c.retry,
        )
        .join_from(deliveries, events, events.c.uid == deliveries.c.event_uid)
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
    )


def _times(prefix: str, key: Column[Any], since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Bounds of time, as bounds of the id that sorts by it."""
    found: list[ColumnElement[bool]] = []
    if since is not None:
        found.append(key >= first_id_at(prefix, int(since.timestamp() * 1000)))
    if until is not None:
        found.append(key < first_id_at(prefix, int(until.timestamp() * 1000)))
    return found


def _read(
    conn: Connection, query: Select[Any], key: Column[Any], wanted: Wanted, cursor: Cursor | None, limit: int
) -> Slice:
    newer = cursor is not None and cursor.newer
    order = key.asc() if newer else key.desc()
    window = select(key).where(*wanted.indexed).order_by(order)
    if cursor is not None:
        window = window.where(key > cursor.id if newer else key < cursor.id)
    size = SCAN if wanted.searched else limit + 1
    chosen = window.limit(size).subquery()
    found = query.join(chosen, chosen.c[key.name] == key).where(*wanted.searched).order_by(order)
    rows = list(conn.execute(found.limit(limit + 1)).all())
    beyond = None
    if len(rows) > limit:
        rows = rows[:limit]
        beyond = str(getattr(rows[-1], key.name))
    elif wanted.searched:
        beyond = conn.execute(window.offset(SCAN - 1).limit(1)).scalar()
    onwards = None if beyond is None else Cursor(beyond, newer)
    return _newer_slice(rows, key.name, onwards) if newer else _older_slice(rows, key.name, onwards, cursor)


def _older_slice(rows: list[Row[Any]], key: str, onwards: Cursor | None, cursor: Cursor | None) -> Slice:
    back = Cursor(getattr(rows[0], key), newer=True) if rows and cursor is not None else None
    return Slice(rows, next=onwards, prev=back)


def _newer_slice(rows: list[Row[Any]], key: str, onwards: Cursor | None) -> Slice:
    back = Cursor(getattr(rows[0], key)) if rows else None
    return Slice(rows[::-1], next=back, prev=onwards)
