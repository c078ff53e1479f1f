"""The catalog of event types: declaring, editing, adding versions, accepting what was discovered, deleting.

Audited, compare-and-set. What changes how events are judged changes the revision of the routes with it, in the same
transaction, so that whoever accepts events reads the schemas again.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault, Refused
from webapp.domain.event_types import MAX_VERSIONS, TypeDraft, VersionDraft, parse_version, read_type_name
from webapp.domain.faults import refusal
from webapp.domain.jsontext import parse_json
from webapp.domain.schema_compat import incompatible
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import event_types as store
from webapp.store.audit import Target
from webapp.store.subscriptions import bump_routes

MAX_TYPES = 5_000  # declared and deleted; what is discovered stops earlier


def put(rt: Runtime, actor: Actor, name: str, draft: TypeDraft, revision: int | None = None) -> bool:
    """Declare a type, or change what is said of it; answers whether it is new. With ``revision``, compare-and-set."""
    actor.must("design")
    with rt.db.write() as conn:
        return put_in(rt, conn, actor, name, draft, revision)


def put_in(
    rt: Runtime, conn: Connection, actor: Actor, name: str, draft: TypeDraft, revision: int | None = None
) -> bool:
    """The same, in a transaction that does more."""
    now, row = rt.clock(), store.find_type(conn, read_type_name(name))
    is_new = row is None or row.deleted_at is not None
    if is_new and revision is not None:
        raise Conflict("This event type is not there any more.")
    values = {**_columns(draft, row, now), "state": "declared", "deleted_at": None}
    if row is None:
        if store.count_types(conn) >= MAX_TYPES:
            raise Refused("too-many-types", f"The catalog has {MAX_TYPES:,} types; delete what nobody uses.")
        store.add_type(conn, {"name": name, "created_at": now, "updated_at": now, **values})
    else:
        store.change_type(conn, name, revision=row.revision if is_new else revision, at=now, **values)
    bump_routes(conn)
    _leave(rt, conn, actor, "declared" if is_new else "updated", name, asdict(draft))
    return is_new


def add_version(rt: Runtime, actor: Actor, name: str, draft: VersionDraft, revision: int | None = None) -> int:
    """Add a version to a declared type; answers its number. Raises ``Refused`` for a change that breaks its promise."""
    actor.must("design")
    with rt.db.write() as conn:
        return add_version_in(rt, conn, actor, name, draft, revision)


def add_version_in(
    rt: Runtime, conn: Connection, actor: Actor, name: str, draft: VersionDraft, revision: int | None = None
) -> int:
    """The same, in a transaction that does more."""
    row, latest = store.get_type(conn, name), store.latest_version(conn, name)
    if row.state != "declared":
        raise Conflict("This event type was only discovered; accept or declare it before you add versions.")
    number = 1 if latest is None else latest.version + 1
    if number > MAX_VERSIONS:
        raise Refused("too-many-versions", f"A type has at most {MAX_VERSIONS} versions.")
    if latest is not None:
        check_compatible(row, latest, draft)
    now = rt.clock()
    store.change_type(conn, name, revision=row.revision if revision is None else revision, at=now, inferred=None)
    _insert_version(conn, actor, name, number, draft, now)
    bump_routes(conn)
    _leave(rt, conn, actor, "version_added", name, {"version": number, "note": draft.note})
    return number


def check_compatible(row: Row[Any], latest: Row[Any], draft: VersionDraft) -> None:
    """Raises ``Refused`` when the new schema breaks what the type promises about the ``latest`` version."""
    old = parse_json(latest.schema.encode(), max_depth=1_000)
    if old == draft.schema:
        fault = Fault("/schema", "unchanged", f"Version {latest.version} has this very schema.")
        raise refusal("incompatible-schema", "schema", [fault])
    faults = incompatible(old, draft.schema, row.compatibility, latest.version)
    if faults:
        told = [Fault(f"/schema{fault.pointer}", fault.code, fault.message) for fault in faults]
        raise refusal("incompatible-schema", f"schema; the type is to stay {row.compatibility} compatible", told)


def accept(rt: Runtime, actor: Actor, name: str, validation: str = "off", revision: int | None = None) -> None:
    """Make a discovered type a declared one; the schema that was worked out becomes its first version."""
    actor.must("design")
    with rt.db.write() as conn:
        row = store.get_type(conn, name)
        if row.state != "discovered":
            raise Conflict("This event type is declared already.")
        draft, now = parse_version({"schema": row.inferred or {}, "note": _note(row.inferred_from)}), rt.clock()
        seen = row.revision if revision is None else revision
        store.change_type(conn, name, revision=seen, at=now, state="declared", validation=validation, inferred=None)
        latest = store.latest_version(conn, name)
        _insert_version(conn, actor, name, 1 if latest is None else latest.version + 1, draft, now)
        bump_routes(conn)
        _leave(rt, conn, actor, "accepted", name, {"validation": validation, "events": row.inferred_from})


def delete(rt: Runtime, actor: Actor, name: str, revision: int | None = None) -> None:
    """Take it out of the catalog: its events are judged no more. Its versions stay, should it be declared again."""
    actor.must("design")
    now = rt.clock()
    with rt.db.write() as conn:
        row = store.get_type(conn, name)
        seen = row.revision if revision is None else revision
        store.change_type(conn, name, revision=seen, at=now, deleted_at=now)
        bump_routes(conn)
        _leave(rt, conn, actor, "deleted", name, {})


def _columns(draft: TypeDraft, row: Row[Any] | None, now: datetime) -> dict[str, Any]:
    since = row.deprecated_at if row is not None and row.deprecated_at is not None else now
    return {
        "owner": draft.owner,
        "description": draft.description,
        "validation": draft.validation,
        "compatibility": draft.compatibility,
        "deprecated_at": since if draft.deprecated else None,
        "deprecation": draft.deprecation if draft.deprecated else None,
    }


def _insert_version(conn: Connection, actor: Actor, name: str, number: int, draft: VersionDraft, now: datetime) -> None:
    row = {"type": name, "version": number, "schema": draft.schema_text, "examples": list(draft.examples)}
    store.add_version(conn, {**row, "note": draft.note, "created_at": now, "created_by": actor.name})


def _note(events: int) -> str:
    return f"Worked out from {events} {'event' if events == 1 else 'events'}"


def _leave(rt: Runtime, conn: Connection, actor: Actor, action: str, name: str, details: dict[str, Any]) -> None:
    trail.leave(rt, conn, actor, f"event_type.{action}", Target("event_type", name, name), details)
