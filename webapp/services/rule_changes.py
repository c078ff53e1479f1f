"""One change of a routing rule inside a transaction: the row, its version and the audit entry, together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from webapp.domain.access import SYSTEM, Actor
from webapp.domain.subscriptions import SubscriptionDraft, document_of
from webapp.runtime import Runtime
from webapp.services import secrets, trail
from webapp.store import cancels, operations, subscriptions, versions
from webapp.store.audit import Target

FIRST_NOTE = "as it was before versions were kept"


def add(
    rt: Runtime,
    conn: Connection,
    actor: Actor,
    draft: SubscriptionDraft,
    *,
    action: str = "created",
    note: str = "",
    **more: Any,
) -> str:
    """Store a new rule; ``more`` are further columns. Answers its id."""
    now, subscription_id = rt.clock(), rt.new_id("sub")
    draft = replace(draft, options=secrets.settled_options(conn, draft.options, {}))
    row = {"id": subscription_id, "created_at": now, "updated_at": now, **columns_of(draft), **more}
    subscriptions.add_subscription(conn, row)
    versions.add(conn, subscription_id, 1, draft.to_json(), at=now, actor=actor, action=action, note=note)
    details = {**_shown(draft), **_origin(note, more)}
    leave(rt, conn, actor, "subscription.created", subscription_id, draft.name, details)
    return subscription_id


def change(
    rt: Runtime,
    conn: Connection,
    actor: Actor,
    before: Row[Any],
    draft: SubscriptionDraft,
    *,
    revision: int | None,
    action: str = "updated",
    note: str = "",
    **more: Any,
) -> None:
    """Put the draft in the place of ``before``; with ``revision``, only if nobody was faster (``Conflict``)."""
    now = rt.clock()
    draft = replace(draft, options=secrets.settled_options(conn, draft.options, before.options))
    keep_first(conn, before)
    expected = before.revision if revision is None else revision
    subscriptions.change_subscription(conn, before.id, revision=expected, at=now, **columns_of(draft), **more)
    versions.add(conn, before.id, expected + 1, draft.to_json(), at=now, actor=actor, action=action, note=note)
    details = {"changes": _changes(before, draft), **_origin(note, more)}
    verb = "subscription.restored" if action == "restored" else "subscription.updated"
    leave(rt, conn, actor, verb, before.id, draft.name, details)


def remove(rt: Runtime, conn: Connection, actor: Actor, row: Row[Any], at: datetime, **details: Any) -> int:
    """Delete a rule and cancel what has not ended; answers how many were cancelled. Its versions stay."""
    subscriptions.change_subscription(conn, row.id, revision=row.revision, at=at, deleted_at=at)
    cancelled = cancels.cancel_open(conn, operations.open_ids(conn, row.id), at=at, by=actor.name)
    leave(rt, conn, actor, "subscription.deleted", row.id, row.name, {"cancelled": len(cancelled), **details})
    return len(cancelled)


def keep_first(conn: Connection, row: Row[Any]) -> None:
    """A rule from before versions were kept: what it was becomes its first."""
    if not versions.has_any(conn, row.id):
        nobody = Actor(SYSTEM.kind, SYSTEM.id, "not recorded", SYSTEM.role)
        action = "created" if row.revision == 1 else "updated"
        versions.add(
            conn, row.id, row.revision, document_of(row), at=row.updated_at, actor=nobody, action=action, note=FIRST_NOTE
        )  # fmt: skip


def leave(
    rt: Runtime, conn: Connection, actor: Actor, action: str, target: str, name: str, details: Mapping[str, Any]
) -> None:
    """The audit entry of a rule."""
    trail.leave(rt, conn, actor, action, Target("subscription", target, name), details)


def columns_of(draft: SubscriptionDraft) -> dict[str, Any]:
    """The columns that a draft decides."""
    return {
        "name": draft.name,
        "pattern": draft.pattern,
        "condition": draft.condition,
        "transform": draft.transform,
        "handler": draft.handler,
        "options": dict(draft.options),
        "retry": draft.retry.to_json(),
        "timeout_ms": round(draft.timeout.total_seconds() * 1000),
        "policies": draft.policies.to_json(),
        "mode": draft.mode,
    }


def _changes(before: Any, draft: SubscriptionDraft) -> dict[str, Any]:
    """Before and after of what was changed; options may hold secrets, so only the fact that they changed."""
    changed = {name: after for name, after in columns_of(draft).items() if getattr(before, name) != after}
    return {
        name: "changed" if name == "options" else {"before": getattr(before, name), "after": after}
        for name, after in changed.items()
    }


def _shown(draft: SubscriptionDraft) -> dict[str, Any]:
    """What the audit log keeps; options may hold secrets, so only their names."""
    shown = {key: value for key, value in columns_of(draft).items() if key != "options"}
    return {**shown, "options": sorted(draft.options)}


def _origin(note: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """Why, and from which files, where that is known."""
    by_code = {"set": more["code_set"], "key": more["code_key"]} if more.get("code_key") else {}
    return ({"note": note} if note else {}) | by_code
