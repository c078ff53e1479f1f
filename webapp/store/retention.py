"""Dropping what is outdated. Never a delivery or an event that has not ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select

from webapp.store import transfers
from webapp.store.counters import minute_of
from webapp.store.idempotency import drop_expired as drop_expired_answers
from webapp.store.intake import drop_outdated_quotas
from webapp.store.marks import drop_marks
from webapp.store.notifications import drop_old_notifications
from webapp.store.tables import bulk_errors, bulk_operations, counters, one_time_links, sessions, workers

COUNTERS_KEPT = timedelta(days=8)
LINKS_KEPT = timedelta(days=7)  # so long a link that is worth nothing can say why
OPERATIONS_KEPT = timedelta(days=90)  # after they ended; what they did stays in the audit log
OPERATIONS_AT_ONCE = 50


def drop_outdated(conn: Connection, now: datetime) -> None:
    """Ended sessions, links that ended a week ago, counters and marks older than eight days, quotas and kept answers whose time is over."""
    conn.execute(delete(sessions).where(sessions.c.expires_at < now))
    conn.execute(
        delete(one_time_links).where(
            or_(one_time_links.c.expires_at < now - LINKS_KEPT, one_time_links.c.used_at < now - LINKS_KEPT)
        )
    )
    conn.execute(delete(counters).where(counters.c.minute < minute_of(now - COUNTERS_KEPT)))
    drop_marks(conn, now - COUNTERS_KEPT)
    drop_outdated_quotas(conn, now)
    drop_expired_answers(conn, now)
    drop_bulk_operations(conn, now - OPERATIONS_KEPT)
    drop_old_notifications(conn, now)
    transfers.prune(conn, now)


def drop_bulk_operations(conn: Connection, before: datetime, limit: int = OPERATIONS_AT_ONCE) -> list[str]:
    """Bulk operations that ended before then, with what they noted, the oldest first; answers their ids."""
    b = bulk_operations.c
    ended = select(b.id).where(b.finished_at < before).order_by(b.id).limit(limit)
    gone = list(conn.execute(ended).scalars())
    if gone:
        conn.execute(delete(bulk_errors).where(bulk_errors.c.operation_id.in_(gone)))
        conn.execute(delete(bulk_operations).where(b.id.in_(gone), b.finished_at < before))
    return gone


def drop_silent_workers(conn: Connection, before: datetime) -> list[str]:
    """Workers that sent no heartbeat since; answers their names. A clean stop removes its row itself."""
    gone = delete(workers).where(workers.c.seen_at < before).returning(workers.c.name)
    return list(conn.execute(gone).scalars())
