"""Read model of what else belongs to the story of an event: what people did to it, and whom the hub told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from webapp.domain.ids import first_id_at
from webapp.domain.notices import hub_path
from webapp.store import tables as t
from webapp.store.engine import within
from webapp.store.paging import SCAN

TOLD = 20  # of each kind
VERSIONS_READ = 100  # deliveries of an event
REQUEST_TAKES = timedelta(minutes=2)  # from its first byte to its event, at most
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


def notices_of(conn: Connection, uid: str) -> tuple[Happening, ...]:
    """The first notifications that name the event, oldest first."""
    n = t.notifications.c
    query = select(n.at, n.title, n.severity, n.link).where(n.event_uid == uid).order_by(n.id).limit(TOLD)
    return tuple(
        Happening("notice", row.at, row.title, "", hub_path(row.link) or "", row.severity)
        for row in conn.execute(query)
    )


def schema_of(conn: Connection, event_type: str, version: int, at: datetime) -> int | None:
    """The version of the schema that was there when an event came."""
    v = t.event_type_versions.c
    known = select(v.version).where(v.type == event_type, v.version == version, v.created_at <= at)
    return conn.execute(known).scalar()


def previous_of(conn: Connection, uid: str, event_type: str, source: str) -> str | None:
    """The event of the same type and source before it, out of the last ``SCAN`` of its type."""
    e = t.events.c
    window = select(e.uid, e.source).where(e.type == event_type, e.uid < uid).order_by(e.uid.desc()).limit(SCAN)
    before = window.subquery()
    query = select(before.c.uid).where(before.c.source == source).order_by(before.c.uid.desc()).limit(1)
    return conn.execute(query).scalar()


def request_of(conn: Connection, source_id: str, uid: str, at: datetime) -> str | None:
    """The request that brought an event: the first that names it. Later ones brought it again."""
    r = t.source_requests.c
    begun = first_id_at("req", int((at - REQUEST_TAKES).timestamp() * 1000))
    window = select(r.id, r.event_uid).where(r.source_id == source_id, r.id >= begun).order_by(r.id).limit(SCAN)
    near = window.subquery()
    return conn.execute(select(near.c.id).where(near.c.event_uid == uid).order_by(near.c.id).limit(1)).scalar()


def versions_run(conn: Connection, event_uid: str) -> dict[str, int]:
    """By delivery of an event: the version of its subscription that was in force when its last try began."""
    d, v = t.deliveries.c, t.subscription_versions.c
    then = select(v.revision).where(v.subscription_id == d.subscription_id, v.at <= d.started_at)
    newest = then.order_by(v.revision.desc()).limit(1).scalar_subquery()
    began = select(d.id, newest.label("revision")).where(d.event_uid == event_uid, d.started_at.is_not(None))
    rows = conn.execute(began.order_by(d.id).limit(VERSIONS_READ))
    return {row.id: row.revision for row in rows if row.revision is not None}
