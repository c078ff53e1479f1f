"""What the form that sends events needs to know of a type: what is said of it, and the schema that the form is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from webapp.store import event_types as catalog
from webapp.store.feed_events import known_types
from webapp.store.tables import event_type_versions, event_types

SUGGESTED = 500
VERSIONS = 200


@dataclass(frozen=True, slots=True)
class TypeForForm:
    """A type as the form knows it; one that nobody knows has nothing but its name."""

    name: str = ""
    is_known: bool = False
    description: str = ""
    deprecation: str | None = None  # what to use instead (may be empty); None: it is not deprecated
    validation: str = "off"
    versions: tuple[int, ...] = ()  # newest first
    version: int | None = None  # the one that the schema is of; None: it was worked out from events, or there is none
    schema: Mapping[str, Any] | None = None
    inferred_from: int = 0


def type_for_form(conn: Connection, name: str, version: int | None = None) -> TypeForForm:
    """With the schema of ``version``, else of the newest one, else what was worked out from events."""
    row = catalog.find_type(conn, name)
    if row is None or row.deleted_at is not None:
        return TypeForForm(name)
    v = event_type_versions.c
    newest_first = select(v.version).where(v.type == name).order_by(v.version.desc()).limit(VERSIONS)
    versions = tuple(conn.execute(newest_first).scalars())
    chosen = version if version in versions else next(iter(versions), None)
    found = catalog.schemas_of(conn, [(name, chosen)]) if chosen is not None else {}
    text = found.get((name, chosen or 0))
    return TypeForForm(
        name,
        is_known=True,
        description=row.description,
        deprecation=(row.deprecation or "") if row.deprecated_at is not None else None,
        validation=row.validation,
        versions=versions,
        version=chosen,
        schema=json.loads(text) if text is not None else row.inferred,
        inferred_from=0 if text is not None else row.inferred_from,
    )


def suggestions(conn: Connection) -> dict[str, str]:
    """Types to choose from, of the catalog and seen lately -> a word on each."""
    t = event_types.c
    query = (
        select(t.name, t.description, t.deprecated_at).where(t.deleted_at.is_(None)).order_by(t.name).limit(SUGGESTED)
    )
    found = dict.fromkeys(known_types(conn), "")
    for row in conn.execute(query):
        first = row.description.partition("\n")[0][:120]
        found[row.name] = f"deprecated: {first}" if row.deprecated_at is not None else first
    return dict(sorted(found.items()))
