"""Read model of what else belongs to the story of an event: what people did to it, and whom the hub told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from webapp.domain.ids import first_id_at
from webapp.domain.notices import hub_path
from webapp.store import tables as t
from webapp.store.engine import within
from webapp.store.paging import SCAN

TOLD = 20  # of each kind
BIRTH = ("event.published", "event.rejected")  # the event itself says so


@dataclass(frozen=True, slots=True)
class Happening:
    """One moment of the story. ``link`` is a path of the hub, or ""."""

    kind: str  # "action", "notice", "child"
    at: datetime
    name: str
    who: str
    link: str
    tone: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request was checked against and where it came in."""

    schema_version: int | None
    previous_uid: str | None  # the event of the same type and source before it


def actions_on(conn: Connection, uid: str, delivery_ids: Sequence[str]) -> tuple[Happening, ...]:
    """What people did to the event or to one of these deliveries, oldest first; the newest where there are many."""
    a = t.audit.c
    newest = select(a.at, a.action, a.actor_name, a.target_id, a.id)
    newest = newest.where(within(conn, a.target_id, [uid, *delivery_ids])).order_by(a.id.desc()).limit(TOLD)
    rows = [row for row in conn.execute(newest) if row.action not in BIRTH]
    return tuple(
        Happening("action", row.at, row.action, row.actor_name, f"/audit?target={row.target_id}", "info")
        for row in reversed(rows)
    )


def notices_of(conn: Connection, uid: str, since: datetime) -> tuple[Happening, ...]:
    """Notifications that name the event, of the first ``SCAN`` that were raised after it came, oldest first."""
    n = t.notifications.c
    first = first_id_at("ntf", int(since.timestamp() * 1000))
    window = select(n.id, n.event_uid).where(n.id >= first).order_by(n.id).limit(SCAN).subquery()
    chosen = select(window.c.id).where(window.c.event_uid == uid)
    query: Any = select(n.at, n.title, n.severity, n.link).where(n.id.in_(chosen)).order_by(n.id).limit(TOLD)
    return tuple(
        Happening("notice", row.at, row.title, "", hub_path(row.link) or "", row.severity)
        for row in conn.execute(query)
    )


def origin_of(conn: Connection, uid: str, event_type: str, version: int, source: str, at: datetime) -> Origin:
    """The schema that was there when an event came, and the one before it, out of the last ``SCAN`` of its type."""
    v, e = t.event_type_versions.c, t.events.c
    known = select(v.version).where(v.type == event_type, v.version == version, v.created_at <= at)
    window = select(e.uid, e.source).where(e.type == event_type, e.uid < uid).order_by(e.uid.desc()).limit(SCAN)
    before = window.subquery()
    query = select(before.c.uid).where(before.c.source == source).order_by(before.c.uid.desc()).limit(1)
    return Origin(conn.execute(known).scalar(), conn.execute(query).scalar())
