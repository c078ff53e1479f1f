"""The search of the audit log: by words, actor, action, target and time; newest first, by keyset.

Words and names are looked for in a bounded window of the rows that the indexed filters leave; the page says
where it stopped and goes on from there. Nothing here writes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, func, or_, select

from webapp.domain.ids import first_id_at
from webapp.store import tables as t
from webapp.store.audit import Target
from webapp.store.paging import LIMIT, SCAN, Page, escape_like

WORDS = 8  # at most so many are looked for
ACTIONS_FROM = 5_000
ID = re.compile(r"[a-z]{3}_[0-9a-z]{26}")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; empty text and ``None`` mean: any."""

    words: str = ""
    actor: str = ""  # id or name
    action: str = ""  # exact, or a prefix that ends in "."
    target: str = ""  # id or name
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that somebody did."""

    id: str
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    action: str
    target_kind: str
    target_id: str
    target_name: str
    request_id: str
    ip: str
    details: dict[str, Any]

    @property
    def details_text(self) -> str:
        """The details as JSON text."""
        return json.dumps(self.details, ensure_ascii=False)

    @property
    def brief(self) -> tuple[tuple[str, str], ...]:
        """The details in a line: what is short, without what the entry says already; of a change, what changed."""
        said = {None, "", self.target_name, self.target_id}
        pairs = [(key, value) for key, value in self.details.items() if isinstance(value, str | int | float)]
        changes = self.details.get("changes")
        named = [("changed", ", ".join(changes))] if isinstance(changes, dict) and changes else []
        return tuple((key, str(value)) for key, value in [*named, *pairs] if value not in said)


def search(conn: Connection, wanted: AuditFilter, *, before: str = "", limit: int = LIMIT) -> Page[AuditRow]:
    """Entries older than the cursor that fit, newest first, out of the next ``SCAN`` candidates."""
    a, looked_for = t.audit.c, _looked_for(wanted)
    candidates = _candidates(wanted, before, SCAN if looked_for else limit + 1)
    query = select(t.audit).join(candidates, candidates.c.id == a.id).where(*looked_for)
    rows = conn.execute(query.order_by(a.id.desc()).limit(limit + 1)).all()
    shown = tuple(_entry(row) for row in rows[:limit])
    if len(rows) > limit:
        return Page(shown, shown[-1].id)
    if not looked_for:
        return Page(shown)
    seen, last = conn.execute(select(func.count(), func.min(candidates.c.id))).one()
    return Page(shown, last if seen == SCAN else None, scanned_out=seen == SCAN)


def newest_entry(conn: Connection, target: Target) -> str:
    """The id of the newest entry about this thing; "" when there is none."""
    a = t.audit.c
    query = select(a.id).where(a.target_id == target.id, a.target_kind == target.kind)
    return conn.execute(query.order_by(a.id.desc()).limit(1)).scalar_one_or_none() or ""


def entries_since(conn: Connection, target: Target, entry: str | None, limit: int = 5) -> tuple[AuditRow, ...]:
    """What was done to this thing after that entry, newest first; without an entry only the newest."""
    a = t.audit.c
    query = select(t.audit).where(a.target_id == target.id, a.target_kind == target.kind, a.id > (entry or ""))
    rows = conn.execute(query.order_by(a.id.desc()).limit(1 if entry is None else limit)).all()
    return tuple(_entry(row) for row in rows)


def known_actions(conn: Connection) -> tuple[str, ...]:
    """The actions among the newest entries, for the suggestions of the filter."""
    newest = select(t.audit.c.action).order_by(t.audit.c.id.desc()).limit(ACTIONS_FROM).subquery()
    return tuple(conn.execute(select(newest.c.action).distinct().order_by(newest.c.action)).scalars())


def _looked_for(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """What no index finds: words, and people and things by name."""
    a = t.audit.c
    words = wanted.words.lower().split()[:WORDS]
    found: list[ColumnElement[bool]] = [a.words.like(f"%{escape_like(word)}%", escape="\\") for word in words]
    for text, key, name in ((wanted.actor, a.actor_id, a.actor_name), (wanted.target, a.target_id, a.target_name)):
        if text and not ID.fullmatch(text):
            found.append(or_(key == text, func.lower(name) == text.lower()))
    return found


def _candidates(wanted: AuditFilter, before: str, size: int) -> Subquery:
    """The newest entries by what the indexes know: exact ids, the action, the time."""
    a = t.audit.c
    query: Select[Any] = select(a.id)
    if ID.fullmatch(wanted.actor):
        query = query.where(a.actor_id == wanted.actor)
    if ID.fullmatch(wanted.target):
        query = query.where(a.target_id == wanted.target)
    if wanted.action.endswith("."):
        query = query.where(a.action >= wanted.action, a.action < wanted.action[:-1] + "/")
    elif wanted.action:
        query = query.where(a.action == wanted.action)
    if wanted.since is not None:
        query = query.where(a.id >= first_id_at("aud", int(wanted.since.timestamp() * 1000)))
    if wanted.until is not None:
        query = query.where(a.id < first_id_at("aud", int(wanted.until.timestamp() * 1000)))
    if before:
        query = query.where(a.id < before)
    return query.order_by(a.id.desc()).limit(size).subquery()


def _entry(row: Row[Any]) -> AuditRow:
    return AuditRow(
        id=row.id,
        at=row.at,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        action=row.action,
        target_kind=row.target_kind,
        target_id=row.target_id,
        target_name=row.target_name,
        request_id=row.request_id,
        ip=row.ip,
        details=row.details or {},
    )
