"""The rows of an export, read in windows by the same searches as the pages show: newest first, by keyset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from webapp.domain.condition_text import parse_condition_text
from webapp.domain.ids import first_id_at
from webapp.domain.instants import parse_instant
from webapp.store import feed_audit, feed_deliveries, feed_events
from webapp.store.engine import within
from webapp.store.feed_audit import AuditFilter
from webapp.store.feed_deliveries import DeliveryFilter
from webapp.store.feed_events import EventFilter
from webapp.store.tables import events

PREFIXES = {"events": "evt", "deliveries": "dlv", "audit": "aud"}


class Window(NamedTuple):
    """Some rows, and the cursor of what follows (``None``: nothing does). An empty window may have more behind it."""

    rows: Sequence[Any]
    next: str | None


def start_of(what: str, asked_at: datetime) -> str:
    """The first cursor: what came after the export was asked for is not in it."""
    return first_id_at(PREFIXES[what], int(asked_at.timestamp() * 1000) + 1)


def look(conn: Connection, what: str, chosen: Mapping[str, str], now: datetime, before: str, limit: int) -> Window:
    """The next rows without what is large."""
    if what == "events":
        page = feed_events.list_events(conn, _of_events(chosen, now), before=before, limit=limit)
        return Window(page.rows, page.older)
    if what == "deliveries":
        since = _instant(chosen, "since")
        wanted = DeliveryFilter(chosen.get("state", ""), chosen.get("subscription", ""), since)
        found = feed_deliveries.list_deliveries(conn, wanted, before=before, limit=limit)
        return Window(found.rows, found.next)
    entries = feed_audit.search(conn, _of_audit(chosen), before=before, limit=limit)
    return Window(entries.rows, entries.next)


def read(conn: Connection, what: str, chosen: Mapping[str, str], now: datetime, before: str, limit: int) -> Window:
    """The next rows, whole."""
    window = look(conn, what, chosen, now, before, limit)
    if what != "events" or not window.rows:
        return window
    uids = [row.uid for row in window.rows]
    query = select(events).where(within(conn, events.c.uid, uids)).order_by(events.c.uid.desc())
    return Window(conn.execute(query).all(), window.next)


def _of_events(chosen: Mapping[str, str], now: datetime) -> EventFilter:
    condition = parse_condition_text(chosen["q"]) if "q" in chosen else None
    return EventFilter(
        pattern=chosen.get("type", ""),
        status=chosen.get("status", ""),
        source=chosen.get("source", ""),
        since=_instant(chosen, "since"),
        until=_instant(chosen, "until"),
        condition=condition,
        now=now,
    )


def _of_audit(chosen: Mapping[str, str]) -> AuditFilter:
    return AuditFilter(
        words=chosen.get("words", ""),
        actor=chosen.get("actor", ""),
        action=chosen.get("action", ""),
        target=chosen.get("target", ""),
        since=_instant(chosen, "since"),
        until=_instant(chosen, "until"),
    )


def _instant(chosen: Mapping[str, str], name: str) -> datetime | None:
    return parse_instant(chosen[name]) if name in chosen else None
