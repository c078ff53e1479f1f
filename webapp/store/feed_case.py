"""Read model of a delivery as a test: its event, and what its handler was called with."""

from __future__ import annotations

from sqlalchemy import Connection, select

from webapp.domain.pytest_file import Case
from webapp.domain.sensitive import masked
from webapp.store import tables as t
from webapp.store.events import to_event


def find_case(conn: Connection, delivery_id: str) -> Case | None:
    """What a test of this delivery needs; options as they are today, what is sensitive in them hidden."""
    d, s = t.deliveries.c, t.subscriptions.c
    joined = t.deliveries.join(t.subscriptions, s.id == d.subscription_id)
    columns = (d.id, d.event_uid, d.handler, d.attempt, d.error_type, d.error_message, s.options, s.transform)
    row = conn.execute(select(*columns).select_from(joined).where(d.id == delivery_id)).one_or_none()
    if row is None:
        return None
    event = conn.execute(select(t.events).where(t.events.c.uid == row.event_uid)).one()
    schema = conn.execute(select(t.handlers.c.options_schema).where(t.handlers.c.name == row.handler)).scalar()
    return Case(
        delivery_id=row.id,
        handler=row.handler,
        event=to_event(event),
        options=masked(row.options, schema),
        transform=row.transform,
        attempt=max(1, row.attempt),
        error=f"{row.error_type}: {row.error_message or ''}" if row.error_type else "",
    )
