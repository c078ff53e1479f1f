"""The catalog to and from documents. An import says first what it would do; it is done in one transaction, or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from webapp.domain import asyncapi
from webapp.domain.access import Actor
from webapp.domain.asyncapi import ExportedType, ExportedVersion
from webapp.domain.catalog_import import SLUG, Wanted
from webapp.domain.errors import Fault, Refused
from webapp.domain.event_types import TypeDraft
from webapp.domain.faults import refusal
from webapp.runtime import Runtime
from webapp.services import event_types as service
from webapp.store import event_types as store


@dataclass(frozen=True, slots=True)
class Step:
    """What an import does with one type: ``added``, ``changed`` or ``same``; how many versions it adds; what is in its way."""

    name: str
    action: str
    versions: int
    faults: tuple[Fault, ...] = ()


def export(rt: Runtime) -> dict[str, Any]:
    """The declared types as an AsyncAPI document."""
    with rt.db.read() as conn:
        versions: dict[str, list[ExportedVersion]] = {}
        for row in store.all_versions(conn):
            one = ExportedVersion(row.version, row.schema, row.examples, row.note)
            versions.setdefault(row.type, []).append(one)
        rows = store.declared_types(conn)
    types = (ExportedType(row.name, asdict(said_of(row)), versions.get(row.name, [])) for row in rows)
    return asyncapi.export(types)


def said_of(row: Row[Any]) -> TypeDraft:
    """What people said of a stored type."""
    return TypeDraft(
        owner=row.owner,
        description=row.description,
        validation=row.validation,
        compatibility=row.compatibility,
        deprecated=row.deprecated_at is not None,
        deprecation=row.deprecation or "",
    )


def preview(rt: Runtime, wanted: Sequence[Wanted]) -> list[Step]:
    """What ``apply`` would do; nothing is written."""
    with rt.db.read() as conn:
        return [_step(conn, one) for one in wanted]


def apply(rt: Runtime, actor: Actor, wanted: Sequence[Wanted]) -> list[Step]:
    """Do it. Raises ``Refused`` when anything is in the way; then nothing is done."""
    actor.must("design")
    with rt.db.write() as conn:
        steps = [_step(conn, one) for one in wanted]
        faults = [Fault(f"/{step.name}{one.pointer}", one.code, one.message) for step in steps for one in step.faults]
        if faults:
            raise refusal(SLUG, "document", faults)
        for one, step in zip(wanted, steps, strict=True):
            if step.action != "same":
                _do(rt, conn, actor, one)
    return steps


def _do(rt: Runtime, conn: Connection, actor: Actor, one: Wanted) -> None:
    before, after = _said(conn, one)
    if before != after:
        service.put_in(rt, conn, actor, one.name, after)
    for draft in _missing(conn, one):
        service.add_version_in(rt, conn, actor, one.name, draft)


def _said(conn: Connection, one: Wanted) -> tuple[TypeDraft | None, TypeDraft]:
    """What is said of the type now (None: it is not declared), and what will be: the document has the last word."""
    row = store.find_type(conn, one.name)
    before = None if row is None or row.deleted_at is not None or row.state != "declared" else said_of(row)
    return before, replace(before or TypeDraft(), **one.said)


def _step(conn: Connection, one: Wanted) -> Step:
    row, missing, (before, after) = store.find_type(conn, one.name), _missing(conn, one), _said(conn, one)
    if before is None or row is None:
        return Step(one.name, "added", len(missing))
    latest = store.latest_version(conn, one.name)
    try:
        if missing and latest is not None:
            service.check_compatible(row, latest, missing[0])
    except Refused as refused:
        return Step(one.name, "changed", len(missing), refused.faults)
    return Step(one.name, "changed" if missing or before != after else "same", len(missing))


def _missing(conn: Connection, one: Wanted) -> list[Any]:
    """The versions of the document whose schema no version of the catalog has."""
    known = [json.loads(row.schema) for row in store.list_versions(conn, one.name)]
    return [draft for draft in one.versions if draft.schema not in known]
