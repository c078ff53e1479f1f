"""The catalog of event types and their versions. What judges events comes from here at every change of the routes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from webapp.domain.errors import Conflict, NotFound
from webapp.store.engine import within
from webapp.store.paging import escape_like
from webapp.store.tables import event_type_versions, event_types

Version = tuple[str, int]  # type, number
_CHUNK = 200  # of versions whose schemas are read at once


def judging_types(conn: Connection) -> list[Row[Any]]:
    """The declared types that somebody wants events to be judged by, or that are deprecated."""
    t = event_types.c
    query = select(t.name, t.validation, t.deprecated_at, t.deprecation)
    matters = or_(t.validation != "off", t.deprecated_at.is_not(None))
    return list(conn.execute(query.where(t.deleted_at.is_(None), t.state == "declared", matters)))


def judging_versions(conn: Connection) -> list[Version]:
    """Every version of the declared types that events are judged by."""
    t, v = event_types.c, event_type_versions.c
    query = select(v.type, v.version).join(event_types, t.name == v.type)
    query = query.where(t.deleted_at.is_(None), t.state == "declared", t.validation != "off")
    return [(row.type, row.version) for row in conn.execute(query)]


def schemas_of(conn: Connection, versions: Collection[Version]) -> Mapping[Version, str]:
    """The texts of their schemas, which never change."""
    v, wanted, found = event_type_versions.c, sorted(versions), {}
    for start in range(0, len(wanted), _CHUNK):
        some = tuple_(v.type, v.version).in_(wanted[start : start + _CHUNK])
        rows = conn.execute(select(v.type, v.version, v.schema).where(some))
        found.update({(row.type, row.version): row.schema for row in rows})
    return found


def get_type(conn: Connection, name: str) -> Row[Any]:
    """A type that is not deleted, or ``NotFound``."""
    row = find_type(conn, name)
    if row is None or row.deleted_at is not None:
        raise NotFound(f"The catalog has no event type {name[:80]!r}.")
    return row


def find_type(conn: Connection, name: str) -> Row[Any] | None:
    """A type, deleted or not."""
    return conn.execute(select(event_types).where(event_types.c.name == name)).one_or_none()


def add_type(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert. Raises ``Conflict`` when somebody was faster."""
    try:
        with conn.begin_nested():
            conn.execute(event_types.insert(), dict(row))
    except IntegrityError:
        raise Conflict("This event type was added meanwhile.") from None


def change_type(conn: Connection, name: str, *, revision: int | None, at: datetime, **values: Any) -> None:
    """Compare-and-set on the revision (when one is given), deleted or not. Raises ``Conflict``."""
    t = event_types.c
    where = [t.name == name] + ([] if revision is None else [t.revision == revision])
    changed = conn.execute(update(event_types).where(*where).values(revision=t.revision + 1, updated_at=at, **values))
    if changed.rowcount != 1:
        raise Conflict("This event type was changed meanwhile; look at it again before you save.")


def add_version(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert. Its type was changed in the same transaction, so nobody else adds the same number."""
    conn.execute(event_type_versions.insert(), dict(row))


def latest_version(conn: Connection, name: str) -> Row[Any] | None:
    """The version with the highest number."""
    v = event_type_versions.c
    query = select(event_type_versions).where(v.type == name).order_by(v.version.desc()).limit(1)
    return conn.execute(query).one_or_none()


def list_versions(conn: Connection, name: str, limit: int = 200) -> list[Row[Any]]:
    """The versions of a type, newest first."""
    v = event_type_versions.c
    query = select(event_type_versions).where(v.type == name).order_by(v.version.desc()).limit(limit)
    return list(conn.execute(query))


def latest_numbers(conn: Connection, names: Collection[str]) -> dict[str, int]:
    """The highest version of each of these types that has one."""
    v = event_type_versions.c
    query = select(v.type, func.max(v.version).label("n")).where(within(conn, v.type, sorted(names))).group_by(v.type)
    return {row.type: row.n for row in conn.execute(query)}


def known_names(conn: Connection, names: Collection[str]) -> dict[str, Row[Any]]:
    """The rows of those of these types that the catalog has, deleted ones too."""
    t = event_types.c
    rows = conn.execute(select(event_types).where(within(conn, t.name, sorted(names)))).all()
    return {row.name: row for row in rows}


def count_types(conn: Connection) -> int:
    """How many there are, deleted ones too."""
    return conn.execute(select(func.count()).select_from(event_types)).scalar_one()


def declared_types(conn: Connection, limit: int = 5_000) -> list[Row[Any]]:
    """Every declared type, by name."""
    t = event_types.c
    query = select(event_types).where(t.deleted_at.is_(None), t.state == "declared")
    return list(conn.execute(query.order_by(t.name).limit(limit)))


def all_versions(conn: Connection, limit: int = 5_000) -> list[Row[Any]]:
    """The versions of every declared type."""
    t, v = event_types.c, event_type_versions.c
    query = select(event_type_versions).join(event_types, t.name == v.type)
    query = query.where(t.deleted_at.is_(None), t.state == "declared")
    return list(conn.execute(query.order_by(v.type, v.version).limit(limit)))


def list_types(
    conn: Connection, *, words: str = "", state: str = "", after: str = "", limit: int = 50
) -> tuple[list[Row[Any]], str | None]:
    """Types by name, and the name that the next page begins behind."""
    t = event_types.c
    query = select(event_types).where(t.deleted_at.is_(None), t.name > after)
    for word in words.lower().split()[:8]:
        like = f"%{escape_like(word)}%"
        fields = (t.name, t.owner, t.description)
        query = query.where(or_(*(func.lower(one).like(like, escape="\\") for one in fields)))
    if state == "deprecated":
        query = query.where(t.deprecated_at.is_not(None))
    elif state:
        query = query.where(t.state == state)
    rows = list(conn.execute(query.order_by(t.name).limit(limit + 1)))
    return rows[:limit], rows[limit - 1].name if len(rows) > limit else None


def deprecation_of(conn: Connection, name: str) -> str | None:
    """What to use instead of a deprecated type (may be empty); None when it is not deprecated."""
    t = event_types.c
    here = (t.name == name, t.deleted_at.is_(None), t.deprecated_at.is_not(None))
    return conn.execute(select(func.coalesce(t.deprecation, "")).where(*here)).scalar_one_or_none()
