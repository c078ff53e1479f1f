"""Read models of what needs action: grouped by what went wrong where, and the deliveries of one group.

The fingerprint of a message is worked out here, not stored: so only a window of the newest is looked through
(``WINDOW``), and an older window follows by keyset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from webapp.domain.fingerprint import MESSAGE_CHARS, fingerprint
from webapp.store import needs
from webapp.store import tables as t
from webapp.store.engine import within
from webapp.store.feed_deliveries import DeliveryRow, rows_by_id
from webapp.store.paging import LIMIT, Page

WINDOW = 2_000
GROUPS = 100


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Names a group: a subscription and the fingerprint of what went wrong."""

    subscription_id: str
    fingerprint: str

    @classmethod
    def parse(cls, text: str) -> GroupKey | None:
        """``sub_….0123456789ab``, or None."""
        subscription_id, point, mark = text[:64].partition(".")
        return cls(subscription_id, mark) if subscription_id and point and mark else None

    def __str__(self) -> str:
        return f"{self.subscription_id}.{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class NeedGroup:
    """Deliveries that died of the same at one subscription."""

    key: GroupKey
    subscription_id: str
    subscription_name: str
    subscription_deleted: bool
    reason: str  # of the newest, as are the error's type and message
    error_type: str
    message: str
    count: int
    first_at: datetime
    last_at: datetime
    newest_id: str


@dataclass(frozen=True, slots=True)
class NeedsFilter:
    """What to look at; empty text and ``None`` mean: any."""

    subscription_id: str = ""
    since: datetime | None = None


def list_groups(
    conn: Connection, wanted: NeedsFilter | None = None, *, before: str = "", window: int = WINDOW, limit: int = GROUPS
) -> Page[NeedGroup]:
    """Groups in the newest window, the one that grew last first; ``next`` leads to the window that follows."""
    bounds = _bounds(wanted or NeedsFilter()) | {"before": before}
    found: dict[GroupKey, list[Row[Any]]] = {}
    for key, row in _keyed(conn, window, bounds):
        found.setdefault(key, []).append(row)
    names = _names(conn, {key.subscription_id for key in found})
    groups = tuple(_group(key, rows, names) for key, rows in list(found.items())[:limit])
    seen = needs.newest_dead(conn, window, **bounds).subquery()
    count, last = conn.execute(select(func.count(), func.min(seen.c.id))).one()
    return Page(groups, last if count == window else None, scanned_out=len(found) > limit)


def list_group(conn: Connection, key: GroupKey, *, before: str = "", limit: int = LIMIT) -> Page[DeliveryRow]:
    """The deliveries of one group, newest first."""
    ids = ids_of_group(conn, key, limit + 1, before=before)
    rows = rows_by_id(conn, ids[:limit])
    return Page(rows, ids[limit - 1] if len(ids) > limit else None)


def find_group(conn: Connection, key: GroupKey) -> NeedGroup | None:
    """One group as it is now, or None when none of it needs action any more."""
    rows = [row for mark, row in _keyed(conn, WINDOW, {"subscription_id": key.subscription_id}) if mark == key]
    return _group(key, rows, _names(conn, {key.subscription_id})) if rows else None


def ids_of_group(conn: Connection, key: GroupKey, limit: int, *, before: str = "") -> list[str]:
    """The newest deliveries of a group in the window."""
    bounds = {"subscription_id": key.subscription_id, "before": before}
    return [row.id for mark, row in _keyed(conn, WINDOW, bounds) if mark == key][:limit]


def _bounds(wanted: NeedsFilter) -> dict[str, Any]:
    return {"subscription_id": wanted.subscription_id, "since": wanted.since}


def _keyed(conn: Connection, window: int, bounds: dict[str, Any]) -> Iterator[tuple[GroupKey, Row[Any]]]:
    d = t.deliveries.c
    query = needs.newest_needing(conn, window, **bounds).add_columns(
        d.subscription_id,
        d.reason,
        d.error_type,
        func.substr(d.error_message, 1, MESSAGE_CHARS).label("message"),
        func.coalesce(d.finished_at, d.created_at).label("at"),
    )
    for row in conn.execute(query):
        yield GroupKey(row.subscription_id, fingerprint(row.error_type or row.reason or "", row.message or "")), row


def _group(key: GroupKey, rows: Sequence[Row[Any]], names: dict[str, tuple[str, bool]]) -> NeedGroup:
    newest = rows[0]
    name, is_deleted = names[key.subscription_id]
    return NeedGroup(
        key=key,
        subscription_id=key.subscription_id,
        subscription_name=name,
        subscription_deleted=is_deleted,
        reason=newest.reason or "",
        error_type=newest.error_type or "",
        message=newest.message or "",
        count=len(rows),
        first_at=min(row.at for row in rows),
        last_at=max(row.at for row in rows),
        newest_id=newest.id,
    )


def _names(conn: Connection, ids: set[str]) -> dict[str, tuple[str, bool]]:
    s = t.subscriptions.c
    if not ids:
        return {}
    found = conn.execute(select(s.id, s.name, s.deleted_at).where(within(conn, s.id, list(ids))))
    return {row.id: (row.name, row.deleted_at is not None) for row in found}
