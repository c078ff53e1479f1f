"""Dropping what is outdated. Never a delivery or an event that has not ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_

from webapp.store.counters import minute_of
from webapp.store.idempotency import drop_expired as drop_expired_answers
from webapp.store.intake import drop_outdated_quotas
from webapp.store.tables import counters, one_time_links, sessions, workers

COUNTERS_KEPT = timedelta(days=8)


def drop_outdated(conn: Connection, now: datetime) -> None:
    """Ended sessions, links that ran out, counters older than eight days, quotas and kept answers whose time is over."""
    conn.execute(delete(sessions).where(sessions.c.expires_at < now))
    conn.execute(
        delete(one_time_links).where(
            or_(one_time_links.c.expires_at < now, one_time_links.c.used_at < now - timedelta(days=1))
        )
    )
    conn.execute(delete(counters).where(counters.c.minute < minute_of(now - COUNTERS_KEPT)))
    drop_outdated_quotas(conn, now)
    drop_expired_answers(conn, now)


def drop_silent_workers(conn: Connection, before: datetime) -> list[str]:
    """Workers that sent no heartbeat since; answers their names. A clean stop removes its row itself."""
    gone = delete(workers).where(workers.c.seen_at < before).returning(workers.c.name)
    return list(conn.execute(gone).scalars())
