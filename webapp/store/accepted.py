"""The deliveries of accepted events: written with the event, listed again when a duplicate arrives."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from webapp.store.bulk import Part, insert_parts
from webapp.store.counters import ADD, Key, count_rows
from webapp.store.engine import within
from webapp.store.tables import audit, counters, deliveries, event_faults, subscriptions


def insert_accepted(
    conn: Connection,
    new_deliveries: Sequence[dict[str, Any]],
    entries: Sequence[dict[str, Any]],
    counts: Counter[Key],
    faults: Sequence[dict[str, Any]] = (),
) -> None:
    """Insert what belongs to events just inserted: deliveries (all rows with the same keys), audit entries, counts."""
    parts = [Part(deliveries, new_deliveries), Part(audit, entries), Part(event_faults, faults)]
    parts.append(Part(counters, count_rows(counts), ADD))
    insert_parts(conn, parts)


def deliveries_of(conn: Connection, uids: Sequence[str]) -> dict[str, list[tuple[str, str, str, str, str | None]]]:
    """By event uid: (id, subscription id, subscription name, state, reason), oldest first."""
    found = (
        select(
            deliveries.c.event_uid,
            deliveries.c.id,
            deliveries.c.subscription_id,
            subscriptions.c.name,
            deliveries.c.state,
            deliveries.c.reason,
        )
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
        .where(within(conn, deliveries.c.event_uid, uids))
        .order_by(deliveries.c.id)
        .limit(10_000)
    )
    grouped: dict[str, list[tuple[str, str, str, str, str | None]]] = defaultdict(list)
    for uid, *listed in conn.execute(found):
        grouped[uid].append(tuple(listed))
    return grouped
