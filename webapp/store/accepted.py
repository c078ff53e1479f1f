"""The deliveries of accepted events: written with the event, listed again when a duplicate arrives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from webapp.store.bulk import insert_rows
from webapp.store.engine import within
from webapp.store.tables import deliveries, subscriptions


def insert_deliveries(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert new deliveries; all rows have the same keys."""
    insert_rows(conn, deliveries, rows)


def deliveries_of(conn: Connection, uids: Sequence[str]) -> dict[str, list[tuple[str, str, str, str]]]:
    """By event uid: (id, subscription id, subscription name, state), oldest first."""
    found = (
        select(
            deliveries.c.event_uid,
            deliveries.c.id,
            deliveries.c.subscription_id,
            subscriptions.c.name,
            deliveries.c.state,
        )
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
        .where(within(conn, deliveries.c.event_uid, uids))
        .order_by(deliveries.c.id)
        .limit(10_000)
    )
    grouped: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
    for uid, delivery_id, subscription_id, name, state in conn.execute(found):
        grouped[uid].append((delivery_id, subscription_id, name, state))
    return grouped
