"""The catalog of event types and their versions. What judges events comes from here at every change of the routes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, or_, select, tuple_

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
