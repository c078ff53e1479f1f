"""Creating, editing, pausing and deleting routing rules; audited, compare-and-set, told to browsers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.subscriptions import SubscriptionDraft
from webapp.live import SubscriptionChanged
from webapp.runtime import Runtime
from webapp.store import audit, operations, outcomes, subscriptions


def create(rt: Runtime, actor: Actor, draft: SubscriptionDraft) -> str:
    """Store a new rule; it routes every event accepted from now on. Answers its id."""
    actor.must("operate")
    now, subscription_id = rt.clock(), rt.new_id("sub")
    row = {"id": subscription_id, "created_at": now, "updated_at": now, **_columns(draft)}
    with rt.db.write() as conn:
        subscriptions.add_subscription(conn, row)
        _write_audit(rt, conn, actor, "subscription.created", subscription_id, draft.name, _shown(draft))
    rt.live.tell(SubscriptionChanged(subscription_id, "active"))
    return subscription_id


def update(
    rt: Runtime, actor: Actor, subscription_id: str, draft: SubscriptionDraft, revision: int | None = None
) -> None:
    """Change a rule. With ``revision``, only if nobody changed it meanwhile (``Conflict``)."""
    actor.must("operate")
    with rt.db.write() as conn:
        before = subscriptions.get_subscription(conn, subscription_id)
        subscriptions.change_subscription(conn, subscription_id, revision=revision, at=rt.clock(), **_columns(draft))
        changes = _changes(before, draft)
        _write_audit(rt, conn, actor, "subscription.updated", subscription_id, draft.name, {"changes": changes})
    rt.live.tell(SubscriptionChanged(subscription_id, ""))


def pause(rt: Runtime, actor: Actor, subscription_id: str, reason: str = "") -> int:
    """Hold its due deliveries and all that come; answers how many were held. What runs, runs on."""
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = subscriptions.get_subscription(conn, subscription_id)
        if row.paused_at is not None:
            raise Conflict("This subscription is paused already.")
        subscriptions.change_subscription(
            conn, subscription_id, revision=row.revision, at=now, paused_at=now, pause_reason=reason[:500] or None
        )
        held = operations.hold_all(conn, subscription_id)
        details = {"reason": reason[:500], "held": held}
        _write_audit(rt, conn, actor, "subscription.paused", subscription_id, row.name, details)
    rt.live.tell(SubscriptionChanged(subscription_id, "paused"))
    return held


def resume(rt: Runtime, actor: Actor, subscription_id: str) -> int:
    """Let its held deliveries run; answers how many there were."""
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = subscriptions.get_subscription(conn, subscription_id)
        if row.paused_at is None:
            raise Conflict("This subscription is not paused.")
        subscriptions.change_subscription(
            conn, subscription_id, revision=row.revision, at=now, paused_at=None, pause_reason=None
        )
        released = operations.release_all(conn, subscription_id, now)
        _write_audit(rt, conn, actor, "subscription.resumed", subscription_id, row.name, {"released": released})
    rt.queue.ring("default")
    rt.live.tell(SubscriptionChanged(subscription_id, "active"))
    return released


def delete(rt: Runtime, actor: Actor, subscription_id: str) -> int:
    """Stop routing to it and cancel what has not ended; answers how many were cancelled. History keeps its name."""
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = subscriptions.get_subscription(conn, subscription_id)
        subscriptions.change_subscription(conn, subscription_id, revision=row.revision, at=now, deleted_at=now)
        cancelled = outcomes.cancel_open(conn, operations.open_ids(conn, subscription_id), at=now)
        details = {"cancelled": len(cancelled)}
        _write_audit(rt, conn, actor, "subscription.deleted", subscription_id, row.name, details)
    rt.live.tell(SubscriptionChanged(subscription_id, "deleted"))
    return len(cancelled)


def _columns(draft: SubscriptionDraft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "pattern": draft.pattern,
        "condition": draft.condition,
        "handler": draft.handler,
        "options": dict(draft.options),
        "retry": draft.retry.to_json(),
        "timeout_ms": round(draft.timeout.total_seconds() * 1000),
        "policies": draft.policies.to_json(),
        "mode": draft.mode,
    }


def _changes(before: Any, draft: SubscriptionDraft) -> dict[str, Any]:
    """Before and after of what was changed; options may hold secrets, so only the fact that they changed."""
    changed = {name: after for name, after in _columns(draft).items() if getattr(before, name) != after}
    return {
        name: "changed" if name == "options" else {"before": getattr(before, name), "after": after}
        for name, after in changed.items()
    }


def _shown(draft: SubscriptionDraft) -> dict[str, Any]:
    """What the audit log keeps; options may hold secrets, so only their names."""
    shown = {key: value for key, value in _columns(draft).items() if key != "options"}
    return {**shown, "options": sorted(draft.options)}


def _write_audit(
    rt: Runtime, conn: Connection, actor: Actor, action: str, target: str, name: str, details: dict[str, Any]
) -> None:
    audit.add(
        conn,
        id=rt.new_id("aud"),
        at=rt.clock(),
        actor=actor,
        action=action,
        target_kind="subscription",
        target_id=target,
        target_name=name,
        details=details,
    )
