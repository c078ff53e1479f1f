"""Rows with sensible defaults; name only what the test is about. They write through the tables, not through services.

Each takes the runtime first and gives back the id of what it made.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, update

from webapp.runtime import Runtime
from webapp.store import tables


def make_subscription(rt: Runtime, **fields: Any) -> str:
    """An active subscription of everything to the handler ``log``; gives its id."""
    now = rt.clock()
    row: dict[str, Any] = {
        "id": rt.new_id("sub"),
        "name": "Everything",
        "pattern": "*",
        "condition": None,
        "handler": "log",
        "options": {},
        "retry": {},
        "timeout_ms": 30_000,
        "created_at": now,
        "updated_at": now,
    } | fields
    row["retry"] = row["retry"] or _default_policy()
    with rt.db.write() as conn:
        conn.execute(insert(tables.subscriptions), row)
    return str(row["id"])


def _default_policy() -> Any:
    from webapp.domain.retry import RetryPolicy

    return RetryPolicy().to_json()


def make_event(rt: Runtime, **fields: Any) -> str:
    """A stored event without deliveries; gives its uid. ``payload`` is the document, not its text."""
    now = rt.clock()
    uid = fields.pop("uid", None) or rt.new_id("evt")
    row: dict[str, Any] = {
        "uid": uid,
        "id": uid,
        "source": "tests",
        "type": "order.created",
        "version": 1,
        "timestamp": now,
        "received_at": now,
        "payload": {"amount": 12},
        "labels": {},
        "received_by": "system:system",
    } | fields
    row["payload"] = json.dumps(row["payload"], ensure_ascii=False)
    with rt.db.write() as conn:
        conn.execute(insert(tables.events), row)
    return str(uid)


def make_delivery(rt: Runtime, event_uid: str | None = None, subscription_id: str | None = None, **fields: Any) -> str:
    """A pending delivery that is due now, its event counting it; gives its id. Event and subscription are made if left out."""
    now = rt.clock()
    event_uid = event_uid or make_event(rt)
    subscription_id = subscription_id or make_subscription(rt, handler=fields.get("handler", "log"))
    row: dict[str, Any] = {
        "id": rt.new_id("dlv"),
        "event_uid": event_uid,
        "subscription_id": subscription_id,
        "handler": "log",
        "lane": "default",
        "state": "pending",
        "due_at": now,
        "created_at": now,
    } | fields
    events = tables.events
    open_ = row["state"] in {"pending", "running", "waiting", "held"}
    counts = {"open": int(open_), "succeeded": int(row["state"] == "succeeded")}
    counts["failed"] = int(row["state"] in {"dead", "cancelled"})
    with rt.db.write() as conn:
        conn.execute(insert(tables.deliveries), row)
        grown = {name: events.c[name] + by for name, by in counts.items()} | {"total": events.c.total + 1}
        conn.execute(update(events).where(events.c.uid == event_uid).values(**grown))
    return str(row["id"])


def make_attempt(rt: Runtime, delivery_id: str, **fields: Any) -> str:
    """A failed first attempt of a delivery; gives its id."""
    delivery = row_of(rt, tables.deliveries, delivery_id)
    now = rt.clock()
    row: dict[str, Any] = {
        "id": rt.new_id("att"),
        "delivery_id": delivery_id,
        "n": 1,
        "event_uid": delivery.event_uid,
        "subscription_id": delivery.subscription_id,
        "worker": "worker-1",
        "due_at": now,
        "started_at": now,
        "finished_at": now + timedelta(milliseconds=5),
        "outcome": "failed",
        "error_type": "ValueError",
        "error_message": "no such order",
        "stack": "Traceback (most recent call last):\nValueError: no such order\n",
    } | fields
    with rt.db.write() as conn:
        conn.execute(insert(tables.attempts), row)
    return str(row["id"])


def row_of(rt: Runtime, table: Any, key: str) -> Any:
    """The one row with that primary key, as it is now."""
    with rt.db.read() as conn:
        return conn.execute(select(table).where(next(iter(table.primary_key)) == key)).one()


def rows_of(rt: Runtime, table: Any) -> list[Any]:
    """Every row, in order of the primary key."""
    with rt.db.read() as conn:
        return list(conn.execute(select(table).order_by(next(iter(table.primary_key)))))
