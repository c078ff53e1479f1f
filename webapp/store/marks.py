"""Marks that were told, and what changed in the hub itself (rules, pauses, breakers), out of the audit log: for the charts.

Both are bounded. Each action of the audit log is a short range of its index, however much the log holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, union_all

from webapp.domain.access import Actor
from webapp.domain.ids import first_id_at
from webapp.domain.marks import MarkDraft
from webapp.store.bulk import insert_rows
from webapp.store.counters import minute_of
from webapp.store.tables_hub import audit, marks

SHOWN = 60  # of each kind of change, and in all
KIND_OF_ACTION = {
    "subscription.created": "rule",
    "subscription.updated": "rule",
    "subscription.restored": "rule",
    "subscription.deleted": "rule",
    "subscription.paused": "pause",
    "subscription.resumed": "pause",
    "breaker.opened": "breaker",
}


@dataclass(frozen=True, slots=True)
class Change:
    """Something that may explain a curve. ``action`` is that of the audit log, or ``mark``."""

    id: str
    at: datetime
    kind: str  # deploy rule pause breaker
    action: str
    title: str  # of a mark, else the name of the subscription
    who: str
    target_id: str = ""


def add_mark(conn: Connection, id: str, draft: MarkDraft, actor: Actor) -> tuple[str, bool]:
    """Keep a mark unless that minute has one of this title; answers the id of the one that is kept, and whether it is new."""
    minute = minute_of(draft.at)
    row = {
        "id": id, "at": draft.at, "minute": minute, "title": draft.title,
        "actor_kind": actor.kind, "actor_name": actor.name,
    }  # fmt: skip
    insert_rows(conn, marks, [row], "ON CONFLICT (minute, title) DO NOTHING")
    same = select(marks.c.id).where(marks.c.minute == minute, marks.c.title == draft.title)
    kept = conn.execute(same).scalar_one()
    return kept, kept == id


def drop_marks(conn: Connection, before: datetime) -> None:
    """Marks older than that."""
    conn.execute(delete(marks).where(marks.c.minute < minute_of(before)))


def changes_since(conn: Connection, since: datetime, limit: int = SHOWN) -> tuple[Change, ...]:
    """The newest changes from then on, oldest first."""
    found = [*_marks(conn, since, limit), *_audited(conn, since, limit)]
    return tuple(sorted(found, key=lambda one: (one.at, one.id))[-limit:])


def _marks(conn: Connection, since: datetime, limit: int) -> list[Change]:
    m = marks.c
    query = select(marks).where(m.minute >= minute_of(since)).order_by(m.minute.desc()).limit(limit)
    return [Change(row.id, row.at, "deploy", "mark", row.title, row.actor_name) for row in conn.execute(query)]


def _audited(conn: Connection, since: datetime, limit: int) -> list[Change]:
    a, first = audit.c, first_id_at("aud", int(since.timestamp() * 1000))
    parts = [
        select(select(a.id).where(a.action == action, a.id >= first).order_by(a.id.desc()).limit(limit).subquery())
        for action in KIND_OF_ACTION
    ]
    ids = union_all(*parts).subquery()
    columns = (a.id, a.at, a.action, a.actor_name, a.target_id, a.target_name)
    query = select(*columns).join(ids, ids.c.id == a.id).order_by(a.id.desc()).limit(limit)
    return [
        Change(row.id, row.at, KIND_OF_ACTION[row.action], row.action, row.target_name, row.actor_name, row.target_id)
        for row in conn.execute(query)
    ]
