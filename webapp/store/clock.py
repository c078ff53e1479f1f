"""Instants that lie in the future because the clock was set back. Moved to now, or they would be waited for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, update

from webapp.store.deliveries import IS_RUNNING
from webapp.store.tables import deliveries


def clamp_leases(conn: Connection, until: datetime) -> int:
    """No lease lasts longer than one that is renewed now; the living renew theirs. Answers how many were cut."""
    long = update(deliveries).where(IS_RUNNING, deliveries.c.lease_until > until)
    return conn.execute(long.values(lease_until=until)).rowcount


def make_due(conn: Connection, now: datetime) -> int:
    """What came in "later than now" is due now. What waits for a time of day or after a failure keeps its time."""
    early = update(deliveries).where(
        deliveries.c.state == "pending", deliveries.c.created_at > now, deliveries.c.due_at > now
    )
    return conn.execute(early.values(due_at=now)).rowcount
