"""Inbound sources and the last requests of each: the newest ones are kept, older ones go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from webapp.domain.errors import NotFound
from webapp.store.paging import walk_by_name
from webapp.store.revisions import change
from webapp.store.tables_inbound import source_connections, source_requests, sources

KEPT_REQUESTS = 100
CONSUMED_AT_ONCE = 200  # sources that one consumer process holds connections for


@dataclass(slots=True)
class Traffic:
    """What came of the requests of one source that are still kept."""

    last_at: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)  # by verdict

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def get_source(conn: Connection, source_id: str) -> Row[Any]:
    """A source that is not deleted, or ``NotFound``."""
    found = select(sources).where(sources.c.id == source_id, sources.c.deleted_at.is_(None))
    row = conn.execute(found).one_or_none()
    if row is None:
        raise NotFound(f"There is no source {source_id[:80]!r}.")
    return row


def find_by_token(conn: Connection, token: str) -> Row[Any] | None:
    """The source with that address."""
    found = select(sources).where(sources.c.token == token, sources.c.deleted_at.is_(None))
    return conn.execute(found).one_or_none()


def list_sources(conn: Connection, after: str, limit: int) -> tuple[Sequence[Row[Any]], str | None]:
    """Those that are not deleted, by name, and the cursor of the next page."""
    query = select(sources).where(sources.c.deleted_at.is_(None))
    return walk_by_name(conn, query, sources, after, limit)


def list_consumed(conn: Connection, kinds: Collection[str]) -> Sequence[Row[Any]]:
    """Those of these kinds that are to be consumed now."""
    s = sources.c
    query = select(sources).where(s.kind.in_(kinds), s.deleted_at.is_(None), s.disabled_at.is_(None))
    return conn.execute(query.order_by(s.id).limit(CONSUMED_AT_ONCE)).all()


def add_source(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert."""
    conn.execute(sources.insert(), dict(row))


def change_source(conn: Connection, source_id: str, *, revision: int | None, at: datetime, **values: Any) -> None:
    """Compare-and-set on the revision (when one is given). Raises ``Conflict`` when somebody was faster."""
    change(conn, sources, source_id, noun="source", revision=revision, at=at, **values)


def keep_request(conn: Connection, row: Mapping[str, Any]) -> None:
    """Write a request down, and forget the oldest beyond the kept ones."""
    r = source_requests.c
    conn.execute(source_requests.insert(), dict(row))
    of_source = r.source_id == row["source_id"]
    newest = select(r.id).where(of_source).order_by(r.id.desc()).limit(KEPT_REQUESTS).subquery()
    oldest_kept = select(func.min(newest.c.id)).scalar_subquery()
    conn.execute(delete(source_requests).where(of_source, r.id < oldest_kept))


def forget_requests(conn: Connection, source_id: str) -> None:
    """All of a source, and what is said of its connections."""
    conn.execute(delete(source_connections).where(source_connections.c.source_id == source_id))
    conn.execute(delete(source_requests).where(source_requests.c.source_id == source_id))


def last_requests(conn: Connection, source_id: str, limit: int = KEPT_REQUESTS) -> Sequence[Row[Any]]:
    """Newest first."""
    r = source_requests.c
    return conn.execute(
        select(source_requests).where(r.source_id == source_id).order_by(r.id.desc()).limit(limit)
    ).all()


def get_request(conn: Connection, source_id: str, request_id: str) -> Row[Any]:
    """One that is still kept, or ``NotFound``."""
    r = source_requests.c
    row = conn.execute(select(source_requests).where(r.id == request_id, r.source_id == source_id)).one_or_none()
    if row is None:
        raise NotFound("This request is not kept any more: the newest hundred of a source are.")
    return row


def traffic_of(conn: Connection, source_ids: Collection[str]) -> dict[str, Traffic]:
    """Of each of these sources; at most a page of them, so at most a page times the kept requests are read."""
    r = source_requests.c
    found = select(r.source_id, r.verdict, func.count().label("n"), func.max(r.at).label("last"))
    rows = conn.execute(found.where(r.source_id.in_(source_ids)).group_by(r.source_id, r.verdict)).all()
    traffic = {source_id: Traffic() for source_id in source_ids}
    for row in rows:
        one = traffic[row.source_id]
        one.counts[row.verdict] = row.n
        one.last_at = max(one.last_at or row.last, row.last)
    return traffic
