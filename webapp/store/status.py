"""The status of one event, and errors, in the shapes that the hub promises to programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from webapp.domain.instants import iso, iso_or_none
from webapp.domain.reasons import reason_in_words
from webapp.domain.retry import RetryPolicy
from webapp.store.events import get_event_row
from webapp.store.tables import attempts, deliveries, subscriptions

MAX_DELIVERIES = 1000
MAX_ERRORS = 100


def status_json(conn: Connection, key: str, now: datetime, source: str | None = None) -> dict[str, Any]:
    """``{"event_id", "status", "handlers": [...], "errors": [...], "timestamp"}`` of an event, by uid or id.

    ``handlers`` has one entry per delivery, oldest first; ``errors`` the newest failed attempts, each an
    error object as in ``error_json``. ``timestamp`` is the time of this answer.
    """
    event = get_event_row(conn, key, source)
    return {
        "event_id": event.id,
        "status": event.status,
        "handlers": _handlers(conn, event.uid),
        "errors": _errors(conn, event),
        "timestamp": iso(now),
    }


def error_json(event_id: str, attempt: Any) -> dict[str, Any]:
    """``{"error": {"event_id", "type", "message", "stack", "timestamp"}}`` of a failed attempt."""
    return {
        "error": {
            "event_id": event_id,
            "type": attempt.error_type,
            "message": attempt.error_message,
            "stack": attempt.stack,
            "timestamp": iso(attempt.finished_at),
        }
    }


def _handlers(conn: Connection, uid: str) -> list[dict[str, Any]]:
    found = (
        select(deliveries, subscriptions.c.name.label("subscription"), subscriptions.c.retry)
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
        .where(deliveries.c.event_uid == uid)
        .order_by(deliveries.c.id)
        .limit(MAX_DELIVERIES)
    )
    return [_handler(row) for row in conn.execute(found)]


def _handler(row: Row[Any]) -> dict[str, Any]:
    progress = {"done": row.progress_done, "total": row.progress_total, "message": row.progress_message}
    return {
        "delivery_id": row.id,
        "subscription_id": row.subscription_id,
        "subscription": row.subscription,
        "handler": row.handler,
        "state": row.state,
        "reason": row.reason,
        "explanation": reason_in_words(row.reason) or None,
        "superseded_by": row.superseded_by,
        "attempt": row.attempt,
        "max_attempts": RetryPolicy.from_json(row.retry).max_attempts,
        "due_at": iso(row.due_at) if row.state in ("pending", "waiting") else None,
        "started_at": iso_or_none(row.started_at),
        "finished_at": iso_or_none(row.finished_at),
        "progress": None if row.progress_done is None else progress,
    }


def _errors(conn: Connection, event: Row[Any]) -> list[dict[str, Any]]:
    found = (
        select(attempts)
        .where(attempts.c.event_uid == event.uid, attempts.c.error_type.is_not(None))
        .order_by(attempts.c.id.desc())
        .limit(MAX_ERRORS)
    )
    return [error_json(event.id, row) for row in conn.execute(found)]
