"""What handlers remember, by subscription and key: read at any time, written in the transaction of the outcome."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from webapp.domain.lifecycle import Settlement
from webapp.domain.state import ABSENT, StateChanged, Stored, Wish, apply
from webapp.store import cancels
from webapp.store.bulk import insert_rows
from webapp.store.deliveries import IS_RUNNING, Finished
from webapp.store.engine import within
from webapp.store.tables import deliveries, handler_state

KEPT_OUTCOMES = frozenset({"succeeded", "skipped", "snoozed"})
PER_PAGE = 50

Place = tuple[str, str]  # subscription, key


def read(conn: Connection, subscription_id: str, key: str) -> Stored | None:
    """The value and its version; None when there is none."""
    s = handler_state.c
    query = select(s.value, s.v).where(s.subscription_id == subscription_id, s.key == key)
    row = conn.execute(query).one_or_none()
    return None if row is None else Stored(row.value, row.v)


def list_states(
    conn: Connection, subscription_id: str, after: str = "", limit: int = PER_PAGE
) -> tuple[Sequence[Row[Any]], str | None]:
    """What is remembered for a subscription, by key, and the key that the next page begins behind."""
    s = handler_state.c
    query = select(handler_state).where(s.subscription_id == subscription_id, s.key > after)
    rows = conn.execute(query.order_by(s.key).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].key if len(rows) > limit else None


def forget(conn: Connection, subscription_id: str, key: str) -> bool:
    """Drop one key; answers whether there was one."""
    s = handler_state.c
    dropped = delete(handler_state).where(s.subscription_id == subscription_id, s.key == key)
    return conn.execute(dropped).rowcount == 1


def write(conn: Connection, rows: Sequence[Finished], owner: str) -> Sequence[Finished]:
    """Make the changes that ended attempts ask for, all of an attempt or none; answers the rows to be settled.

    One whose changes cannot be made is to be settled otherwise. One that is not ours any more changes nothing.
    """
    if all(row.state is None for row in rows):
        return rows
    asking = _ours(conn, [row for row in rows if row.state and row.settlement.outcome in KEPT_OUTCOMES], owner)
    places = sorted({(row.claimed.subscription_id, one.key) for row in asking for one in _wish(row).changes})
    if not places:
        return rows
    now = max(row.finished_at for row in asking)
    before = _locked(conn, places, now)
    after, settled = dict(before), {}
    for row in asking:
        settled[row.claimed.id] = _apply(row, after)
    settled |= _with_their_batch(asking, settled)
    _store(conn, before, after, now)
    undone = [row for row in settled.values() if row.settlement.outcome not in KEPT_OUTCOMES]
    settled |= {row.claimed.id: row for row in cancels.honour(conn, undone)}
    return [settled.get(row.claimed.id, row) for row in rows]


def _wish(row: Finished) -> Wish:
    assert row.state is not None
    return row.state


def _ours(conn: Connection, rows: Sequence[Finished], owner: str) -> list[Finished]:
    """Those whose lease we hold, and go on holding until the commit."""
    d = deliveries.c
    held = select(d.id, d.attempt).where(
        IS_RUNNING, d.lease_owner == owner, within(conn, d.id, [row.claimed.id for row in rows])
    )
    attempts = {row.id: row.attempt for row in conn.execute(held.order_by(d.id).with_for_update())}
    return [row for row in rows if attempts.get(row.claimed.id) == row.claimed.attempt]


def _locked(conn: Connection, places: Sequence[Place], now: datetime) -> dict[Place, Stored | None]:
    """The rows of these keys, locked in order. Keys that are not there get a row too, so that nobody else makes one."""
    blank = [
        {"subscription_id": subscription_id, "key": key, "value": None, "v": ABSENT, "updated_at": now}
        for subscription_id, key in places
    ]
    insert_rows(conn, handler_state, blank, "ON CONFLICT DO NOTHING")
    found: dict[Place, Stored | None] = {}
    for place in places:
        stored = conn.execute(select(handler_state).where(_at(place)).with_for_update()).one()
        found[place] = None if stored.v == ABSENT else Stored(stored.value, stored.v)
    return found


def _apply(row: Finished, states: dict[Place, Stored | None]) -> Finished:
    """Put the changes into ``states``, or answer the row as it is settled without them."""
    wish, subscription_id = _wish(row), row.claimed.subscription_id
    fresh = 1 + (zlib.crc32(f"{row.claimed.id} {row.claimed.attempt}".encode()) >> 2)  # no version is ever used again
    mine: dict[Place, Stored | None] = {}
    for change in wish.changes:
        place = (subscription_id, change.key)
        try:
            mine[place] = apply(change, states[place], fresh)
        except StateChanged:
            return _undone(row, wish.if_changed, "StateChanged", f"state changed meanwhile: {change.key}")
        except ValueError as error:
            return _undone(row, wish.if_refused, "StateRefused", f"{change.key}: {error}")
    states.update(mine)
    return row


def _with_their_batch(asking: Sequence[Finished], settled: Mapping[str, Finished]) -> dict[str, Finished]:
    """One call, one outcome: where the changes of a batch cannot be made, none of it has succeeded."""
    undone = {row.claimed.batch_id: row for row in settled.values() if row.error_type is not None}
    mates = {
        row.claimed.id: undone.get(row.claimed.batch_id)
        for row in asking
        if row.claimed.batch_id is not None and settled[row.claimed.id].error_type is None
    }
    return {row.claimed.id: _undone_like(failed, row) for row in asking if (failed := mates.get(row.claimed.id))}


def _undone_like(failed: Finished, row: Finished) -> Finished:
    wish = _wish(row)
    settlement = wish.if_changed if failed.error_type == "StateChanged" else wish.if_refused
    return _undone(row, settlement, failed.error_type or "", failed.error_message or "")


def _undone(row: Finished, settlement: Settlement, error_type: str, message: str) -> Finished:
    return replace(row, settlement=settlement, error_type=error_type, error_message=message, result=None)


def _store(
    conn: Connection,
    before: Mapping[Place, Stored | None],
    after: Mapping[Place, Stored | None],
    now: datetime,
) -> None:
    for place, stored in after.items():
        if stored is None:  # deleted, or it was only a row to lock
            conn.execute(delete(handler_state).where(_at(place)))
        elif stored != before[place]:
            values = {"value": stored.value, "v": stored.v, "updated_at": now}
            conn.execute(update(handler_state).where(_at(place)).values(**values))


def _at(place: Place) -> Any:
    return (handler_state.c.subscription_id == place[0]) & (handler_state.c.key == place[1])
